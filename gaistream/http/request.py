"""The request that a handler prepares an answer from, on any server interface."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from typing import Any, Final
from urllib.parse import parse_qsl

from ..core import read_json
from ..errors import StreamError

MAX_BODY_BYTES: Final = 16 * 2**20
_MAX_EVENT_ID_LENGTH: Final = 64


def last_event_id(scope_or_environ: Mapping[str, Any]) -> str | None:
    """Return the Last-Event-ID of a request: the header, else the query's `last_event_id`.

    Clients choose it freely: anything but 1 to 64 bytes of printable ASCII is ignored (None).
    """
    if "wsgi.version" in scope_or_environ or "REQUEST_METHOD" in scope_or_environ:
        header = scope_or_environ.get("HTTP_LAST_EVENT_ID")
        query = str(scope_or_environ.get("QUERY_STRING", ""))
    else:
        header = None
        for name, value in scope_or_environ.get("headers", ()):
            if name.lower() == b"last-event-id":
                header = value.decode("latin-1")
                break
        query = scope_or_environ.get("query_string", b"").decode("latin-1")
    if header is None and query:
        header = dict(parse_qsl(query)).get("last_event_id")
    if header is None or not 0 < len(header) <= _MAX_EVENT_ID_LENGTH:
        return None
    return header if header.isascii() and header.isprintable() else None


class _Query(dict[str, str]):
    """The query's parameters; a missing one is the client's mistake."""

    def __missing__(self, name: str) -> str:
        raise StreamError(f"the query needs {name!r}", code="missing_input", status=400)


class IncomingRequest:
    """A request, as `prepare_request` gets it.

    Attributes:
        method: "GET", "POST", …
        path: the decoded path.
        headers: the headers, names in lower case.
        last_event_id: see gaistream.http.last_event_id.
    """

    def __init__(
        self,
        method: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        last_event_id: str | None,
        read: Callable[[], Awaitable[bytes]],
    ) -> None:
        self.method = method
        self.path = path
        self._query = query
        self.headers = dict(headers)
        self.last_event_id = last_event_id
        self._read = read
        self._body: bytes | None = None

    @cached_property
    def query(self) -> dict[str, str]:
        """The query's parameters, the last value of each; a missing one answers 400."""
        return _Query(parse_qsl(self._query, keep_blank_values=True))

    async def body(self) -> bytes:
        """Read the whole body, once; beyond 16 MiB the response is 413.

        Under ASGI call it in `prepare_request`: a source that is the first to ask for a body gets
        a RuntimeError.
        """
        if self._body is None:
            self._body = await self._read()
        return self._body

    async def json(self) -> Any:
        """Read the body as JSON; half of a surrogate pair becomes U+FFFD.

        Raises ValueError, which is answered with 400, if it is not JSON.
        """
        return read_json(await self.body(), "replace")


def body_too_large() -> StreamError:
    """Return the error for a body beyond the limit."""
    return StreamError(
        f"the body exceeds {MAX_BODY_BYTES} bytes", code="body_too_large", status=413
    )
