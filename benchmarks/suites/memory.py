"""The most memory that a use takes: what is written or read at once must show, and no more."""

from __future__ import annotations

import payloads

import gaistream

from . import TWINS, must, sizes

MIB = 2**20


class Peak:
    """Large frames out and in, of each twin."""

    params = (tuple(TWINS), sizes(1, 4, 16))
    param_names = ("twin", "MiB")

    def setup(self, twin: str, size: int) -> None:
        self.core, self.text = TWINS[twin], "x" * (size * MIB)

    def peakmem_encode_sse(self, twin: str, size: int) -> None:  # noqa: ARG002
        must(len(self.core.encode_sse(self.text)), size * MIB + 8)

    def peakmem_decode_sse(self, twin: str, size: int) -> None:  # noqa: ARG002
        decoder = self.core.SSEDecoder(max_event_bytes=2**26)
        decoder.feed(b"data: ")
        for _ in range(size * 1024):
            decoder.feed(b"x" * 1024)
        (event,) = decoder.feed(b"\n\n")
        must(len(event.data_bytes), size * MIB)


class Steady:
    """Many small frames, one behind the other: the number must not show."""

    params = sizes(1000, 10_000, 100_000)
    param_names = ("events",)

    def peakmem_write(self, count: int) -> None:
        sent = 0

        def sink(data: bytes) -> None:
            nonlocal sent
            sent += len(data)

        writer = gaistream.SSEWriter(sink)
        for _ in range(count):
            writer.write(payloads.TOKEN)
        must(sent, count * len(payloads.TOKEN_FRAME))

    def peakmem_read(self, count: int) -> None:
        decoder = gaistream.SSEDecoder()
        must(sum(len(decoder.feed(payloads.TOKEN_FRAME)) for _ in range(count)), count)
