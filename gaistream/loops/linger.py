"""Reading on, for a moment, in a response whose stream has said all: then its connection is kept.

An HTTP client takes a connection back into its pool if the body was read to its end. The last event
of a stream comes before that end, so the rest is read for at most `SECONDS` and `MOST` bytes. What
goes wrong there is not reported: the answer is whole, and the response is closed in any case.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import AsyncIterable, Callable, Iterable, Iterator
from typing import Any, Final

from .event_loop import event_loop

__all__ = ["alinger", "linger"]

SECONDS: Final = 0.1
MOST: Final = 65_536  # bytes


def linger(response: Any, chunks: Iterable[Any]) -> None:
    """Read the rest of a response of httpx, requests or urllib3; do nothing for other sources.

    Args:
        response: what the chunks come from.
        chunks: the rest of its body.
    """
    hurry = _stream_of_httpx(response) or _socket_of_urllib3(response)
    if hurry is None:
        return
    left = MOST
    with contextlib.suppress(Exception), hurry(time.monotonic() + SECONDS) as go_on:
        for chunk in chunks:
            left -= len(chunk)
            if left <= 0 or not go_on():
                break


async def alinger(response: Any, chunks: AsyncIterable[Any]) -> None:
    """Read the rest of a response of httpx's AsyncClient or aiohttp, as `linger`."""
    is_of_aiohttp = hasattr(response, "release") and hasattr(response, "method")
    if not (is_of_aiohttp or _is_http1(response)):
        return
    loop, left = event_loop(), MOST
    with contextlib.suppress(Exception), loop.breakable() as block:
        timer = loop.call_at(loop.time() + SECONDS, block.break_off)
        try:
            async for chunk in chunks:
                left -= len(chunk)
                if left <= 0:
                    break
        finally:
            timer.cancel()


_Hurry = Callable[[float], contextlib.AbstractContextManager[Callable[[], bool]]]


def _is_http1(response: Any) -> bool:
    """True for a response of httpx that has a connection for itself, as over HTTP/2 none has."""
    extensions = getattr(response, "extensions", None)
    return (
        isinstance(extensions, dict)
        and "network_stream" in extensions
        and extensions.get("http_version", b"HTTP/1.1").startswith(b"HTTP/1")
    )


def _stream_of_httpx(response: Any) -> _Hurry | None:
    if not _is_http1(response):
        return None
    stream = response.extensions["network_stream"]
    read, me = stream.read, threading.get_ident()

    @contextlib.contextmanager
    def hurry(deadline: float) -> Iterator[Callable[[], bool]]:
        def read_in_time(max_bytes: int, timeout: float | None = None) -> Any:
            # The connection may be another thread's already: it has its own time.
            if threading.get_ident() == me:
                left = max(deadline - time.monotonic(), 0.001)
                timeout = left if timeout is None else min(left, timeout)
            return read(max_bytes, timeout=timeout)

        stream.read = read_in_time
        try:
            yield lambda: time.monotonic() < deadline
        finally:
            del stream.read

    return hurry


def _socket_of_urllib3(response: Any) -> _Hurry | None:
    connection = getattr(getattr(response, "raw", response), "connection", None)
    sock = getattr(connection, "sock", None)
    if sock is None:
        return None

    @contextlib.contextmanager
    def hurry(deadline: float) -> Iterator[Callable[[], bool]]:
        usual = sock.gettimeout()

        def go_on() -> bool:
            left = deadline - time.monotonic()
            if left > 0:
                sock.settimeout(left)
            return left > 0

        try:
            go_on()
            yield go_on
        finally:
            with contextlib.suppress(OSError):  # it is closed
                sock.settimeout(usual)

    return hurry
