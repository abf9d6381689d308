"""Bytes, chunk by chunk, from whatever has them: the sources of the readers.

A source is bytes; a file or a pipe (`read`, as it comes where there is `read1`); a socket (`recv`);
a response of httpx, httpx2, aiohttp, requests or urllib3; an asyncio or aiohttp StreamReader; or
any iterable or async iterable of bytes. It is known by what it can do: none of these packages is
imported. It is closed when it is used up, when it fails, and when it is given up.
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

from ..errors import FrameTypeError
from ..http.content_coding import BodyDecoder
from ..loops.event_loop import event_loop
from ..loops.linger import alinger, linger
from ..loops.sources import close_blocking, close_source, open_source

__all__ = ["Chunks", "abody_of", "body_of"]

_SIZE = 65536  # bytes that are asked for at once
TEXT = (
    'data must be bytes, bytearray or memoryview (open files in binary mode, "rb", and encode '
    "text), not str"
)
MARK = 4  # bytes by which `not_text` knows


class Chunks:
    """A source of chunks, sync or async as it is. Belongs to one task.

    Args:
        source: see above.

    Raises:
        FrameTypeError: it is no source of bytes.

    Attributes:
        is_async: whether the source is async; only then it cannot be iterated with `for`.
    """

    def __init__(self, source: Any) -> None:
        chunks = _chunks_of(source)
        self.is_async = isinstance(chunks, AsyncIterable)
        self._owned = _Owned(chunks, source)
        self._iterator: Iterator[Any] | None = None
        self._async_iterator: AsyncGenerator[Any, None] | None = None

    def __iter__(self) -> Iterator[Any]:
        self._check_sync()
        if self._iterator is None:
            self._iterator = _read(self._owned)
        return self._iterator

    def __aiter__(self) -> AsyncIterator[Any]:
        """Iterate in an event loop; what may block is read in a thread of its own."""
        if self._async_iterator is None:
            self._async_iterator = _aread(self._owned)
        return self._async_iterator

    def close(self) -> None:
        """Close a sync source; what its cleanup raises is logged."""
        self._check_sync()
        self._owned.close()

    def finish(self) -> None:
        """Close a sync source that has said all; a response's connection is kept if it can be."""
        self._check_sync()
        linger(self._owned.source, self)
        self._owned.close()

    async def afinish(self) -> None:
        """Do the same for a source of either kind; a blocking one is only closed."""
        try:
            if self.is_async:
                await alinger(self._owned.source, self)
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Close a source of either kind; what its cleanup raises is logged.

        A blocking source that is being read is closed by its thread, once it gives its next chunk.
        """
        if self._async_iterator is not None:
            await self._async_iterator.aclose()
        await self._owned.aclose()

    def _check_sync(self) -> None:
        if self.is_async:
            raise TypeError(
                f"{self._owned.kind} is an async source: it takes `async for` and aclose()"
            )


class _Owned:
    """The chunks and what they came from, which are closed together, and once.

    It knows nothing of who iterates it, so that a reader that is forgotten is collected at once,
    and its source closed.
    """

    def __init__(self, chunks: Iterable[Any] | AsyncIterable[Any], source: Any) -> None:
        self.chunks = chunks
        self.kind = type(source).__name__
        self.source = source
        self.in_thread = False
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


def _read(owned: _Owned) -> Generator[Any, None, None]:
    try:
        yield from owned
    finally:
        owned.close()


async def _aread(owned: _Owned) -> AsyncGenerator[Any, None]:
    if isinstance(owned.chunks, AsyncIterable):
        chunks = owned.chunks.__aiter__()
    else:
        owned.in_thread = not isinstance(owned.chunks, list | tuple)
        chunks = open_source(owned if owned.in_thread else owned.chunks)
    try:
        async for chunk in chunks:
            yield chunk
    finally:
        await close_source(chunks)
        await owned.aclose()


def not_text(start: bytes) -> str | None:
    """Name a stream that is no UTF-8 by its first bytes, with the mend; None if it may be."""
    if start.startswith(b"\x1f\x8b"):
        return "compressed with gzip: decompress it first (gzip.open in Python, or gunzip -c)"
    low, high = start[:MARK:2], start[1:MARK:2]
    if start[:2] in (b"\xff\xfe", b"\xfe\xff") or (
        len(start) >= MARK and ((any(low), any(high)) in ((True, False), (False, True)))
    ):
        return "UTF-16, not UTF-8: convert it first (iconv -f UTF-16 -t UTF-8)"
    return None


def _chunks_of(source: Any) -> Iterable[Any] | AsyncIterable[Any]:
    """Give the chunks of a source, by the first thing that it can do."""
    if isinstance(source, bytes | bytearray | memoryview):
        return [source]
    if isinstance(source, io.TextIOBase):
        raise FrameTypeError(TEXT)
    if hasattr(source, "iter_content"):
        return _of_requests(source)
    if hasattr(source, "aiter_bytes"):
        stream = getattr(source, "stream", None)
        is_async = hasattr(stream, "__aiter__") and not hasattr(stream, "__iter__")
        return abody_of(source) if is_async else body_of(source)
    content = getattr(source, "content", source)  # of an aiohttp response, or its StreamReader
    if hasattr(content, "iter_any"):
        return _chunks_made(content.iter_any)
    for name in ("recv", "read1", "read"):
        read = getattr(source, name, None)
        if inspect.iscoroutinefunction(read):
            return _polled(read)
        if callable(read):
            return iter(partial(read, _SIZE), b"")
    if isinstance(source, AsyncIterable | Iterable) and not isinstance(source, str | dict):
        return source
    raise FrameTypeError(
        "a source is bytes, a file, a socket, a response, or an iterable or async iterable of "
        f"bytes, not {type(source).__name__}"
    )


def _chunks_made(make: Callable[[], Any]) -> Iterable[Any] | AsyncIterable[Any]:
    chunks: Iterable[Any] | AsyncIterable[Any] = make()
    return chunks


def _of_requests(response: Any) -> Iterable[Any]:
    """The body as it comes: what is not chunked, requests itself would read whole."""
    raw = response.raw
    if hasattr(raw, "read1") and not raw.closed and not getattr(raw, "chunked", False):
        return iter(partial(raw.read1, _SIZE, decode_content=True), b"")
    chunks: Iterable[Any] = response.iter_content(_SIZE)
    return chunks


async def _polled(read: Callable[[int], Any]) -> AsyncGenerator[bytes, None]:
    while chunk := await read(_SIZE):
        yield chunk


def body_of(response: Any) -> Iterator[bytes]:
    """Yield the body of an open response of httpx or httpx2, undone by `BodyDecoder`."""
    if response.is_stream_consumed:  # somebody has read it whole
        yield from response.iter_bytes()
        return
    decoder = BodyDecoder(response.headers.get("content-encoding", ""))
    for chunk in response.iter_raw():
        yield from decoder.decode(chunk)
    decoder.close()


async def abody_of(response: Any) -> AsyncGenerator[bytes, None]:
    """Yield the body of an open asynchronous response; as `body_of`."""
    if response.is_stream_consumed:
        async for chunk in response.aiter_bytes():
            yield chunk
        return
    decoder = BodyDecoder(response.headers.get("content-encoding", ""))
    async with contextlib.aclosing(response.aiter_raw()) as chunks:
        async for chunk in chunks:
            for number, piece in enumerate(decoder.decode(chunk)):
                if number:  # the chunk may hold gigabytes: others run too, and it can be cancelled
                    await event_loop().sleep(0)
                yield piece
    decoder.close()
