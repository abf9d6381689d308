"""Frames out: one small frame, lines by number, a text by length, tokens in bulk."""

import payloads

import gaistream
from gaistream.events import TextDelta

from . import TWINS, must


class Small:
    params = list(TWINS)
    param_names = ("twin",)

    def setup(self, twin):
        self.encode, made = TWINS[twin].encode_sse, TWINS[twin].FrameTemplate
        self.render = made(b'event: text_delta\ndata: {"text":"', b'"}\n\n').render
        must(self.encode(payloads.SMALL_DATA, payloads.SMALL_EVENT), payloads.SMALL_FRAME)
        must(self.render(payloads.TOKEN), payloads.TOKEN_FRAME)

    def time_encode_sse(self, twin):
        self.encode(payloads.SMALL_DATA, payloads.SMALL_EVENT)

    def time_render(self, twin):
        self.render(payloads.TOKEN)


class Sizes:
    params = (list(TWINS), [100, 1000, 10_000, 100_000, 1_000_000])
    param_names = ("twin", "bytes")

    def setup(self, twin, size):
        self.encode = TWINS[twin].encode_sse
        self.line, self.lines = "x" * size, ("x" * 49 + "\n") * (size // 50) + "x"
        must(self.encode(self.line), b"data: " + b"x" * size + b"\n\n")
        must(self.encode(self.lines).count(b"data: "), size // 50 + 1)

    def time_one_line(self, twin, size):
        self.encode(self.line)

    def time_many_lines(self, twin, size):
        self.encode(self.lines)


class Bulk:
    params = [1, 10, 100, 1000, 10_000]
    param_names = ("events",)

    def setup(self, count):
        self.events = [TextDelta(payloads.TOKEN)] * count
        must(gaistream.encode_events(self.events), payloads.TOKEN_FRAME * count)

    def time_encode_events(self, count):
        gaistream.encode_events(self.events)

    def track_allocations(self, count):
        before = sum(TWINS["native"].allocations())
        gaistream.encode_events(self.events)
        return sum(TWINS["native"].allocations()) - before
