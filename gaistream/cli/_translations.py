"""Translations of a stream from one protocol to another, chunk by chunk, in bounded memory.

The events are read by one dialect and written by the other, so a translation keeps what both can
say. A stream that was cut, or has failed, ends in the other protocol's error. No input or output.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from ..dialects import Dialect
from ..errors import EventTooLarge
from ..events import Done, Error, Event
from ..reading.events import EventDecoder
from ..writing.formats import FORMATS


class Translation:
    """One translation. Belongs to one task; its attributes are those of a Conversion.

    Args:
        source: "sse" or "ndjson", the format of the input.
        dialect: reads the input.
        target: the format of the output.
        target_dialect: writes the output.
    """

    def __init__(self, source: str, dialect: Dialect, target: str, target_dialect: Dialect) -> None:
        self.count = 0
        self.lost: Counter[str] = Counter()
        self.failure = ""
        self.wrong = ""
        self._decoder = EventDecoder(source, dialect)
        self._encoder = FORMATS[target].encoder(None, dialect=target_dialect)

    def feed(self, data: bytes) -> bytes:
        """Translate a chunk. Return the output, up to a failure if there is one."""
        return self._output(lambda: self._decoder.feed(data))

    def close(self) -> bytes:
        """Translate the end of the input. Return the rest of the output."""
        rest = self._output(self._decoder.close)
        if self.failure or self._encoder.ended:
            return rest
        self._encoder.end(None)
        return rest + self._encoder.take()

    def _output(self, read: Callable[[], list[Event]]) -> bytes:
        if self.failure:
            return b""
        try:
            events = read()
        except EventTooLarge as error:
            events, self.failure = error.values, str(error)
        for event in events:
            if self._encoder.ended:
                break
            if isinstance(event, Error):
                self.wrong = f"the stream has failed: {event.message}"
            elif not isinstance(event, Done):
                self.wrong = ""  # the stream went on
            self._encoder.write(event)
            self.count += 1
        return self._encoder.take()
