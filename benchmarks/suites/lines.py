"""Frames in: the same bytes in chunks of each size, and one event by its length."""

from __future__ import annotations

from typing import Any

import payloads

from . import TWINS, Timed, must, sizes

EVENTS = 500
VALUE = {"type": "text_delta", "text": payloads.TOKEN}
LINE = b'{"type":"text_delta","text":"benchmark"}\n'


def cut(text: bytes, size: int) -> list[bytes]:
    return [text[at : at + size] for at in range(0, len(text), size)]


class Chunks(Timed):
    """500 small events, by how the network cut them."""

    params = (tuple(TWINS), sizes(1, 16, 256, 4096, 65_536))
    param_names = ("twin", "chunk bytes")

    def setup(self, twin: str, size: int) -> None:
        self.core = TWINS[twin]
        self.sse, self.ndjson = cut(payloads.TOKEN_FRAME * EVENTS, size), cut(LINE * EVENTS, size)
        must([event.data for event in self.time_sse()], ['{"text":"benchmark"}'] * EVENTS)
        must(self.time_ndjson(), [VALUE] * EVENTS)
        must(self.time_lines(), [LINE[:-1]] * EVENTS)

    def time_sse(self, *_: object) -> list[Any]:
        feed = self.core.SSEDecoder().feed
        return [event for chunk in self.sse for event in feed(chunk)]

    def time_ndjson(self, *_: object) -> list[Any]:
        feed = self.core.NDJSONDecoder().feed
        return [value for chunk in self.ndjson for value in feed(chunk)]

    def time_lines(self, *_: object) -> list[bytes]:
        feed = self.core.LineSplitter(max_line_bytes=2**20).feed
        return [line for chunk in self.ndjson for line in feed(chunk)]


class LongEvents(Timed):
    """One event, by its length and by the number of its lines, in chunks of 1 KiB."""

    params = (tuple(TWINS), sizes(10_000, 100_000, 1_000_000))
    param_names = ("twin", "bytes")

    def setup(self, twin: str, size: int) -> None:
        self.core = TWINS[twin]
        self.line = cut(b"data: " + b"x" * size + b"\n\n", 1024)
        self.lines = cut(b"data: 1234567890123\n" * (size // 20) + b"\n", 1024)
        must([event.data for event in self.time_one_line()], ["x" * size])
        must([event.data for event in self.time_many_lines()],
             ["\n".join(["1234567890123"] * (size // 20))])  # fmt: skip

    def read(self, chunks: list[bytes]) -> list[Any]:
        feed = self.core.SSEDecoder().feed
        return [event for chunk in chunks for event in feed(chunk)]

    def time_one_line(self, *_: object) -> list[Any]:
        return self.read(self.line)

    def time_many_lines(self, *_: object) -> list[Any]:
        return self.read(self.lines)
