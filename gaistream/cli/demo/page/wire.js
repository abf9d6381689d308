/* The two transports. Each opens a stream for a run, has the run open, take an event, and end in one
   of its ways, in order, by `run.then`, and returns the function that closes the connection. By fetch
   the page also gets the frames as they are on the wire, in the protocol that was chosen. */

import { readerOf } from "./dialects.js";

// EventSource hears only the names that it listens for ("error" has a listener of its own).
const NAMES = ["start", "text_delta", "reasoning_delta", "reasoning_end", "audio_delta", "file",
  "tool_call_start", "tool_call_delta", "tool_call", "tool_result", "approval_request", "citations",
  "safety", "data", "step_start", "step_reset", "finish_step", "finish", "done", "raw", "message"];

const MANY = 5000; // events in the queue with which a response is read no further

export function openSSE(run) {
  const source = new EventSource("chat?" + new URLSearchParams({ q: run.question }));
  const take = (event) => {
    run.received += event.data.length;
    run.then(() => {
      run.lastId = event.lastEventId;
      run.event(event.type, parse(event.data));
    });
  };
  for (const name of NAMES) source.addEventListener(name, take);
  source.addEventListener("open", () => run.then(() => run.open()));
  source.addEventListener("error", (event) => {
    if (event instanceof MessageEvent) take(event); // the server's own error event
    else if (source.readyState === EventSource.CONNECTING) run.then(() => run.lost());
    else run.then(() => run.refused());
  });
  return () => source.close();
}

export function openFetch(run, messages) {
  const controller = new AbortController();
  read(run, messages, controller.signal)
    .catch((error) => run.then(() => run.broke(error.message)));
  return () => controller.abort();
}

async function read(run, messages, signal) {
  const lines = run.dialect === "gai";
  const response = await fetch(lines ? "api/chat" : `api/chat/${run.dialect}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ messages }),
    signal,
  });
  if (!response.ok) {
    const body = await response.text();
    const problem = parse(body).error?.message ?? parse(body).error ?? body;
    return run.end("failed", `HTTP ${response.status}: ${problem || "no explanation"}.`);
  }
  run.then(() => run.open());
  const eventsOf = lines ? eventOfLine : readerOf(run.dialect);
  const reader = response.body.getReader();
  const decoder = new TextDecoder(); // streaming: a chunk may end anywhere, also in a character
  for (let rest = "", done = false; !done;) {
    while (run.queue.length > MANY) await new Promise((go) => setTimeout(go, 10));
    const chunk = await reader.read();
    done = chunk.done;
    run.received += chunk.value?.byteLength ?? 0;
    const text = rest + decoder.decode(chunk.value, { stream: !done });
    const frames = text.split(lines ? "\n" : "\n\n");
    rest = done ? "" : frames.pop();
    for (const frame of frames.filter((each) => each.trim())) {
      run.then(() => {
        run.frame(frame);
        run.lastId = /^id: ?(.*)$/m.exec(frame)?.[1] ?? run.lastId;
        for (const [kind, payload] of eventsOf(frame)) run.event(kind, payload);
      });
    }
  }
  run.then(() => run.closed());
}

function eventOfLine(line) {
  const { type = "unknown", ...payload } = parse(line);
  return [[String(type), payload]];
}

function parse(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return { unreadable: text };
  }
}
