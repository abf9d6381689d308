"""The most memory that a use takes: what is written or read at once must show, and no more."""

import payloads

import gaistream

from . import TWINS, must


class Peak:
    params = (list(TWINS), [1, 4, 16])
    param_names = ("twin", "MiB")

    def setup(self, twin, size):
        self.core, self.text = TWINS[twin], "x" * (size * 2**20)

    def peakmem_encode_sse(self, twin, size):
        must(len(self.core.encode_sse(self.text)), len(self.text) + 8)

    def peakmem_read_in_chunks(self, twin, size):
        decoder = self.core.SSEDecoder(max_event_bytes=2**26)
        decoder.feed(b"data: ")
        for _ in range(size * 1024):
            decoder.feed(b"x" * 1024)
        must(len(decoder.feed(b"\n\n")), 1)

    def peakmem_many_small(self, twin, size):
        writer = gaistream.SSEWriter(lambda data: None)
        for _ in range(size * 10_000):
            writer.write(payloads.TOKEN)
        writer.close()
