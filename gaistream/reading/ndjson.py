"""`NDJSONReader`: the values of a source of newline-delimited JSON."""

from __future__ import annotations

from collections.abc import Callable
from types import EllipsisType
from typing import Any

from ..core import NDJSONDecoder
from ..errors import NDJSONError
from .reader import MAX_BYTES, AsyncReader, SyncReader

__all__ = ["NDJSONReader"]


class NDJSONReader(SyncReader[Any], AsyncReader[Any]):
    """The values of a source of newline-delimited JSON. Belongs to one task.

    Iterate it with `for`, or with `async for`, which takes sync sources too and reads one that may
    block in its own thread. With on_error="raise" a bad line raises NDJSONError in the place of its
    value, and the next step continues after it. The source is closed when it ends, when it fails,
    and by `close()`, `aclose()`, `with` and `async with`.

    Args:
        source: bytes; a file, pipe or socket; a response of httpx, aiohttp, requests or urllib3;
            an iterable or async iterable of bytes.
        max_line_bytes: the limit of one line, in bytes (16 MiB); see `NDJSONDecoder`.
        strict: see `NDJSONDecoder`.
        loads: see `NDJSONDecoder`.
        on_error: see `NDJSONDecoder`; an exception of a callable ends the reading.

    Raises:
        FrameTypeError: `source` is not a source of bytes, or yields text.
        FrameError: while iterating: the source is UTF-16, or compressed with gzip.
        NDJSONError: while iterating: a bad line.
        EventTooLarge: while iterating: a line beyond the limit.
    """

    def __init__(
        self,
        source: Any,
        *,
        max_line_bytes: int = MAX_BYTES,
        strict: bool = False,
        loads: Callable[[bytes], Any] | EllipsisType | None = ...,
        on_error: str | Callable[[NDJSONError], object] = "raise",
    ) -> None:
        decoder = NDJSONDecoder(
            max_line_bytes=max_line_bytes, strict=strict, loads=loads, on_error=on_error
        )
        super().__init__(source, decoder)

    def read(self) -> Any:
        """Return the next value of a sync source; raise EOFError after the last one."""
        try:
            return next(self)
        except StopIteration:
            raise EOFError("there is no further value") from None
