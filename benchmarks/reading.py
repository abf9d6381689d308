"""What reading a stream costs, beside the peers: `python benchmarks/reading.py`, or `make bench`.

Each case reads the same stream with every reader, in turn, many times over; the least time counts,
in nanoseconds an event or line, and as a ratio to the first row of its group. Every reader's events
are checked against what was written, and every reader's `data` is asked for as text. Then come the
curves: twice the bytes, or twice the lines, must take twice the time. httpx-sse and
launchdarkly-eventsource are measured where they are installed; node's eventsource-parser where
`NODE` names a node and `EVENTSOURCE_PARSER` the folder in which npm has installed it.
"""

from __future__ import annotations

import codecs
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import orjson

import gaistream
from gaistream import _json, pure

Rows = list[tuple[str, Callable[[], Any]]]

pure.install_json(
    _json.fast_dumps, _json.json_default, _json.json_option, _json.json_line_option,
    _json.careful_dumps, _json.loads,
)
ROUNDS = 15
EVENTS = 2000
ONE_A_CHUNK = "84-byte events, one a chunk"
IN_4_KB = "84-byte events, in chunks of 4 KB"
LARGE_EVENTS = "64 KB events, one a chunk, each dropped before the next"
SMALL = b'event: text_delta\ndata: {"text":"the next piece of an answer","index":10000000007}\n\n'
LARGE = b"data: " + b"x" * 65_528 + b"\n\n"
# 77 bytes each: of two fields, as events are, and of five, whose decoding takes twice as long
LINES = {
    "two fields": b'{"type":"text_delta","text":"the next piece of an answer, in a few words..."}',
    "five fields": b'{"id":1234567,"name":"benchmark","score":0.75,"ok":true,"tags":["a","bcdef"]}',
}


def chunks_of(text: bytes, size: int) -> list[bytes]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def gaistream_reader(chunks: list[bytes], decoder: Callable[[], Any]) -> Callable[[], list[str]]:
    def read() -> list[str]:
        feed = decoder().feed
        return [event.data for chunk in chunks for event in feed(chunk)]

    return read


def gaistream_bytes(chunks: list[bytes]) -> Callable[[], list[bytes]]:
    def read() -> list[bytes]:
        feed = gaistream.SSEDecoder().feed
        return [event.data_bytes for chunk in chunks for event in feed(chunk)]

    return read


def httpx_sse_reader(chunks: list[bytes]) -> Callable[[], list[str]]:
    from httpx_sse._decoders import SSEDecoder, SSELineDecoder

    def events() -> Iterator[Any]:  # as its EventSource does, over httpx's iter_text()
        text, lines, decoder = codecs.getincrementaldecoder("utf-8")("replace"), SSELineDecoder(), (
            SSEDecoder()
        )
        for chunk in chunks:
            for line in lines.decode(text.decode(chunk)):
                event = decoder.decode(line.rstrip("\n"))
                if event is not None:
                    yield event

    return lambda: [event.data for event in events()]


def launchdarkly_reader(chunks: list[bytes]) -> Callable[[], list[str]]:
    from ld_eventsource.reader import _BufferedLineReader, _SSEReader

    def read() -> list[str]:
        lines = _BufferedLineReader.lines_from(chunks)
        return [event.data for event in _SSEReader(lines).events_and_comments()]

    return read


def sse_rows(chunks: list[bytes]) -> Rows:
    rows: Rows = []
    for name, make in (
        ("httpx-sse", httpx_sse_reader),
        ("launchdarkly-eventsource", launchdarkly_reader),
    ):
        try:
            rows.append((name, make(chunks)))
        except ImportError as error:
            print(f"  {name}: not installed ({error.name})")
    return [
        *rows,
        ("gaistream", gaistream_reader(chunks, gaistream.SSEDecoder)),
        ("gaistream, data_bytes", gaistream_bytes(chunks)),
        ("the pure twin", gaistream_reader(chunks, pure.SSEDecoder)),
    ]


def split_and_loads(chunks: list[bytes]) -> Callable[[], list[Any]]:
    def read() -> list[Any]:
        rest, values, loads = b"", [], orjson.loads
        for chunk in chunks:
            *lines, rest = (rest + chunk).split(b"\n")
            values += [loads(line) for line in lines]
        return values

    return read


def split_only(chunks: list[bytes]) -> Callable[[], list[bytes]]:
    def read() -> list[bytes]:
        rest, found = b"", []
        for chunk in chunks:
            *lines, rest = (rest + chunk).split(b"\n")
            found += lines
        return found

    return read


def ndjson_reader(
    chunks: list[bytes], decoder: Callable[..., Any], **named: Any
) -> Callable[[], list[Any]]:
    def read() -> list[Any]:
        feed, values = decoder(**named).feed, []
        for chunk in chunks:
            values += feed(chunk)
        return values

    return read


def agrees(found: list[Any], expected: list[Any]) -> bool:
    """Tell whether a reader has read what was written; some give the bytes of a text."""
    if expected and isinstance(expected[0], str):
        found = [each.decode() if isinstance(each, bytes) else each for each in found]
    return found == expected


def measure(rows: Rows, expected: list[Any], rounds: int = ROUNDS) -> dict[str, float]:
    """Give the least seconds of each reader, having checked what it reads."""
    for name, read in rows:
        if not agrees(read(), expected):
            sys.exit(f"{name} read something else: {read()[:2]!r} …")
    least = dict.fromkeys((name for name, _ in rows), float("inf"))
    for _ in range(rounds if len(expected) > 1 else 100 * rounds):
        for name, read in rows:
            least[name] = min(least[name], timed(read))
    return least


def report(title: str, least: dict[str, float], events: int, size: int) -> None:
    print(f"\n{title}")
    first = next(iter(least.values()))
    for name, seconds in least.items():
        each, speed = seconds / events * 1e9, size / seconds / 1e9
        print(f"  {name:32} {each:10.1f} ns {speed:7.2f} GB/s {seconds / first:8.3f}")


def node(sizes: dict[str, list[bytes]]) -> dict[str, float]:
    """Give eventsource-parser's nanoseconds an event for each list of chunks."""
    binary, folder = os.environ.get("NODE"), os.environ.get("EVENTSOURCE_PARSER")
    if not binary or not folder:
        print("\nnode's eventsource-parser: not measured: NODE or EVENTSOURCE_PARSER is not set")
        return {}
    script = Path(__file__).with_name("eventsource_parser.mjs")
    sent = json.dumps({name: [each.decode() for each in chunks] for name, chunks in sizes.items()})
    command = [binary, str(script), folder]
    ran = subprocess.run(command, input=sent, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(ran.stdout)
    return found


def groups() -> list[tuple[str, Rows, list[Any]]]:
    """Give each group's name, its readers and what they must read."""
    small = [SMALL.split(b"data: ")[1].strip().decode()] * EVENTS
    found: list[tuple[str, Rows, list[Any]]] = [
        (ONE_A_CHUNK, sse_rows([SMALL] * EVENTS), small),
        (IN_4_KB, sse_rows(chunks_of(SMALL * EVENTS, 4096)), small),
        (LARGE_EVENTS, sse_rows([LARGE]), [LARGE[6:-2].decode()]),
    ]
    for fields, line in LINES.items():
        chunks = chunks_of((line + b"\n") * 5000, 65_536)
        rows: Rows = [
            ("split and orjson.loads", split_and_loads(chunks)),
            ("NDJSONDecoder", ndjson_reader(chunks, gaistream.NDJSONDecoder)),
            ("the pure twin", ndjson_reader(chunks, pure.NDJSONDecoder)),
        ]
        values = [orjson.loads(line)] * 5000
        found.append((f"77-byte lines of NDJSON to dicts of {fields}", rows, values))
    raw: Rows = [
        ("bytes.split", split_only(chunks)),
        ("NDJSONDecoder(loads=None)", ndjson_reader(chunks, gaistream.NDJSONDecoder, loads=None)),
        ("LineSplitter", ndjson_reader(chunks, gaistream.LineSplitter)),
        ("the pure twin, loads=None", ndjson_reader(chunks, pure.NDJSONDecoder, loads=None)),
    ]
    return [*found, ("77-byte lines, as they are", raw, [line] * 5000)]


def timed(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def curves() -> None:
    """Print how much longer twice as much takes."""
    mega = 2**20
    for twin, core in (("gaistream", gaistream), ("the pure twin", pure)):
        cases = {
            "8 MiB in a line, against 4, in chunks of 1 KiB": (
                [chunks_of(b"data: " + b"x" * size + b"\n\n", 1024)
                 for size in (4 * mega, 8 * mega)], core.SSEDecoder),
            "the same as a line of NDJSON": (
                [chunks_of(b'"' + b"x" * size + b'"\n', 1024)
                 for size in (4 * mega, 8 * mega)], core.NDJSONDecoder),
            "80 000 lines of data in an event, against 40 000": (
                [chunks_of(b"data: a line of data\n" * lines + b"\n", 4096)
                 for lines in (40_000, 80_000)], core.SSEDecoder),
        }
        print(f"\n{twin}: twice as much takes")
        for title, (streams, make) in cases.items():
            least = [float("inf")] * 2
            for _ in range(7):
                for index, chunks in enumerate(streams):
                    least[index] = min(least[index], timed(partial(read_all, make, chunks)))
            print(f"  {title:52} {least[1] / least[0]:6.2f} x")


def read_all(make: Callable[[], Any], chunks: list[bytes]) -> None:
    feed = make().feed
    if sum(len(feed(chunk)) for chunk in chunks) != 1:
        sys.exit("not one was read")


def main() -> None:
    """Print the tables."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    print(f"gaistream {gaistream.__version__}, {gaistream.backend}; {python}, {platform.machine()}")
    sizes = {ONE_A_CHUNK: 84 * EVENTS, IN_4_KB: 84 * EVENTS, LARGE_EVENTS: len(LARGE)}
    beside = node({ONE_A_CHUNK: [SMALL] * EVENTS, IN_4_KB: chunks_of(SMALL * EVENTS, 4096)})
    for title, rows, expected in groups():
        least = measure(rows, expected)
        if title in beside:
            least["node's eventsource-parser"] = beside[title] * EVENTS / 1e9
        if title == LARGE_EVENTS:
            count = partial(LARGE.count, b"\n")
            least["bytes.count, for the memory"] = min(timed(count) for _ in range(100 * ROUNDS))
        report(title, least, len(expected), sizes.get(title, 78 * 5000))
    curves()


if __name__ == "__main__":
    main()
