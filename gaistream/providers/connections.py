"""The HTTP client of a process that passes on many streams at once, such as the gateway.

Guarantees: any number of connections, which are kept for the next request; the time-outs, errors
and TLS settings of httpx; what waits to be read is bounded. Cookies of a service are not kept.

How: the client is httpx's, and below it aiohttp speaks HTTP, whose parser is compiled: a token
costs half as much as by httpcore. Without aiohttp, or in an environment with a proxy, httpx's own
connections are used.
"""

from __future__ import annotations

import contextlib
import importlib
import urllib.request
from collections.abc import AsyncIterator, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from ..client.http import http_library

if TYPE_CHECKING:
    import httpx
    import httpx2

__all__ = ["open_client"]

_KEPT_SECONDS: Final = 4.0  # an idle connection; uvicorn and Node close theirs after 5


def open_client(needed_by: str) -> httpx.AsyncClient | httpx2.AsyncClient:
    """Return an AsyncClient without a bound on its connections, for asyncio only.

    Args:
        needed_by: what needs it, for the error.

    Raises:
        ImportError: neither httpx nor httpx2 is installed.
    """
    library = http_library(needed_by)
    transport = None
    if not urllib.request.getproxies().keys() - {"no"}:
        with contextlib.suppress(ImportError):
            transport = _transport_class(library)()
    limits = library.Limits(
        max_connections=None, max_keepalive_connections=None, keepalive_expiry=_KEPT_SECONDS
    )
    return library.AsyncClient(transport=transport, limits=limits)  # type: ignore[no-any-return]


@cache
def _transport_class(library: Any) -> Any:
    """Return a transport of httpx or httpx2 over aiohttp.

    Raises:
        ImportError: aiohttp is not installed.
    """
    aiohttp = importlib.import_module("aiohttp")
    yarl = importlib.import_module("yarl")
    kinds = (  # the first that fits
        (aiohttp.SocketTimeoutError, library.ReadTimeout),
        (aiohttp.ServerTimeoutError, library.ConnectTimeout),
        (aiohttp.ClientConnectorError, library.ConnectError),
        (aiohttp.ClientPayloadError, library.ReadError),
        (OSError, library.ReadError),
        (aiohttp.ClientError, library.RemoteProtocolError),
    )

    @contextlib.contextmanager
    def errors_of_library() -> Iterator[None]:
        try:
            yield
        except (aiohttp.ClientError, OSError) as error:
            kind = next(kind for own, kind in kinds if isinstance(error, own))
            raise kind(str(error)) from error

    class Body(library.AsyncByteStream):  # type: ignore[misc]
        def __init__(self, response: Any) -> None:
            self._response = response

        def __aiter__(self) -> AsyncIterator[bytes]:
            return self

        async def __anext__(self) -> bytes:
            with errors_of_library():
                chunk: bytes = await self._response.content.readany()
            if not chunk:
                raise StopAsyncIteration
            return chunk

        async def aclose(self) -> None:
            self._response.close()  # the connection too, unless the body was read to its end

    class Transport(library.AsyncBaseTransport):  # type: ignore[misc]
        def __init__(self) -> None:
            self._tls = library.create_ssl_context()
            self._session: Any = None  # which wants a running loop

        async def handle_async_request(self, request: Any) -> Any:
            if self._session is None:
                self._session = aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(
                        limit=0, keepalive_timeout=_KEPT_SECONDS, ssl=self._tls
                    ),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    auto_decompress=False,
                    skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
                )
            limits = request.extensions.get("timeout", {})
            with errors_of_library():
                response = await self._session.request(
                    request.method,
                    yarl.URL(str(request.url), encoded=True),
                    headers=request.headers,
                    data=await request.aread(),
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(
                        sock_connect=limits.get("connect"), sock_read=limits.get("read")
                    ),
                )
            return library.Response(
                response.status,
                headers=response.raw_headers,
                stream=Body(response),
                extensions={"http_version": b"HTTP/1.1"},
            )

        async def aclose(self) -> None:
            if self._session is not None:
                await self._session.close()

    return Transport
