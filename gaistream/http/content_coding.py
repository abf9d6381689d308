"""Content codings: decode gzip, deflate, br and zstd piece by piece, in bounded memory.

A piece has at most 1 MiB, 64 KiB of most codings, whatever the ratio of compression, and a body has
at most two codings. br needs the package brotli (1.2 or later) or brotlicffi. zstd needs Python
3.14, backports.zstd or zstandard. gzip and deflate need no package.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from ..errors import ContentEncodingError

__all__ = ["BodyDecoder", "codings_of", "unasked_coding"]

_PIECE_BYTES = 2**16
_MAX_CODINGS = 2
_MAX_SHOWN = 80  # characters of a header in a message
_MAX_ZSTD_WINDOW = 2**23  # bytes (RFC 9659)


class _Coding(Protocol):
    complete: bool  # False while compressed data is missing

    def decode(self, data: bytes) -> Iterator[bytes]: ...


class BodyDecoder:
    """Decodes one body. Belongs to one task.

    Args:
        content_encoding: the header, or "" if it is missing.

    Raises:
        ContentEncodingError: a coding is unknown, or there are more than two; from `decode` and
            `close`, the body does not match its codings.
    """

    def __init__(self, content_encoding: str) -> None:
        names = codings_of(content_encoding)
        if len(names) > _MAX_CODINGS:
            raise ContentEncodingError(
                f"{_shown(content_encoding)} has {len(names)} codings, and at most {_MAX_CODINGS} "
                "are decoded"
            )
        self._codings = [_new_coding(name, content_encoding) for name in reversed(names)]

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield the decoded bytes of a chunk, in pieces of at most 1 MiB."""
        pieces: Iterable[bytes] = (data,)
        for coding in self._codings:
            pieces = _decoded(coding, pieces)
        return iter(pieces)

    def close(self) -> None:
        """End the body; raise ContentEncodingError if it is truncated."""
        if not all(coding.complete for coding in self._codings):
            raise ContentEncodingError("the body ends within its compressed data: it was cut")


def codings_of(content_encoding: str) -> list[str]:
    """Return the codings of a body, in the order in which they were applied."""
    names = (name.strip().lower() for name in content_encoding.split(","))
    return [name for name in names if name not in ("", "identity")]


def unasked_coding(content_encoding: str, accept_encoding: str) -> str:
    """Return why a body with a coding that was not requested is refused, or "" if it is not."""
    accepted = {name for name, weight in map(_weighted, accept_encoding.split(",")) if weight}
    accepted |= {f"x-{name}" for name in accepted}  # x-gzip is an old name of gzip
    if "*" in accepted or accepted.issuperset(codings_of(content_encoding)):
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
    return f"Content-Encoding: {content_encoding[:_MAX_SHOWN]!r}"


def _decoded(coding: _Coding, pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        try:
            yield from coding.decode(piece)
        except Exception as error:  # each library has its own errors
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
    raise ContentEncodingError(f"{_shown(content_encoding)} cannot be decoded{needed}")


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


class _Zlib:
    """gzip of one or several members; deflate, with or without the header of zlib."""

    def __init__(self, gzip: bool) -> None:
        self.complete = True
        self._gzip = gzip
        self._object: Any = zlib.decompressobj(31) if gzip else None
        self._start = b""  # of deflate, until its header is known

    def decode(self, data: bytes) -> Iterator[bytes]:
        self.complete = False
        if self._object is None:
            self._start = data = self._start + data
            if len(data) < 2:
                return
            has_header = data[0] & 15 == 8 and int.from_bytes(data[:2]) % 31 == 0
            self._object = zlib.decompressobj(15 if has_header else -15)
        full = False  # more output may follow without more input
        while data or full:
            if self._object.eof:
                if not self._gzip:
                    raise ContentEncodingError("the body goes on after its compressed data")
                self._object = zlib.decompressobj(31)
            piece = self._object.decompress(data, _PIECE_BYTES)
            full = len(piece) == _PIECE_BYTES and not self._object.eof
            data = self._object.unconsumed_tail or self._object.unused_data
            if piece:
                yield piece
        self.complete = self._object.eof


class _Brotli:
    """br, with brotli or brotlicffi."""

    def __init__(self, library: Any) -> None:
        self.complete = True
        self._object = library.Decompressor()

    def decode(self, data: bytes) -> Iterator[bytes]:
        self.complete = False
        while piece := self._object.process(data, output_buffer_limit=_PIECE_BYTES):
            yield piece
            data = b""
        self.complete = self._object.is_finished()


class _Zstd:
    """zstd of one or several frames, with Python 3.14 or backports.zstd."""

    def __init__(self, library: Any) -> None:
        self.complete = True
        window = {library.DecompressionParameter.window_log_max: _MAX_ZSTD_WINDOW.bit_length() - 1}
        self._new: Callable[[], Any] = lambda: library.ZstdDecompressor(options=window)
        self._object = self._new()

    def decode(self, data: bytes) -> Iterator[bytes]:
        while data or not (self._object.needs_input or self._object.eof):
            if self._object.eof:
                self._object = self._new()
            piece = self._object.decompress(data, _PIECE_BYTES)
            data = self._object.unused_data
            if piece:
                yield piece
        self.complete = self._object.eof


class _Zstandard:
    """zstd, with zstandard, which can bound only its input: 4 bytes may become 128 KiB."""

    _STEP_BYTES = 16

    def __init__(self, library: Any) -> None:
        self.complete = True
        decompressor = library.ZstdDecompressor(max_window_size=_MAX_ZSTD_WINDOW)
        self._new: Callable[[], Any] = decompressor.decompressobj
        self._object = self._new()

    def decode(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), self._STEP_BYTES):
            part = data[start : start + self._STEP_BYTES]
            while part:
                if self._object.eof:
                    self._object = self._new()
                if piece := self._object.decompress(part):
                    yield piece
                part = self._object.unused_data
        self.complete = self._object.eof
