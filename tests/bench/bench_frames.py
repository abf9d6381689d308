"""gaistream and its peers, each case in one run: `make bench`. Compare within a group only.

Every case asserts its bytes beside its time. A bulk is divided by its events: its time is that of
a thousand of them.
"""

from __future__ import annotations

import json

import orjson
import payloads
import pytest
from sse_starlette import ServerSentEvent as StarletteEvent

import gaistream
from gaistream import FrameTemplate, SSEEncoder, encode_events, encode_ndjson, encode_sse, pure
from gaistream.events import TextDelta

EVENT, DATA = payloads.SMALL_EVENT, payloads.SMALL_DATA
group = pytest.mark.benchmark


def check(benchmark, function, *arguments, expected=None, iterations=10_000):
    result = benchmark.pedantic(
        function, arguments, iterations=iterations, rounds=30, warmup_rounds=1
    )
    benchmark.extra_info["correct"] = expected is None or result == expected
    assert benchmark.extra_info["correct"], result


# ---- a small frame ----
# Each in a function of its own, as a caller would have it.


def f_string(data, event):
    return f"event: {event}\ndata: {data}\n\n".encode()


def starlette_frame(data, event):
    return StarletteEvent(data, event=event, sep="\n").encode()


@group(group="1 small frame")
def bench_small_f_string(benchmark):
    check(benchmark, f_string, DATA, EVENT, expected=payloads.SMALL_FRAME)


def by_keyword(data, event):
    return encode_sse(data, event=event)


def by_position(data, event):
    return encode_sse(data, event)


@group(group="1 small frame")
def bench_small_gaistream_by_keyword(benchmark):
    check(benchmark, by_keyword, DATA, EVENT, expected=payloads.SMALL_FRAME)


@group(group="1 small frame")
def bench_small_gaistream_by_position(benchmark):
    check(benchmark, by_position, DATA, EVENT, expected=payloads.SMALL_FRAME)


@group(group="1 small frame")
def bench_small_gaistream_pure(benchmark):
    check(benchmark, pure.encode_sse, DATA, EVENT, expected=payloads.SMALL_FRAME)


@group(group="1 small frame")
def bench_small_sse_starlette(benchmark):
    check(benchmark, starlette_frame, DATA, EVENT, expected=payloads.SMALL_FRAME)


# ---- a token event to its frame ----

TEMPLATE = FrameTemplate(b'event: text_delta\ndata: {"text":"', b'"}\n\n')


def concatenated(text):
    return b"event: text_delta\ndata: " + orjson.dumps({"text": text}) + b"\n\n"


@group(group="2 token to frame")
def bench_token_orjson_and_concatenation(benchmark):
    check(benchmark, concatenated, payloads.TOKEN, expected=payloads.TOKEN_FRAME)


@group(group="2 token to frame")
def bench_token_template(benchmark):
    check(benchmark, TEMPLATE.render, payloads.TOKEN, expected=payloads.TOKEN_FRAME)


@group(group="2 token to frame")
def bench_token_encoder_write_and_take(benchmark):
    encoder = SSEEncoder()
    event = TextDelta(payloads.TOKEN)

    def write_and_take(write=encoder.write, take=encoder.take):
        write(event)
        return take()

    check(benchmark, write_and_take, expected=payloads.TOKEN_FRAME)


@group(group="2 token to frame")
def bench_token_event_made(benchmark):
    check(benchmark, TextDelta, payloads.TOKEN)


# ---- a thousand token events ----

EVENTS = [TextDelta(payloads.TOKEN)] * payloads.TOKENS
TEXTS = [payloads.TOKEN] * payloads.TOKENS


@group(group="3 a thousand tokens")
def bench_bulk_orjson_and_concatenation(benchmark):
    check(
        benchmark,
        lambda: b"".join([concatenated(text) for text in TEXTS]),
        expected=payloads.TOKEN_FRAME * payloads.TOKENS,
        iterations=30,
    )


@group(group="3 a thousand tokens")
def bench_bulk_f_string(benchmark):
    check(
        benchmark,
        lambda: b"".join([f_string(f'{{"text":"{text}"}}', "text_delta") for text in TEXTS]),
        expected=payloads.TOKEN_FRAME * payloads.TOKENS,
        iterations=30,
    )


@group(group="3 a thousand tokens")
def bench_bulk_encode_events(benchmark):
    check(
        benchmark,
        encode_events,
        EVENTS,
        expected=payloads.TOKEN_FRAME * payloads.TOKENS,
        iterations=30,
    )


@group(group="3 a thousand tokens")
def bench_bulk_template_render_many(benchmark):
    check(
        benchmark,
        TEMPLATE.render_many,
        TEXTS,
        expected=payloads.TOKEN_FRAME * payloads.TOKENS,
        iterations=30,
    )


# ---- 4 KB in 40 lines ----


def split_and_join(data):
    return ("".join(f"data: {line}\n" for line in data.splitlines()) + "\n").encode()


@group(group="4 4 KB in 40 lines")
def bench_lines_split_and_join(benchmark):
    check(benchmark, split_and_join, payloads.LINES, expected=payloads.LINES_FRAME, iterations=500)


@group(group="4 4 KB in 40 lines")
def bench_lines_gaistream(benchmark):
    check(benchmark, encode_sse, payloads.LINES, expected=payloads.LINES_FRAME, iterations=500)


@group(group="4 4 KB in 40 lines")
def bench_lines_gaistream_pure(benchmark):
    check(benchmark, pure.encode_sse, payloads.LINES, expected=payloads.LINES_FRAME, iterations=500)


@group(group="4 4 KB in 40 lines")
def bench_lines_sse_starlette(benchmark):
    check(benchmark, lambda: StarletteEvent(payloads.LINES, sep="\n").encode(),
          expected=payloads.LINES_FRAME, iterations=500)


# ---- an OpenAI chunk ----


Chunk = payloads.openai_chunk_model()
CHUNK = FrameTemplate.of(payloads.openai_chunk("THE TEXT"), "THE TEXT")
CHUNK_FRAME = b"data: " + orjson.dumps(payloads.openai_chunk(payloads.TOKEN)) + b"\n\n"


@group(group="5 OpenAI chunk")
def bench_chunk_pydantic(benchmark):
    def made(text):
        chunk = Chunk(**payloads.openai_chunk(text))
        return f"data: {chunk.model_dump_json()}\n\n".encode()

    check(benchmark, made, payloads.TOKEN, expected=CHUNK_FRAME)


@group(group="5 OpenAI chunk")
def bench_chunk_orjson_of_a_dict(benchmark):
    check(
        benchmark,
        lambda text: b"data: " + orjson.dumps(payloads.openai_chunk(text)) + b"\n\n",
        payloads.TOKEN,
        expected=CHUNK_FRAME,
    )


@group(group="5 OpenAI chunk")
def bench_chunk_template(benchmark):
    check(benchmark, CHUNK.render, payloads.TOKEN, expected=CHUNK_FRAME)


# ---- an NDJSON line ----


@group(group="6 NDJSON line of a row")
def bench_row_orjson(benchmark):
    check(
        benchmark,
        lambda row: orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE),
        payloads.ROW,
        expected=orjson.dumps(payloads.ROW) + b"\n",
    )


@group(group="6 NDJSON line of a row")
def bench_row_gaistream(benchmark):
    check(benchmark, encode_ndjson, payloads.ROW, expected=orjson.dumps(payloads.ROW) + b"\n")


@group(group="6 NDJSON line of a row")
def bench_row_json(benchmark):
    check(
        benchmark,
        lambda row: json.dumps(row, separators=(",", ":")).encode() + b"\n",
        payloads.ROW,
        expected=orjson.dumps(payloads.ROW) + b"\n",
    )


def test_the_compiled_core_is_measured():
    assert gaistream.backend == "native"
