"""What reading a stream costs, beside the peers: the groups of reading, for peers.py.

Each case reads the same stream with every reader, in turn, many times over; the least time counts.
Every reader's events are checked against what was written, and every reader's `data` is asked for
as text. Then come the curves: twice the bytes, or twice the lines, must take twice the time.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson
import payloads
import peer_readers

import gaistream

try:
    import msgspec
except ImportError:
    msgspec = None  # type: ignore[assignment]

Rows = list[tuple[str, Callable[[], Any]]]

pure = payloads.pure_twin()
ROUNDS = 40
EVENTS = 2000
ONE_A_CHUNK = "84-byte events read, one a chunk"
IN_4_KB = "84-byte events read, in chunks of 4 KB"
LARGE_EVENTS = "64 KB events read, one a chunk"
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


def peer_rows(peers: dict[str, tuple[str, peer_readers.Read]], chunks: list[bytes]) -> Rows:
    return [(name, partial(read, chunks)) for name, (_, read) in peers.items()]


def sse_rows(chunks: list[bytes]) -> Rows:
    return [
        *peer_rows(peer_readers.peers(), chunks),
        ("SSEDecoder", gaistream_reader(chunks, gaistream.SSEDecoder)),
        ("SSEDecoder, data_bytes", gaistream_bytes(chunks)),
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
    """Give the least seconds of each reader; ValueError where one reads something else."""
    for name, read in rows:
        if not agrees(read(), expected):
            raise ValueError(f"{name} read something else: {read()[:2]!r} …")
    least = dict.fromkeys((name for name, _ in rows), float("inf"))
    for _ in range(rounds if len(expected) > 1 else 20 * rounds):
        for name, read in rows:
            least[name] = min(least[name], timed(read))
    return least


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
            *peer_rows(peer_readers.line_peers(), chunks),
        ]
        if msgspec is not None:
            read = ndjson_reader(chunks, gaistream.NDJSONDecoder, loads=msgspec.json.decode)
            rows.insert(2, ("NDJSONDecoder(loads=msgspec.json.decode)", read))
        values = [orjson.loads(line)] * 5000
        found.append((f"77-byte lines of NDJSON read, to dicts of {fields}", rows, values))
    raw: Rows = [
        ("bytes.split", split_only(chunks)),
        ("NDJSONDecoder(loads=None)", ndjson_reader(chunks, gaistream.NDJSONDecoder, loads=None)),
        ("LineSplitter", ndjson_reader(chunks, gaistream.LineSplitter)),
        ("the pure twin, loads=None", ndjson_reader(chunks, pure.NDJSONDecoder, loads=None)),
    ]
    return [*found, ("77-byte lines read, as they are", raw, [line] * 5000)]


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
