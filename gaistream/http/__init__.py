"""What HTTP adds around a stream: headers, CORS, Last-Event-ID, the request to prepare from.

Never a hop-by-hop header: `Connection` and `Transfer-Encoding` are the server's business. A
stream's length is not known, so there is no Content-Length either.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final
from urllib.parse import parse_qsl

from ..core import read_json
from ..errors import FrameError, FrameTypeError, StreamError

__all__ = ["CORS", "IncomingRequest", "headers", "last_event_id"]

MEDIA_TYPES: Final = {"sse": "text/event-stream", "ndjson": "application/x-ndjson"}
NDJSON_TYPES: Final = (
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
    "application/stream+json",
)
_LIKE_SSE: Final = ("text/event-stream", "text/plain", "")  # as some servers label their streams
_STREAM_HEADERS: Final = {
    "Cache-Control": "no-cache, no-store, must-revalidate, no-transform",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
}
LONGEST_WAIT: Final = 1e9  # seconds: what a server may ask for, in numbers that every clock takes
ALLOWED_METHODS: Final = "GET, POST, OPTIONS"
_ALLOWED_HEADERS: Final = (
    "Content-Type, Authorization, Last-Event-ID, Idempotency-Key, X-Idempotency-Key"
)
HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ORIGIN: Final = re.compile(r"\*|null|[a-z][a-z0-9+.-]*://[^/A-Z\s@?#]+")
_LONGEST_EVENT_ID: Final = 64
MAX_BODY_BYTES: Final = 16 * 2**20


@dataclass(frozen=True)
class CORS:
    """Which pages of other sites may read the answer.

    Attributes:
        origins: ("*",), or the origins that are echoed with `Vary: Origin`.
        credentials: also with cookies; not together with "*".
        allow_headers: names of request headers that such a page may send, beside the usual ones
            (Content-Type, Authorization, Last-Event-ID, Idempotency-Key, X-Idempotency-Key).

    Raises:
        FrameError: an origin or a header name is none, or "*" stands with credentials.
        FrameTypeError: one of them is not a string.
    """

    origins: tuple[str, ...]
    credentials: bool = False
    allow_headers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        given: Any = self.origins
        if not isinstance(given, Iterable):
            raise FrameTypeError(f"cors must be '*' or origins, not {type(given).__name__}")
        origins = (given,) if isinstance(given, str) else tuple(given)
        for origin in origins:
            if not isinstance(origin, str) or not _ORIGIN.fullmatch(origin):
                raise FrameError(
                    "cors must be '*' or origins as browsers send them "
                    f"(https://example.com, no path, lower case), not {origin!r}"
                )
        object.__setattr__(self, "origins", origins)
        object.__setattr__(self, "allow_headers", _header_names(self.allow_headers))
        if self.credentials and "*" in self.origins:
            raise FrameError("cors must not be '*' together with credentials: name the origins")

    @staticmethod
    def of(cors: CORS | str | Iterable[str] | None) -> CORS | None:
        """Make it from "*", an origin, several origins, a CORS, or None."""
        if cors is None or isinstance(cors, CORS):
            return cors
        if cors == "*":
            return _ANYWHERE  # one for all: every stream holds its own
        return CORS(cors)  # type: ignore[arg-type]  # which makes a tuple of it

    def headers(self, origin: str | None) -> dict[str, str]:
        """Give the headers for a request with this `Origin` header."""
        if "*" in self.origins:
            return {"Access-Control-Allow-Origin": "*"}
        allowed = {"Vary": "Origin"}
        if origin in self.origins and origin is not None:
            allowed["Access-Control-Allow-Origin"] = origin
            if self.credentials:
                allowed["Access-Control-Allow-Credentials"] = "true"
        return allowed

    def preflight(self, origin: str | None) -> dict[str, str]:
        """Give the headers that answer a preflight."""
        return self.headers(origin) | {
            "Access-Control-Allow-Methods": ALLOWED_METHODS,
            "Access-Control-Allow-Headers": ", ".join((_ALLOWED_HEADERS, *self.allow_headers)),
            "Access-Control-Max-Age": "600",
        }


def _header_names(given: Any) -> tuple[str, ...]:
    names = (given,) if isinstance(given, str) else given
    if not isinstance(names, Iterable):
        raise FrameTypeError(f"allow_headers must be names, not {type(names).__name__}")
    names = tuple(names)
    for name in names:
        if not isinstance(name, str):
            raise FrameTypeError(f"allow_headers must be strings, not {type(name).__name__}")
        if not HEADER_NAME.fullmatch(name) or name == "*":
            raise FrameError(f"allow_headers must name each header (X-Api-Key), not {name!r}")
    return names


_ANYWHERE: Final = CORS(("*",))


def headers(
    format: str,
    cors: CORS | str | Iterable[str] | None = None,
    dialect: str = "gai",  # noqa: ARG001  (later dialects have headers of their own)
    *,
    origin: str | None = None,
) -> dict[str, str]:
    """Give the headers of a stream, for those who bring their own response.

    Args:
        format: "sse" or "ndjson".
        cors: None, "*", an origin, several origins, or a CORS.
        dialect: the stream's dialect.
        origin: the request's `Origin` header, which several origins are compared with.
    """
    if format not in MEDIA_TYPES:
        raise FrameError(f"format must be 'sse' or 'ndjson', not {format!r}")
    allowed = CORS.of(cors)
    return {
        "Content-Type": MEDIA_TYPES[format],
        **_STREAM_HEADERS,
        **(allowed.headers(origin) if allowed is not None else {}),
    }


def merge_headers(headers: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Give headers with others put over them, however their names are written; lists grow."""
    merged = dict(headers)
    names = {name.lower(): name for name in merged}
    for name, value in more.items():
        held = names.setdefault(name.lower(), name)
        if held in merged and held.lower() in ("vary", "access-control-expose-headers"):
            value = f"{merged[held]}, {value}"
        merged[held] = value
    return merged


def last_event_id(scope_or_environ: Mapping[str, Any]) -> str | None:
    """Give the Last-Event-ID of a request: the header, else the query's `last_event_id`.

    It is what some client sent: at most 64 bytes of printable ASCII, else it is ignored (None).
    """
    if "wsgi.version" in scope_or_environ or "REQUEST_METHOD" in scope_or_environ:
        header = scope_or_environ.get("HTTP_LAST_EVENT_ID")
        query = str(scope_or_environ.get("QUERY_STRING", ""))
    else:
        found = [
            value for name, value in scope_or_environ.get("headers", ())
            if name.lower() == b"last-event-id"
        ]
        header = found[0].decode("latin-1") if found else None
        query = scope_or_environ.get("query_string", b"").decode("latin-1")
    if header is None:
        header = dict(parse_qsl(query)).get("last_event_id")
    if header is None or not 0 < len(header) <= _LONGEST_EVENT_ID:
        return None
    return header if header.isascii() and header.isprintable() else None


def media_type(content_type: str) -> str:
    """Return a Content-Type without its parameters, in lower case; of several the last one.

    So do browsers (Fetch, "extract a MIME type").
    """
    kinds = [each.partition(";")[0] for each in content_type.split(",")]
    return next((kind for kind in reversed(kinds) if "/" in kind), kinds[0]).strip().lower()


def is_event_stream(content_type: str, strict: bool = False) -> bool:
    """Return True if an answer of this type is read as Server-Sent Events.

    Args:
        content_type: the header, "" if there is none.
        strict: only text/event-stream; else also text/plain and no type at all.
    """
    kind = media_type(content_type)
    return kind == MEDIA_TYPES["sse"] if strict else kind in _LIKE_SSE


def is_json(content_type: str) -> bool:
    """Return True if a type is JSON, which is never read as a stream of events."""
    kind = media_type(content_type)
    return kind == "application/json" or (kind.endswith("+json") and kind not in NDJSON_TYPES)


def error_message(body: bytes | bytearray) -> str:
    """Return the message of a service's error in JSON; "" if the body is none."""
    try:
        value = read_json(bytes(body), "replace")
    except ValueError:
        return ""
    error = value.get("error", value) if isinstance(value, dict) else None
    if isinstance(error, dict):
        error = error.get("message") or error.get("detail")
    return error if isinstance(error, str) else ""


def retry_after(value: str, now: float) -> float | None:
    """Give the seconds of a Retry-After, which counts them or names a time; None: neither.

    Args:
        value: the header's (RFC 9110, section 10.2.3).
        now: seconds since the epoch.
    """
    try:
        seconds = float(value)
    except ValueError:
        from email.utils import parsedate_to_datetime  # takes long to import, and few send dates

        try:
            date = parsedate_to_datetime(value)
            zoned = date if date.tzinfo else date.replace(tzinfo=UTC)
            seconds = max(0.0, zoned.timestamp() - now)
        except (ValueError, OverflowError):  # a year or a zone of many digits
            return None
    return min(seconds, LONGEST_WAIT) if seconds >= 0 else None


class _Query(dict[str, str]):
    """The query's parameters; a missing one is the client's mistake."""

    def __missing__(self, name: str) -> str:
        raise StreamError(f"the query needs {name!r}", code="missing_input", status=400)


class IncomingRequest:
    """A request, as `prepare_request` gets it.

    Attributes:
        method: "GET", "POST", …
        path: the decoded path.
        query: the query's parameters, the last value of each; a missing one answers 400.
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
        self.query: dict[str, str] = _Query(parse_qsl(query, keep_blank_values=True))
        self.headers = dict(headers)
        self.last_event_id = last_event_id
        self._read = read
        self._body: bytes | None = None

    async def body(self) -> bytes:
        """Read the whole body, once; beyond 16 MiB the answer is 413.

        Under ASGI call it in `prepare_request`: a source that is the first to ask for a body gets
        a RuntimeError.
        """
        if self._body is None:
            self._body = await self._read()
        return self._body

    async def json(self) -> Any:
        """Read the body as JSON, half a surrogate pair as U+FFFD.

        Raises ValueError, which is answered with 400, if it is not JSON.
        """
        return read_json(await self.body(), "replace")


def too_large() -> StreamError:
    """Give the error for a body beyond the limit."""
    return StreamError(
        f"the body exceeds {MAX_BODY_BYTES} bytes", code="body_too_large", status=413
    )
