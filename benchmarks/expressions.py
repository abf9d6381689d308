"""What an expression costs where it stands: `python benchmarks/expressions.py`, or `make bench`.

timeit in one process, the cost of the empty loop taken off, the least of many repeats; each row
beside its peer and checked for its bytes. A row is a ratio to the peer named first in its group,
so compare within a group only. Needs orjson; sse-starlette and pydantic are measured where they
are installed.
"""

from __future__ import annotations

import contextlib
import platform
import sys
import timeit
from typing import Any

import orjson
import payloads

import gaistream
from gaistream import encode_events, encode_ndjson, encode_sse, pure
from gaistream.events import TextDelta

TOKEN_TEMPLATE = gaistream.FrameTemplate(b'event: text_delta\ndata: {"text":"', b'"}\n\n')
CHUNK_TEMPLATE = gaistream.FrameTemplate.of(payloads.openai_chunk("THE TEXT"), "THE TEXT")
encoder = gaistream.SSEEncoder()
NAMES: dict[str, Any] = {
    "data": payloads.SMALL_DATA,
    "event": payloads.SMALL_EVENT,
    "token": payloads.TOKEN,
    "delta": TextDelta(payloads.TOKEN),
    "deltas": [TextDelta(payloads.TOKEN)] * payloads.TOKENS,
    "tokens": [payloads.TOKEN] * payloads.TOKENS,
    "lines": payloads.LINES,
    "row": payloads.ROW,
    "newline": orjson.OPT_APPEND_NEWLINE,
    "dumps": orjson.dumps,
    "openai_chunk": payloads.openai_chunk,
    "TextDelta": TextDelta,
    "encode_sse": encode_sse,
    "encode_events": encode_events,
    "encode_ndjson": encode_ndjson,
    "pure": pure,
    "render": TOKEN_TEMPLATE.render,
    "render_many": TOKEN_TEMPLATE.render_many,
    "render_chunk": CHUNK_TEMPLATE.render,
    "write": encoder.write,
    "take": encoder.take,
}
with contextlib.suppress(ImportError):
    from sse_starlette import ServerSentEvent

    def starlette(data: str, event: str | None = None) -> bytes:
        return ServerSentEvent(data, event=event, sep="\n").encode()

    NAMES["starlette"] = starlette
with contextlib.suppress(ImportError):
    NAMES["Chunk"] = payloads.openai_chunk_model()

SMALL, TOKEN, LINES = payloads.SMALL_FRAME, payloads.TOKEN_FRAME, payloads.LINES_FRAME
CHUNK = b"data: " + orjson.dumps(payloads.openai_chunk(payloads.TOKEN)) + b"\n\n"
# group, events an evaluation, expected bytes, then (name, expression) with the peer first
GROUPS: list[tuple[str, int, bytes | None, list[tuple[str, str]]]] = [
    ("a small frame", 1, SMALL, [
        ("f-string and encode", r'f"event: {event}\ndata: {data}\n\n".encode()'),
        ("encode_sse, event by keyword", "encode_sse(data, event=event)"),
        ("encode_sse, event by position", "encode_sse(data, event)"),
        ("the pure twin's", "pure.encode_sse(data, event)"),
        ("sse-starlette", "starlette(data, event)"),
    ]),
    ("a token to its frame", 1, TOKEN, [
        ("orjson and concatenation",
         r'b"event: text_delta\ndata: " + dumps({"text": token}) + b"\n\n"'),
        ("FrameTemplate.render", "render(token)"),
        ("SSEEncoder.write and take", "write(delta) or take()"),
    ]),
    ("making a TextDelta", 1, None, [("TextDelta", "TextDelta(token)")]),
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
        ("the pure twin's", "pure.encode_sse(lines)"),
        ("sse-starlette", "starlette(lines)"),
    ]),
    ("an OpenAI chunk", 1, CHUNK, [
        ("pydantic, built and dumped",
         r'f"data: {Chunk(**openai_chunk(token)).model_dump_json()}\n\n".encode()'),
        ("orjson of a dict", r'b"data: " + dumps(openai_chunk(token)) + b"\n\n"'),
        ("FrameTemplate.render", "render_chunk(token)"),
    ]),
    ("an NDJSON line of a small row", 1, orjson.dumps(payloads.ROW) + b"\n", [
        ("orjson", "dumps(row, option=newline)"),
        ("encode_ndjson", "encode_ndjson(row)"),
    ]),
]


def least(expression: str) -> float:
    """Give the least nanoseconds that one evaluation took, the loop's own among them."""
    timer = timeit.Timer(expression, globals=NAMES)
    number = max(1, timer.autorange()[0] // 10)
    return min(timer.repeat(15, number)) / number * 1e9


def main() -> None:
    """Print the table."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    print(f"gaistream {gaistream.__version__}, {gaistream.backend}; {python}, {platform.machine()}")
    loop = least("pass")
    for group, events, expected, rows in GROUPS:
        print(f"\n{group}")
        first = None
        for name, expression in rows:
            try:
                found = eval(expression, NAMES)  # these are our own
            except NameError as error:
                print(f"  {name:32}  not installed ({error.name})")
                continue
            if expected is not None and found != expected:
                sys.exit(f"{name} gave {found[:200]!r}")
            cost = (least(expression) - loop) / events
            first = first or cost
            print(f"  {name:32} {cost:9.1f} ns {cost / first:7.3f}")


if __name__ == "__main__":
    main()
