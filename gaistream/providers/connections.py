"""The HTTP client of a process that passes on many streams at once, such as the gateway.

Guarantees: any number of connections, which are kept for the next request; the time-outs, errors
and TLS of httpx; what waits to be read is bounded, for a connection beyond that is not read.

How: httpx, and below it httpcore and h11, speak HTTP. Only the bytes of a connection go another way
than httpcore's own, which opens a cancel scope for each read: an asyncio protocol keeps what came,
a reader waits for a plain future, and one timer a connection looks after the time-out. Environments
with a proxy get httpx's own connections.
"""

from __future__ import annotations

import asyncio
import importlib
import urllib.request
from collections.abc import Awaitable, Iterable
from functools import cache
from ssl import SSLContext
from typing import TYPE_CHECKING, Any, Final

from ..client.http import http_library

if TYPE_CHECKING:
    import httpx
    import httpx2

__all__ = ["open_client"]

_KEPT_SECONDS: Final = 4.0  # an idle connection; uvicorn and Node close theirs after 5
_WAITING_BYTES: Final = 2**18  # that were received and not read; beyond it nothing is received
_FIRST_ADDRESS_SECONDS: Final = 1.0  # for each address of a host but the last


def open_client(needed_by: str) -> httpx.AsyncClient | httpx2.AsyncClient:
    """Return an AsyncClient without a bound on its connections, for asyncio only.

    Args:
        needed_by: what needs it, for the error.

    Raises:
        ImportError: neither httpx nor httpx2 is installed.
    """
    library = http_library(needed_by)
    limits = library.Limits(
        max_connections=None, max_keepalive_connections=None, keepalive_expiry=_KEPT_SECONDS
    )
    transport = library.AsyncHTTPTransport(limits=limits)
    if not hasattr(transport, "_pool") or urllib.request.getproxies().keys() - {"no"}:
        client = library.AsyncClient(limits=limits)
    else:
        core = importlib.import_module(library.__name__.replace("httpx", "httpcore"))
        transport._pool = core.AsyncConnectionPool(
            ssl_context=library.create_ssl_context(),
            max_connections=None,
            keepalive_expiry=_KEPT_SECONDS,
            network_backend=_backend(core),
        )
        client = library.AsyncClient(transport=transport)
    return client  # type: ignore[no-any-return]


@cache
def _backend(core: Any) -> Any:
    """Return the network backend for httpcore or httpcore2."""

    class Backend(core.AsyncNetworkBackend):  # type: ignore[misc]
        async def connect_tcp(
            self,
            host: str,
            port: int,
            timeout: float | None = None,
            local_address: str | None = None,
            socket_options: Iterable[Any] | None = None,
        ) -> Any:
            loop = asyncio.get_running_loop()
            local = None if local_address is None else (local_address, 0)

            async def connect() -> Any:
                found = await loop.getaddrinfo(host, port, type=1)
                *others, last = dict.fromkeys(str(address[0]) for *_, address in found)
                for address in others:
                    try:
                        async with asyncio.timeout(_FIRST_ADDRESS_SECONDS):
                            return await create(address)
                    except OSError:  # a TimeoutError is one
                        continue
                return await create(last)

            async def create(address: str) -> Any:
                _, opened = await loop.create_connection(
                    lambda: _Connection(core), address, port, local_addr=local
                )
                for option in socket_options or ():
                    opened.get_extra_info("socket").setsockopt(*option)
                return _Stream(opened)

            return await _bounded(connect(), timeout, core.ConnectTimeout, core.ConnectError)

        async def sleep(self, seconds: float) -> None:
            await asyncio.sleep(seconds)

    class _Stream(core.AsyncNetworkStream):  # type: ignore[misc]
        def __init__(self, connection: _Connection) -> None:
            self.read = connection.read
            self.write = connection.write
            self.aclose = connection.aclose
            self.get_extra_info = connection.get_extra_info
            self._connection = connection

        async def start_tls(
            self,
            ssl_context: SSLContext,
            server_hostname: str | None = None,
            timeout: float | None = None,
        ) -> Any:
            await self._connection.start_tls(ssl_context, server_hostname, timeout)
            return self

    return Backend()


async def _bounded(
    waited: Awaitable[Any],
    timeout: float | None,
    too_late: type[Exception],
    failed: type[Exception],
) -> Any:
    """Await something that may take `timeout` seconds; raise its failures as the given errors."""
    try:
        async with asyncio.timeout(timeout):
            return await waited
    except TimeoutError as error:
        raise too_late(str(error)) from error
    except OSError as error:  # an SSLError is one
        raise failed(str(error)) from error


class _Connection(asyncio.Protocol):
    """One connection: what came waits to be read. Belongs to one task.

    Args:
        core: the module httpcore or httpcore2, whose errors are raised.
    """

    _transport: Any

    def __init__(self, core: Any) -> None:
        self._core = core
        self._loop = asyncio.get_running_loop()
        self._received: list[bytes] = []
        self._size = 0  # of what was received
        self._ended = False
        self._lost: Exception | None = None
        self._reader: asyncio.Future[None] | None = None  # waits for bytes or the end
        self._deadline = 0.0  # of the reader
        self._timer: asyncio.TimerHandle | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    # ---- called by the transport ----

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received.append(data)
        self._size += len(data)
        if self._size > _WAITING_BYTES:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self._ended = True
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self._ended, self._lost = True, error
        self._writable.set()
        if self._timer is not None:
            self._timer.cancel()
        self._wake()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _wake(self, error: Exception | None = None) -> None:
        reader, self._reader = self._reader, None
        if reader is not None and not reader.done():
            if error is None:
                reader.set_result(None)
            else:
                reader.set_exception(error)

    # ---- called by httpcore ----

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what came, up to `max_bytes`; b"" at the end."""
        if not self._received and not self._ended:
            self._reader = reader = self._loop.create_future()
            if timeout is not None:
                self._deadline = self._loop.time() + timeout
                if self._timer is None:
                    self._timer = self._loop.call_at(self._deadline, self._check_deadline)
            await reader
        if not self._received:
            if self._lost is not None:
                raise self._core.ReadError(str(self._lost)) from self._lost
            return b""
        received = self._received
        data = received[0] if len(received) == 1 else b"".join(received)
        received.clear()
        if len(data) > max_bytes:
            received.append(data[max_bytes:])
            data = data[:max_bytes]
        was, self._size = self._size, self._size - len(data)
        if was > _WAITING_BYTES >= self._size and not self._ended:
            self._transport.resume_reading()
        return data

    def _check_deadline(self) -> None:
        """Fail a read that waits too long; it is not rescheduled while nobody waits."""
        self._timer = None
        if self._reader is None:
            return
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._check_deadline)
        else:
            self._wake(self._core.ReadTimeout())

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write bytes, and wait until the transport takes more."""
        if self._ended and self._lost is not None:
            raise self._core.WriteError(str(self._lost)) from self._lost
        if buffer:
            self._transport.write(buffer)
        if not self._writable.is_set():
            core = self._core
            await _bounded(self._writable.wait(), timeout, core.WriteTimeout, core.WriteError)

    async def aclose(self) -> None:
        """Close the connection at once."""
        if self._timer is not None:
            self._timer.cancel()
        self._transport.close()  # says over TLS that this is the end
        await asyncio.sleep(0)
        self._transport.abort()

    async def start_tls(
        self, context: SSLContext, server_hostname: str | None, timeout: float | None
    ) -> None:
        """Go on over TLS; a connection that cannot is closed."""
        starting = self._loop.start_tls(
            self._transport, self, context, server_hostname=server_hostname
        )
        core = self._core
        try:
            self._transport = await _bounded(
                starting, timeout, core.ConnectTimeout, core.ConnectError
            )
        except BaseException:
            self._transport.abort()
            raise

    def get_extra_info(self, info: str) -> Any:
        """Return what httpcore asks for; an idle connection that is readable has ended."""
        if info == "is_readable":
            return self._ended or bool(self._received)
        names = {"client_addr": "sockname", "server_addr": "peername"}
        return self._transport.get_extra_info(names.get(info, info))
