// What the Go package that gaistream reimplements spends, re-created: its writers and its reader
// by what they do for an event, not its code. Standard library only. `go run .` prints, as JSON,
// the least nanoseconds and the allocations of each, after a check of what was written and read.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	small  = "event: message\ndata: {\"text\":\"benchmark\"}\n\n"
	token  = "event: text_delta\ndata: {\"text\":\"benchmark\"}\n\n"
	line   = "{\"text\":\"benchmark\",\"type\":\"text_delta\"}\n"
	known  = "{\"type\":\"text_delta\",\"text\":\"the next piece of an answer, in a few words...\"}\n"
	events = 100
)

// event is one of a stream's, as a provider gives it.
type event struct {
	kind string
	text string
}

// out is what an http.ResponseWriter is to a writer: it takes bytes, and is flushed.
type out struct {
	io.Writer
	flushes int
}

func (o *out) Flush() { o.flushes++ }

// sseWriter writes one event at a time, whole under its lock, and flushes it.
type sseWriter struct {
	mu  sync.Mutex
	out *out
}

func (w *sseWriter) writeEvent(name, data string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if name != "" {
		if _, err := fmt.Fprintf(w.out, "event: %s\n", name); err != nil {
			return err
		}
	}
	if strings.IndexByte(data, '\n') >= 0 {
		for _, each := range strings.Split(data, "\n") {
			if _, err := fmt.Fprintf(w.out, "data: %s\n", each); err != nil {
				return err
			}
		}
		if _, err := io.WriteString(w.out, "\n"); err != nil {
			return err
		}
	} else if _, err := fmt.Fprintf(w.out, "data: %s\n\n", data); err != nil {
		return err
	}
	w.out.Flush()
	return nil
}

func (w *sseWriter) write(e event) error {
	data, err := json.Marshal(map[string]any{"text": e.text})
	if err != nil {
		return err
	}
	return w.writeEvent(e.kind, string(data))
}

// lineWriter writes one line of JSON at a time, through a buffer that it flushes.
type lineWriter struct {
	mu       sync.Mutex
	buffered *bufio.Writer
	out      *out
}

func (w *lineWriter) write(e event) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	data, err := json.Marshal(map[string]any{"type": e.kind, "text": e.text})
	if err != nil {
		return err
	}
	if _, err := w.buffered.Write(append(data, '\n')); err != nil {
		return err
	}
	if err := w.buffered.Flush(); err != nil {
		return err
	}
	w.out.Flush()
	return nil
}

// provide gives the events of one stream over a channel, as a provider's goroutine does.
func provide() <-chan event {
	given := make(chan event, events)
	go func() {
		defer close(given)
		for i := 0; i < events; i++ {
			given <- event{"text_delta", "benchmark"}
		}
	}()
	return given
}

func streamSSE(to io.Writer) error {
	writer := &sseWriter{out: &out{Writer: to}}
	for each := range provide() {
		if err := writer.write(each); err != nil {
			return err
		}
	}
	return nil
}

func streamLines(to io.Writer) error {
	under := &out{Writer: to}
	writer := &lineWriter{buffered: bufio.NewWriterSize(under, 8192), out: under}
	for each := range provide() {
		if err := writer.write(each); err != nil {
			return err
		}
	}
	return nil
}

// readLines gives the values of a stream of lines.
func readLines(from io.Reader) ([]map[string]any, error) {
	var found []map[string]any
	scanner := bufio.NewScanner(from)
	for scanner.Scan() {
		if len(scanner.Bytes()) == 0 {
			continue
		}
		var value map[string]any
		if err := json.Unmarshal(scanner.Bytes(), &value); err != nil {
			return nil, err
		}
		found = append(found, value)
	}
	return found, scanner.Err()
}

func check(what string, right bool) {
	if !right {
		fmt.Fprintln(os.Stderr, what, "came out wrong")
		os.Exit(1)
	}
}

// measure gives the least of many short batches, as the Python side does, divided by what one
// evaluation holds.
func measure(each int, run func() error) map[string]any {
	batch := 1
	least := math.Inf(1)
	for round := 0; round < 400; round++ {
		start := time.Now()
		for i := 0; i < batch; i++ {
			if err := run(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
		took := time.Since(start)
		least = math.Min(least, float64(took.Nanoseconds())/float64(batch))
		if took < time.Millisecond && batch < 1<<20 {
			batch *= 2
		}
	}
	return map[string]any{
		"ns":          least / float64(each),
		"allocations": testing.AllocsPerRun(100, func() { _ = run() }) / float64(each),
	}
}

func main() {
	var written bytes.Buffer
	writer := &sseWriter{out: &out{Writer: &written}}
	check("WriteEvent", writer.writeEvent("message", `{"text":"benchmark"}`) == nil &&
		written.String() == small)
	written.Reset()
	check("the SSE stream", streamSSE(&written) == nil &&
		written.String() == strings.Repeat(token, events))
	written.Reset()
	check("the NDJSON stream", streamLines(&written) == nil &&
		written.String() == strings.Repeat(line, events))
	text := strings.Repeat(known, events)
	values, err := readLines(strings.NewReader(text))
	check("the reader", err == nil && len(values) == events &&
		values[99]["text"] == "the next piece of an answer, in a few words...")

	writer = &sseWriter{out: &out{Writer: io.Discard}}
	found := map[string]any{
		"version": runtime.Version(),
		"WriteEvent": measure(1, func() error {
			return writer.writeEvent("message", `{"text":"benchmark"}`)
		}),
		"SSE stream":    measure(events, func() error { return streamSSE(io.Discard) }),
		"NDJSON stream": measure(events, func() error { return streamLines(io.Discard) }),
		"NDJSON reader": measure(events, func() error {
			_, err := readLines(strings.NewReader(text))
			return err
		}),
	}
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		os.Exit(1)
	}
}
