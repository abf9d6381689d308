"""Any source of bytes as chunks, for the readers.

A source is bytes; a file or a pipe (`read1` if it has that, else `read`); a socket (`recv`); a
response of httpx, httpx2, aiohttp, requests or urllib3; an asyncio or aiohttp StreamReader; or any
iterable or async iterable of bytes. It is recognised by its methods: none of these packages is
imported.

Guarantee: the source is closed when it ends, when it fails and when its reader is closed.
"""

from __future__ import annotations

import contextlib
import inspect
import io
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
)
from functools import partial
from typing import Any

from ..core import estimate_size
from ..errors import FrameTypeError
from ..http.content_coding import BodyDecoder
from ..loops import event_loop
from ..loops.sources import close_blocking, close_source, open_source
from .linger import alinger, linger

__all__ = ["BYTES_EXPECTED", "START_BYTES", "Chunks", "abody_of", "body_of", "not_text"]

_READ_BYTES = 65536  # asked for at once
START_BYTES = 4  # that `not_text` needs
BYTES_EXPECTED = (
    'data must be bytes, bytearray or memoryview (open files in binary mode, "rb", and encode '
    "text), not str"
)


class Chunks:
    """The chunks of a source, for `for` or `async for`. Belongs to one task.

    Args:
        source: see the head of this module.

    Raises:
        FrameTypeError: `source` is not a source of bytes.

    Attributes:
        is_async: True if only `async for` can read it.
    """

    def __init__(self, source: Any) -> None:
        chunks = _chunks_of(source)
        self.is_async = isinstance(chunks, AsyncIterable)
        self._opened = _OpenedSource(chunks, source)
        self._iterator: Iterator[Any] | None = None
        self._async_iterator: AsyncGenerator[Any, None] | None = None

    def __iter__(self) -> Iterator[Any]:
        self._check_sync()
        if self._iterator is None:
            self._iterator = _read(self._opened)
        return self._iterator

    def __aiter__(self) -> AsyncIterator[Any]:
        """Iterate in an event loop; a source that may block is read in its own thread."""
        if self._async_iterator is None:
            self._async_iterator = _aread(self._opened)
        return self._async_iterator

    def close(self) -> None:
        """Close a sync source. Errors of its cleanup are logged."""
        self._check_sync()
        self._opened.close()

    def finish(self) -> None:
        """Close a sync source after its last item. Keep a response's connection if possible."""
        self._check_sync()
        linger(self._opened.source, self)
        self._opened.close()

    async def aclose(self) -> None:
        """Close a source of either kind. Errors of its cleanup are logged.

        A blocking source that is being read is closed by its thread, after its next chunk.
        """
        if self._async_iterator is not None:
            await self._async_iterator.aclose()
        await self._opened.aclose()

    async def afinish(self) -> None:
        """Close a source of either kind after its last item; see `finish`.

        Only an async source may keep its connection.
        """
        try:
            if self.is_async:
                await alinger(self._opened.source, self)
        finally:
            await self.aclose()

    def _check_sync(self) -> None:
        if self.is_async:
            raise TypeError(
                f"{self._opened.kind} is an async source: it takes `async for` and aclose()"
            )


class _OpenedSource:
    """A source and its chunks, which are closed together and once.

    It has no reference to the reader, so a reader without references is collected at once, which
    closes the source.
    """

    def __init__(self, chunks: Iterable[Any] | AsyncIterable[Any], source: Any) -> None:
        self.chunks = chunks
        self.kind = type(source).__name__
        self.source = source
        self.in_thread = False  # which closes it
        self._closed = False

    def __iter__(self) -> Iterator[Any]:
        assert isinstance(self.chunks, Iterable)
        return iter(self.chunks)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            close_blocking(self.chunks, self.source)

    async def aclose(self) -> None:
        if not isinstance(self.chunks, AsyncIterable):
            if not self.in_thread:
                self.close()
        elif not self._closed:
            self._closed = True
            if self.chunks is not self.source:
                await close_source(self.chunks)
            await close_source(self.source)


def _read(opened: _OpenedSource) -> Generator[Any, None, None]:
    try:
        yield from opened
    finally:
        opened.close()


async def _aread(opened: _OpenedSource) -> AsyncGenerator[Any, None]:
    if isinstance(opened.chunks, AsyncIterable):
        chunks = opened.chunks.__aiter__()
    else:
        opened.in_thread = not isinstance(opened.chunks, list | tuple)
        chunks = open_source(opened if opened.in_thread else opened.chunks, estimate_size)
    try:
        async for chunk in chunks:
            yield chunk
    finally:
        await close_source(chunks)
        await opened.aclose()


def not_text(start: bytes) -> str | None:
    """Return why a stream cannot be UTF-8, and the remedy; None if it may be UTF-8.

    Args:
        start: the first bytes of a stream, at least `START_BYTES` if it has so many.
    """
    if start.startswith(b"\x1f\x8b"):
        return "compressed with gzip: decompress it first (gzip.open in Python, or gunzip -c)"
    low, high = start[:START_BYTES:2], start[1:START_BYTES:2]
    if start[:2] in (b"\xff\xfe", b"\xfe\xff") or (
        len(start) >= START_BYTES and ((any(low), any(high)) in ((True, False), (False, True)))
    ):
        return "UTF-16, not UTF-8: convert it first (iconv -f UTF-16 -t UTF-8)"
    return None


def _chunks_of(source: Any) -> Iterable[Any] | AsyncIterable[Any]:
    """Return the chunks of a source by the first of these methods that it has."""
    if isinstance(source, bytes | bytearray | memoryview):
        return [source]
    if isinstance(source, io.TextIOBase):
        raise FrameTypeError(BYTES_EXPECTED)
    if hasattr(source, "iter_content"):
        return _chunks_of_requests(source)
    if hasattr(source, "aiter_bytes"):
        stream = getattr(source, "stream", None)
        is_async = hasattr(stream, "__aiter__") and not hasattr(stream, "__iter__")
        return abody_of(source) if is_async else body_of(source)
    content = getattr(source, "content", source)  # of an aiohttp response, or its StreamReader
    if hasattr(content, "iter_any"):
        chunks: AsyncIterable[Any] = content.iter_any()
        return chunks
    for name in ("recv", "read1", "read"):
        read = getattr(source, name, None)
        if inspect.iscoroutinefunction(read):
            return _read_async(read)
        if callable(read):
            return iter(partial(read, _READ_BYTES), b"")
    if isinstance(source, AsyncIterable | Iterable) and not isinstance(source, str | dict):
        return source
    raise FrameTypeError(
        "a source is bytes, a file, a socket, a response, or an iterable or async iterable of "
        f"bytes, not {type(source).__name__}"
    )


def _chunks_of_requests(response: Any) -> Iterable[Any]:
    """Return the body as it arrives; requests itself would read a body without chunks whole."""
    raw = response.raw
    if hasattr(raw, "read1") and not raw.closed and not getattr(raw, "chunked", False):
        return iter(partial(raw.read1, _READ_BYTES, decode_content=True), b"")
    chunks: Iterable[Any] = response.iter_content(_READ_BYTES)
    return chunks


async def _read_async(read: Callable[[int], Any]) -> AsyncGenerator[bytes, None]:
    while chunk := await read(_READ_BYTES):
        yield chunk


def body_of(response: Any) -> Iterator[bytes]:
    """Yield the decompressed body of an open response of httpx or httpx2.

    Raises:
        ContentEncodingError: see `BodyDecoder`.
    """
    if response.is_stream_consumed:  # and is kept by the response
        yield from response.iter_bytes()
        return
    decoder = BodyDecoder(response.headers.get("content-encoding", ""))
    for chunk in response.iter_raw():
        yield from decoder.decode(chunk)
    decoder.close()


async def abody_of(response: Any) -> AsyncGenerator[bytes, None]:
    """Yield the decompressed body of an open response of an AsyncClient; see `body_of`."""
    if response.is_stream_consumed:
        async for chunk in response.aiter_bytes():
            yield chunk
        return
    decoder = BodyDecoder(response.headers.get("content-encoding", ""))
    async with contextlib.aclosing(response.aiter_raw()) as chunks:
        async for chunk in chunks:
            for number, piece in enumerate(decoder.decode(chunk)):
                if number:  # a chunk may hold gigabytes: let other tasks and a cancellation in
                    await event_loop().sleep(0)
                yield piece
    decoder.close()
