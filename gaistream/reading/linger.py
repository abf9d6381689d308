"""Read a response on to its end for a moment after its last event, so that its connection is kept.

An HTTP client returns a connection to its pool if the body was read to its end. The last event of a
stream comes before that end, so the rest is read too, for at most `SECONDS` and `MOST` bytes.
Errors of these reads are ignored: the answer is whole, and the response is closed in any case.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import AsyncIterable, Callable, Iterable, Iterator
from typing import Any, Final

from ..loops import event_loop

__all__ = ["alinger", "linger"]

SECONDS: Final = 0.1
MOST: Final = 65_536  # bytes


def linger(response: Any, chunks: Iterable[Any]) -> None:
    """Read the rest of a response of httpx, requests or urllib3; do nothing for other sources.

    Args:
        response: the source of the chunks.
        chunks: the rest of its body.
    """
    time_limit = _limit_httpx(response) or _limit_urllib3(response)
    if time_limit is None:
        return
    left = MOST
    with contextlib.suppress(Exception), time_limit(time.monotonic() + SECONDS) as may_read:
        for chunk in chunks:
            left -= len(chunk)
            if left <= 0 or not may_read():
                break


async def alinger(response: Any, chunks: AsyncIterable[Any], seconds: float = SECONDS) -> None:
    """Read the rest of a response of httpx's AsyncClient or aiohttp, as `linger`."""
    is_of_aiohttp = hasattr(response, "release") and hasattr(response, "method")
    if not (is_of_aiohttp or _is_http1(response)):
        return
    loop, left = event_loop(), MOST
    with contextlib.suppress(Exception), loop.breakable() as block:
        timer = loop.call_at(loop.time() + seconds, block.break_off)
        try:
            async for chunk in chunks:
                left -= len(chunk)
                if left <= 0:
                    break
        finally:
            timer.cancel()


# A block in which reads end at a deadline; it yields a function that returns False after that.
_TimeLimit = Callable[[float], contextlib.AbstractContextManager[Callable[[], bool]]]


def _is_http1(response: Any) -> bool:
    """Return True for a response of httpx that does not share its connection, as over HTTP/2."""
    extensions = getattr(response, "extensions", None)
    return (
        isinstance(extensions, dict)
        and "http_version" in extensions  # which transports without a network leave out
        and extensions["http_version"].startswith(b"HTTP/1")
    )


def _limit_httpx(response: Any) -> _TimeLimit | None:
    if not _is_http1(response) or "network_stream" not in response.extensions:
        return None
    stream = response.extensions["network_stream"]
    read, me = stream.read, threading.get_ident()

    @contextlib.contextmanager
    def time_limit(deadline: float) -> Iterator[Callable[[], bool]]:
        def read_in_time(max_bytes: int, timeout: float | None = None) -> Any:
            # Another thread may have the connection already, with its own timeout.
            if threading.get_ident() == me:
                left = max(deadline - time.monotonic(), 0.001)
                timeout = left if timeout is None else min(left, timeout)
            return read(max_bytes, timeout=timeout)

        stream.read = read_in_time
        try:
            yield lambda: time.monotonic() < deadline
        finally:
            del stream.read

    return time_limit


def _limit_urllib3(response: Any) -> _TimeLimit | None:
    connection = getattr(getattr(response, "raw", response), "connection", None)
    sock = getattr(connection, "sock", None)
    if sock is None:
        return None

    @contextlib.contextmanager
    def time_limit(deadline: float) -> Iterator[Callable[[], bool]]:
        usual = sock.gettimeout()

        def may_read() -> bool:
            left = deadline - time.monotonic()
            if left > 0:
                sock.settimeout(left)
            return left > 0

        try:
            may_read()
            yield may_read
        finally:
            with contextlib.suppress(OSError):  # the socket is closed
                sock.settimeout(usual)

    return time_limit
