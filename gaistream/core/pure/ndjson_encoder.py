"""The encoder of newline-delimited JSON: one payload a line. Twin of src/ndjson_encoder.pxi."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gaistream.errors import FrameError

from .encoder import BaseEncoder
from .payloads import write_json
from .text import text_bytes


class BaseNDJSONEncoder(BaseEncoder):
    """Write newline-delimited JSON.

    Args:
        dialect: the writer of events, a DialectWriter.
        size: bytes that the buffer starts with.
        errors: "replace" or "strict".
        dumps: encodes payloads as JSON without a line end; None: the installed library does,
            compactly.
    """

    __slots__ = ("_dumps",)

    def __init__(
        self,
        dialect: Any,
        size: int = 8192,
        errors: str = "replace",
        dumps: Callable[[Any], bytes] | None = None,
    ) -> None:
        super().__init__(dialect, size, errors)
        self._dumps = dumps

    def write_line(self, payload: Any) -> None:
        """Write one payload as one line."""
        self._check_open()
        if self._dumps is None:
            line = write_json(payload, True, self._replace)
        else:
            line = self._dumps(payload) + b"\n"
        self._buffer.append(line)
        self.failed = False

    def write_text_line(self, data: str | bytes | bytearray | memoryview) -> None:
        """Write a line of JSON text; FrameError if it has a CR or LF in it."""
        self._check_open()
        line = text_bytes("data", data, self._replace)
        for index, byte in enumerate(line):
            if byte in b"\r\n":
                name = "CR" if byte == 0x0D else "LF"
                raise FrameError(
                    "data must be one line: "
                    f"found {name} at index {index} of {len(line)} bytes"
                )
        self._buffer.append(line + b"\n")
        self.failed = False

    def write_heartbeat(self) -> None:
        """Write a ping line."""
        failed = self.failed
        self.write_line({"type": "ping"})
        self.failed = failed
