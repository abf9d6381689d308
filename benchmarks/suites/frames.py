"""Frames out: a small one, texts and lines by length, tokens and rows by number."""

from __future__ import annotations

import collections

import payloads

import gaistream
from gaistream.events import TextDelta

from . import TWINS, Timed, allocations, must, sizes

ROW_LINE = b'{"id":1234567,"name":"benchmark","score":0.75,"ok":true}\n'
HUNDRED = (None,) * 100


class Small(Timed):
    """One small frame, by each way to it; a hundred times, for a call of ASV's costs as much."""

    params = tuple(TWINS)
    param_names = ("twin",)

    def setup(self, twin: str) -> None:
        core = TWINS[twin]
        self.encode, self.row = core.encode_sse, core.encode_ndjson
        self.render = core.FrameTemplate(b'event: text_delta\ndata: {"text":"', b'"}\n\n').render
        must(self.encode(payloads.SMALL_DATA, payloads.SMALL_EVENT), payloads.SMALL_FRAME)
        must(self.render(payloads.TOKEN), payloads.TOKEN_FRAME)
        must(self.row(payloads.ROW), ROW_LINE)

    def time_encode_sse(self, twin: str) -> None:  # noqa: ARG002
        encode, data, event = self.encode, payloads.SMALL_DATA, payloads.SMALL_EVENT
        for _ in HUNDRED:
            encode(data, event)

    def time_render(self, twin: str) -> None:  # noqa: ARG002
        render, token = self.render, payloads.TOKEN
        for _ in HUNDRED:
            render(token)

    def time_encode_ndjson(self, twin: str) -> None:  # noqa: ARG002
        encode, row = self.row, payloads.ROW
        for _ in HUNDRED:
            encode(row)


class AsWritten(Timed):
    """Small calls as people write them; a hundred times."""

    def setup(self) -> None:
        must(gaistream.encode_sse(payloads.SMALL_DATA, payloads.SMALL_EVENT), payloads.SMALL_FRAME)
        must(gaistream.encode_events([TextDelta(payloads.TOKEN)]), payloads.TOKEN_FRAME)

    def time_encode_sse_of_the_module(self) -> None:
        data, event = payloads.SMALL_DATA, payloads.SMALL_EVENT
        for _ in HUNDRED:
            gaistream.encode_sse(data, event=event)

    def time_encode_events_of_one(self) -> None:
        encode, delta = gaistream.encode_events, TextDelta(payloads.TOKEN)
        for _ in HUNDRED:
            encode([delta])


class Sizes(Timed):
    """A text by its length: in one line, and in lines of 50 bytes."""

    params = (tuple(TWINS), sizes(100, 1000, 10_000, 100_000, 1_000_000))
    param_names = ("twin", "bytes")

    def setup(self, twin: str, size: int) -> None:
        self.encode = TWINS[twin].encode_sse
        self.line, self.lines = "x" * size, ("x" * 49 + "\n") * (size // 50) + "x"
        must(self.time_one_line(), b"data: " + b"x" * size + b"\n\n")
        must(self.time_many_lines(),
             (b"data: " + b"x" * 49 + b"\n") * (size // 50) + b"data: x\n\n")  # fmt: skip

    def time_one_line(self, *_: object) -> bytes:
        return self.encode(self.line)

    def time_many_lines(self, *_: object) -> bytes:
        return self.encode(self.lines)


class Bulk(Timed):
    """Many in one call."""

    params = sizes(1, 10, 100, 1000, 10_000)
    param_names = ("events",)

    def setup(self, count: int) -> None:
        self.events = [TextDelta(payloads.TOKEN)] * count
        self.rows = [payloads.ROW] * count
        must(self.time_encode_events(), payloads.TOKEN_FRAME * count)
        must(self.time_encode_ndjson_lines(), ROW_LINE * count)

    def time_encode_events(self, *_: object) -> bytes:
        return gaistream.encode_events(self.events)

    def time_encode_ndjson_lines(self, *_: object) -> bytes:
        return gaistream.encode_ndjson_lines(self.rows)

    def track_allocations(self, *_: object) -> int:
        before = allocations()
        gaistream.encode_events(self.events)
        return allocations() - before

    track_allocations.unit = "allocations"  # type: ignore[attr-defined]


class Writers(Timed):
    """A hundred tokens through the encoder, and through the writer to its sink, one by one."""

    params = ("sse", "ndjson")
    param_names = ("format",)

    def setup(self, format: str) -> None:
        kinds = {
            "sse": (gaistream.SSEEncoder, gaistream.SSEWriter, payloads.TOKEN_FRAME),
            "ndjson": (gaistream.NDJSONEncoder, gaistream.NDJSONWriter,
                       b'{"type":"text_delta","text":"benchmark"}\n'),
        }  # fmt: skip
        encoder, writer, frame = kinds[format]
        self.token, self.encoder, sent = TextDelta(payloads.TOKEN), encoder(), []
        self.encoder.write(self.token)
        must(self.encoder.take(), frame)
        self.writer = writer(sent.append)
        self.time_writer()
        must(sent, [frame] * 100)
        self.writer = writer(collections.deque(maxlen=0).append)

    def time_encoder(self, *_: object) -> None:
        write, take, token = self.encoder.write, self.encoder.take, self.token
        for _each in HUNDRED:
            write(token)
            take()

    def time_writer(self, *_: object) -> None:
        write, token = self.writer.write, self.token
        for _each in HUNDRED:
            write(token)
