"""Content codings: undo gzip, deflate, br and zstd piece by piece, in bounded memory.

At most 1 MiB comes out at a time, 64 KiB of most codings, however many bytes one of the body stands
for; and a body has at most two codings. br needs the package brotli (1.2 or later) or brotlicffi,
zstd needs Python 3.14, backports.zstd or zstandard; gzip and deflate need nothing.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from ..errors import ContentEncodingError

__all__ = ["BodyDecoder", "codings_of", "unasked_coding"]

_PIECE = 2**16  # bytes that come out at once
_MOST_CODINGS = 2
_LONGEST_SHOWN = 80  # characters of a header in a message
_ZSTD_WINDOW = 2**23  # bytes: the most that RFC 9659 allows in HTTP


class _Coding(Protocol):
    complete: bool  # nothing is missing

    def undo(self, data: bytes) -> Iterator[bytes]: ...


class BodyDecoder:
    """Undoes the codings of one body. Belongs to one task.

    Args:
        content_encoding: the header, "" if there is none.

    Raises:
        ContentEncodingError: a coding is not known, or there are more than two; from `undo` and
            `close`, the body is not what its codings say.
    """

    def __init__(self, content_encoding: str) -> None:
        names = codings_of(content_encoding)
        if len(names) > _MOST_CODINGS:
            raise ContentEncodingError(
                f"{_shown(content_encoding)} has {len(names)} codings; {_MOST_CODINGS} are undone"
            )
        self._codings = [_new_coding(name, content_encoding) for name in reversed(names)]

    def undo(self, data: bytes) -> Iterator[bytes]:
        """Take a chunk of the body. Yield what it holds, in pieces of at most 1 MiB."""
        pieces: Iterable[bytes] = (data,)
        for coding in self._codings:
            pieces = _undone(coding, pieces)
        return iter(pieces)

    def close(self) -> None:
        """End the body; ContentEncodingError if its data was cut."""
        if not all(coding.complete for coding in self._codings):
            raise ContentEncodingError("the body ends within its compressed data: it was cut")


def codings_of(content_encoding: str) -> list[str]:
    """Return the codings of a body, in the order in which they were applied."""
    names = (name.strip().lower() for name in content_encoding.split(","))
    return [name for name in names if name not in ("", "identity")]


def unasked_coding(content_encoding: str, accept_encoding: str) -> str:
    """Return why a body is refused: it has a coding that was not asked for; "" if it has none."""
    asked = {name for name, weight in map(_weighted, accept_encoding.split(",")) if weight}
    asked |= {f"x-{name}" for name in asked}  # an old name of gzip
    if "*" in asked or asked.issuperset(codings_of(content_encoding)):
        return ""
    return (
        f"the body has {_shown(content_encoding)}, which was not asked for; the header "
        "Accept-Encoding asks for it"
    )


def _weighted(part: str) -> tuple[str, bool]:
    name, _, parameter = part.partition(";")
    value = parameter.partition("=")[2].strip()
    return name.strip().lower(), not value or value.strip("0.") != ""


def _shown(content_encoding: str) -> str:
    return f"Content-Encoding: {content_encoding[:_LONGEST_SHOWN]!r}"


def _undone(coding: _Coding, pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        try:
            yield from coding.undo(piece)
        except Exception as error:  # each library has errors of its own
            if isinstance(error, ContentEncodingError):
                raise
            raise ContentEncodingError(f"the body cannot be decompressed: {error}") from error


def _new_coding(name: str, content_encoding: str) -> _Coding:
    needed = ""
    if name in ("gzip", "x-gzip", "deflate"):
        return _Zlib(name != "deflate")
    if name == "br":
        needed = ": brotli 1.2 or brotlicffi is not installed"
        for package in ("brotlicffi", "brotli"):
            library = _imported(package)
            if hasattr(getattr(library, "Decompressor", None), "can_accept_more_data"):
                return _Brotli(library)
    elif name == "zstd":
        needed = ": backports.zstd is not installed"
        for package in ("compression.zstd", "backports.zstd"):
            if library := _imported(package):
                return _Zstd(library)
        if library := _imported("zstandard"):
            return _Zstandard(library)
    raise ContentEncodingError(f"{_shown(content_encoding)} cannot be undone{needed}")


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


class _Zlib:
    """gzip of one or several members; deflate with the header of zlib or, as some send it, none."""

    def __init__(self, gzip: bool) -> None:
        self.complete = True
        self._gzip = gzip
        self._object: Any = zlib.decompressobj(31) if gzip else None
        self._start = b""  # of deflate, while its header is not known

    def undo(self, data: bytes) -> Iterator[bytes]:
        self.complete = False
        if self._object is None:
            self._start = data = self._start + data
            if len(data) < 2:
                return
            has_header = data[0] & 15 == 8 and int.from_bytes(data[:2]) % 31 == 0
            self._object = zlib.decompressobj(15 if has_header else -15)
        full = False  # more may come out without more going in
        while data or full:
            if self._object.eof:
                if not self._gzip:
                    raise ContentEncodingError("the body goes on after its compressed data")
                self._object = zlib.decompressobj(31)
            piece = self._object.decompress(data, _PIECE)
            full = len(piece) == _PIECE and not self._object.eof
            data = self._object.unconsumed_tail or self._object.unused_data
            if piece:
                yield piece
        self.complete = self._object.eof


class _Brotli:
    """br, by brotli or brotlicffi."""

    def __init__(self, library: Any) -> None:
        self.complete = True
        self._object = library.Decompressor()

    def undo(self, data: bytes) -> Iterator[bytes]:
        self.complete = False
        while piece := self._object.process(data, output_buffer_limit=_PIECE):
            yield piece
            data = b""
        self.complete = self._object.is_finished()


class _Zstd:
    """zstd of one or several frames, by Python 3.14 or backports.zstd."""

    def __init__(self, library: Any) -> None:
        self.complete = True
        window = {library.DecompressionParameter.window_log_max: _ZSTD_WINDOW.bit_length() - 1}
        self._new: Callable[[], Any] = lambda: library.ZstdDecompressor(options=window)
        self._object = self._new()

    def undo(self, data: bytes) -> Iterator[bytes]:
        while data or not (self._object.needs_input or self._object.eof):
            if self._object.eof:
                self._object = self._new()
            piece = self._object.decompress(data, _PIECE)
            data = self._object.unused_data
            if piece:
                yield piece
        self.complete = self._object.eof


class _Zstandard:
    """zstd by zstandard, which bounds only what goes in: a block of 4 bytes may hold 128 KiB."""

    _STEP = 16

    def __init__(self, library: Any) -> None:
        self.complete = True
        decompressor = library.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        self._new: Callable[[], Any] = decompressor.decompressobj
        self._object = self._new()

    def undo(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), self._STEP):
            part = data[start : start + self._STEP]
            while part:
                if self._object.eof:
                    self._object = self._new()
                if piece := self._object.decompress(part):
                    yield piece
                part = self._object.unused_data
        self.complete = self._object.eof
