"""What an expression costs where it stands: the groups of writing, for peers.py.

timeit in one process, the rows of a group in turn, the cost of the empty loop taken off, the least
of many rounds; each row is checked for what it makes. A row is a ratio to the first of its group,
so compare within a group only. Needs orjson; every other peer is measured where it is installed.
"""

from __future__ import annotations

import collections
import contextlib
import importlib
import json
import os
import subprocess
import sys
import timeit
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import payloads
import peer_writers

import gaistream
from gaistream import encode_events, encode_ndjson, encode_ndjson_lines, encode_sse
from gaistream.events import TextDelta

HERE = Path(__file__).resolve().parent
ROUNDS = 100  # of a millisecond each, so that some are not disturbed


@dataclass
class Row:
    """What one peer took.

    Attributes:
        ns: nanoseconds an event; None where the peer is not there.
        note: what it gets wrong, or why it is not there.
    """

    name: str
    ns: float | None
    note: str = ""


@dataclass
class Group:
    """Rows to be compared, with the first."""

    title: str
    rows: list[Row] = field(default_factory=list)


def f_string(data: str, event: str | None = None) -> bytes:
    return (f"event: {event}\ndata: {data}\n\n" if event else f"data: {data}\n\n").encode()


def floor() -> Any:
    """Compile floor.pyx, where Cython and a compiler are there."""
    kept = HERE.parent / "build" / "floor"
    kept.mkdir(parents=True, exist_ok=True)
    source = kept / "floor.pyx"
    source.write_text((HERE / "floor.pyx").read_text())
    command = [sys.executable, "-m", "Cython.Build.Cythonize", "-q", "-i", str(source)]
    subprocess.run(command, cwd=kept, check=True, capture_output=True,
                   env={**os.environ, "CFLAGS": "-O3"})  # fmt: skip
    sys.path.append(str(kept))
    return importlib.import_module("floor").copy


TOKEN_TEMPLATE = gaistream.FrameTemplate(b'event: text_delta\ndata: {"text":"', b'"}\n\n')
CHUNK_TEMPLATE = gaistream.FrameTemplate.of(payloads.openai_chunk("THE TEXT"), "THE TEXT")
encoder = gaistream.SSEEncoder()
nowhere = collections.deque(maxlen=0).append  # a sink that takes everything, and costs nothing
NAMES: dict[str, Any] = {
    "data": payloads.SMALL_DATA,
    "event": payloads.SMALL_EVENT,
    "token": payloads.TOKEN,
    "delta": TextDelta(payloads.TOKEN),
    "deltas": [TextDelta(payloads.TOKEN)] * payloads.TOKENS,
    "tokens": [payloads.TOKEN] * payloads.TOKENS,
    "lines": payloads.LINES,
    "long": payloads.LONG,
    "long_view": memoryview(payloads.LONG_FRAME),
    "row": payloads.ROW,
    "large": payloads.LARGE_ROW,
    "rows": [payloads.ROW] * payloads.TOKENS,
    "payload": payloads.PAYLOAD,
    "chunk": payloads.openai_chunk(payloads.TOKEN),
    "newline": orjson.OPT_APPEND_NEWLINE,
    "dumps": orjson.dumps,
    "json_dumps": json.dumps,
    "openai_chunk": payloads.openai_chunk,
    "TextDelta": TextDelta,
    "gaistream": gaistream,
    "encode_sse": encode_sse,
    "encode_events": encode_events,
    "encode_ndjson": encode_ndjson,
    "encode_ndjson_lines": encode_ndjson_lines,
    "pure": payloads.pure_twin(),
    "render": TOKEN_TEMPLATE.render,
    "render_many": TOKEN_TEMPLATE.render_many,
    "render_chunk": CHUNK_TEMPLATE.render,
    "write": encoder.write,
    "take": encoder.take,
    "write_event": gaistream.SSEWriter(nowhere).write_event,
    "write_token": gaistream.SSEWriter(nowhere).write,
}
PROTOCOLS = ("gai", "openai_chat", "anthropic", "ai_sdk", "openai_responses", "ag_ui",
             "gai_events_v1")  # fmt: skip
for _name in PROTOCOLS:
    _encoder = gaistream.SSEEncoder(dialect=_name)
    _encoder.write("begun")
    NAMES |= {f"write_{_name}": _encoder.write, f"take_{_name}": _encoder.take}
with contextlib.suppress(ImportError):
    NAMES["responses_delta"] = payloads.responses_delta_model()
with contextlib.suppress(ImportError):
    NAMES["ag_ui_frame"] = payloads.ag_ui_encoder()
WRITERS = {name: write for name, (_, write) in peer_writers.peers().items()}
NAMES |= {f"peer_{index}": write for index, write in enumerate(WRITERS.values())}
with contextlib.suppress(ImportError):
    NAMES["Chunk"] = payloads.openai_chunk_model()
with contextlib.suppress(ImportError, OSError, subprocess.CalledProcessError):
    NAMES["copy"] = floor()
with contextlib.suppress(ImportError):
    import msgspec

    NAMES |= {"encode_lines": msgspec.json.Encoder().encode_lines}


def of_peers(arguments: str) -> list[tuple[str, str]]:
    return [(name, f"peer_{index}({arguments})") for index, name in enumerate(WRITERS)]


SMALL, TOKEN, LINES = payloads.SMALL_FRAME, payloads.TOKEN_FRAME, payloads.LINES_FRAME
ROW_LINE, LARGE_LINE = (orjson.dumps(row) + b"\n" for row in (payloads.ROW, payloads.LARGE_ROW))
CHUNK = b"data: " + orjson.dumps(payloads.openai_chunk(payloads.TOKEN)) + b"\n\n"
FLOOR = "the floor: compiled, copies only"
CHUNK_DICT = "a dict, an OpenAI chunk, to its frame"
WRITER = "an event through a writer to its sink"
A_DELTA = "a piece of an answer's text in each protocol"
RESPONSES = "openai's type for Responses, built and dumped"
AG_UI = "ag-ui-protocol, built and encoded"
# title, events an evaluation, expected bytes, then (name, expression), what to compare with first
GROUPS: list[tuple[str, int, bytes | None, list[tuple[str, str]]]] = [
    ("a small frame", 1, SMALL, [
        ("f-string and encode", r'f"event: {event}\ndata: {data}\n\n".encode()'),
        ("encode_sse, event by keyword", "encode_sse(data, event=event)"),
        ("encode_sse", "encode_sse(data, event)"),
        ("gaistream.encode_sse, event by keyword", "gaistream.encode_sse(data, event=event)"),
        (FLOOR, "copy(data, event)"),
        ("the pure twin", "pure.encode_sse(data, event)"),
        *of_peers("data, event"),
    ]),
    ("a token to its frame", 1, TOKEN, [
        ("orjson and concatenation",
         r'b"event: text_delta\ndata: " + dumps({"text": token}) + b"\n\n"'),
        ("FrameTemplate.render", "render(token)"),
        ("SSEEncoder.write and take", "write(delta) or take()"),
        ("encode_events of one", "encode_events([delta])"),
    ]),
    ("making a TextDelta", 1, None, [("TextDelta", "TextDelta(token)")]),
    (WRITER, 1, None, [
        ("SSEWriter.write_event", "write_event(event, data)"),
        ("SSEWriter.write, a token", "write_token(delta)"),
    ]),
    ("a thousand tokens, each", payloads.TOKENS, TOKEN * payloads.TOKENS, [
        ("orjson and concatenation",
         r'b"".join([b"event: text_delta\ndata: " + dumps({"text": each}) + b"\n\n" '
         "for each in tokens])"),
        ("encode_events", "encode_events(deltas)"),
        ("FrameTemplate.render_many", "render_many(tokens)"),
    ]),
    ("4 KB in 40 lines", 1, LINES, [
        ("split and join",
         r'("".join([f"data: {x}\n" for x in lines.splitlines()]) + "\n").encode()'),
        ("encode_sse", "encode_sse(lines)"),
        ("the pure twin", "pure.encode_sse(lines)"),
        *of_peers("lines"),
    ]),
    ("1 MB in a line", 1, payloads.LONG_FRAME, [
        ("bytes of a view: a copy", "bytes(long_view)"),
        ("f-string and encode", r'f"data: {long}\n\n".encode()'),
        ("encode_sse", "encode_sse(long)"),
        ("the pure twin", "pure.encode_sse(long)"),
        *of_peers("long"),
    ]),
    *(
        (title, 1, b"data: " + orjson.dumps(payload) + b"\n\n", [
            ("orjson.dumps alone", f"dumps({name})"),
            ("orjson and concatenation", rf'b"data: " + dumps({name}) + b"\n\n"'),
            ("encode_sse(json=)", f"encode_sse(json={name})"),
            ("the pure twin", f"pure.encode_sse(json={name})"),
        ])
        for title, name, payload in (
            ("a dict of three fields to its frame", "payload", payloads.PAYLOAD),
            (CHUNK_DICT, "chunk", payloads.openai_chunk(payloads.TOKEN)),
        )
    ),
    ("an OpenAI chunk", 1, CHUNK, [
        ("pydantic, built and dumped",
         r'f"data: {Chunk(**openai_chunk(token)).model_dump_json()}\n\n".encode()'),
        ("orjson of a dict", r'b"data: " + dumps(openai_chunk(token)) + b"\n\n"'),
        ("FrameTemplate.render", "render_chunk(token)"),
    ]),
    (A_DELTA, 1, None, [
        *((name, f"write_{name}(delta) or take_{name}()") for name in PROTOCOLS),
        (RESPONSES, r'f"event: response.output_text.delta\ndata: '
         r'{responses_delta(token).model_dump_json()}\n\n".encode()'),
        (AG_UI, "ag_ui_frame(token)"),
    ]),
    ("an NDJSON line of 60 bytes", 1, ROW_LINE, [
        ("orjson", "dumps(row, option=newline)"),
        ("encode_ndjson", "encode_ndjson(row)"),
        ("json", r'json_dumps(row, separators=(",", ":")).encode() + b"\n"'),
    ]),
    ("an NDJSON line of 2 KB", 1, LARGE_LINE, [
        ("orjson", "dumps(large, option=newline)"),
        ("encode_ndjson", "encode_ndjson(large)"),
        ("json", r'json_dumps(large, separators=(",", ":")).encode() + b"\n"'),
    ]),
    ("a thousand NDJSON lines, each", payloads.TOKENS, ROW_LINE * payloads.TOKENS, [
        ("encode_ndjson of each, joined", r'b"".join([encode_ndjson(each) for each in rows])'),
        ("encode_ndjson_lines", "encode_ndjson_lines(rows)"),
        ("orjson of each, joined",
         r'b"".join([dumps(each, option=newline) for each in rows])'),
        ("msgspec encode_lines", "encode_lines(rows)"),
    ]),
]  # fmt: skip
ONLY_JSON = "orjson.dumps alone"  # which makes no frame


def measure(rounds: int = ROUNDS) -> Iterator[Group]:
    """Measure group by group; ValueError where something was made that is not right."""
    loop = least([("nothing", "pass")], rounds)["nothing"]
    for title, events, expected, rows in GROUPS:
        found = Group(title, [Row(name, None, "not installed") for name, _ in rows])
        there = []
        for (name, expression), row in zip(rows, found.rows, strict=True):
            with contextlib.suppress(NameError):
                made = eval(expression, NAMES)  # these are our own
                if expected is not None and name != ONLY_JSON:
                    check(name, made, expected)
                there.append((name, expression))
                row.note = note_of(name) if title == GROUPS[0][0] else ""
        costs = least(there, rounds)
        for row in found.rows:
            if row.name in costs:
                row.ns = (costs[row.name] - loop) / events
        yield found


def check(name: str, made: object, expected: bytes) -> None:
    """Raise ValueError for a frame that says something else; a peer may frame it otherwise."""
    right = peer_writers.matches(made, expected) if name in WRITERS else made == expected
    if not right:
        raise ValueError(f"{name} gave {made!r:.200}")


def note_of(name: str) -> str:
    write = f_string if name.startswith("f-string") else WRITERS.get(name, encode_sse)
    return peer_writers.describe(peer_writers.faults(write))


def least(rows: list[tuple[str, str]], rounds: int) -> dict[str, float]:
    """Give the least nanoseconds of an evaluation of each, the loop's own among them."""
    timers = [(name, timeit.Timer(expression, globals=NAMES)) for name, expression in rows]
    numbers = [max(1, timer.autorange()[0] // 200) for _, timer in timers]  # a millisecond each
    found = dict.fromkeys((name for name, _ in rows), float("inf"))
    for _ in range(rounds):
        for (name, timer), number in zip(timers, numbers, strict=True):
            found[name] = min(found[name], timer.timeit(number) / number * 1e9)
    return found
