"""Frames in: the same bytes in chunks of each size, and one event of each length."""

import payloads

from . import TWINS, must

EVENTS = 500


class Chunks:
    params = (list(TWINS), [1, 16, 256, 4096, 65_536])
    param_names = ("twin", "chunk bytes")

    def setup(self, twin, size):
        self.core = TWINS[twin]
        text = payloads.TOKEN_FRAME * EVENTS
        self.chunks = [text[at : at + size] for at in range(0, len(text), size)]
        must(self.time_sse(twin, size), EVENTS)
        must(self.time_lines(twin, size), 3 * EVENTS)

    def time_sse(self, twin, size):
        feed = self.core.SSEDecoder().feed
        return sum(len(feed(chunk)) for chunk in self.chunks)

    def time_lines(self, twin, size):
        feed = self.core.LineSplitter(max_line_bytes=2**20).feed
        return sum(len(feed(chunk)) for chunk in self.chunks)


class LongEvents:
    params = (list(TWINS), [10_000, 100_000, 1_000_000])
    param_names = ("twin", "bytes")

    def setup(self, twin, size):
        self.core = TWINS[twin]
        text = b"data: " + b"x" * size + b"\n\n"
        self.chunks = [text[at : at + 1024] for at in range(0, len(text), 1024)]
        must(self.time_in_chunks_of_1_kb(twin, size), 1)

    def time_in_chunks_of_1_kb(self, twin, size):
        feed = self.core.SSEDecoder().feed
        return sum(len(feed(chunk)) for chunk in self.chunks)
