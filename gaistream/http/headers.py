"""The headers of a stream: constant ones, CORS, and the caller's own.

No header is hop-by-hop: `Connection` and `Transfer-Encoding` are the server's business. The length
of a stream is unknown, so there is no Content-Length either. `StreamHeaders` checks the settings of
a response, and merges and encodes its headers once for all streams that have the same settings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias

from ..dialects import Dialect, find_writable
from ..errors import FrameError, FrameTypeError
from ..writing.formats import format_named
from .cors import CORS, HEADER_NAME, CORSLike

HeaderLines: TypeAlias = list[tuple[bytes, bytes]]
"""Headers as ASGI takes them: names in lower case, encoded."""

_STREAM_HEADERS: Final = {
    "Cache-Control": "no-cache, no-store, must-revalidate, no-transform",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
}
# about the connection, or the length of a body (RFC 9110, sections 7.6.1 and 8.6)
SERVERS_OWN: Final = {
    "connection",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
}
_MEDIA_TYPE: Final = re.compile(
    rf"{HEADER_NAME.pattern}/{HEADER_NAME.pattern}(;[\t\x20-\x7e]*[\x21-\x7e])?"
)
_HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")


def headers(
    format: str,
    cors: CORSLike = None,
    dialect: str | Dialect = "gai",
    *,
    origin: str | None = None,
    media_type: str | None = None,
    incremental: bool = False,
) -> dict[str, str]:
    """Return the headers of a stream, for callers that bring their own response.

    Args:
        format: "sse" or "ndjson".
        cors: None, "*", an origin, several origins, or a CORS.
        dialect: the stream's dialect, which may have its own Content-Type and more headers.
        origin: the request's `Origin` header, which several origins are compared with.
        media_type: the Content-Type; None: the dialect's, else the format's.
        incremental: True: send `Incremental: ?1` (RFC 10036), which tells a proxy that knows it to
            pass on each piece of the body as it comes.

    Raises:
        FrameError: a value that could not be sent.
    """
    usual = format_named(format).media_type
    allowed, written = CORS.of(cors), find_writable(dialect, format)
    return {
        "Content-Type": written.media_type or usual,
        **_STREAM_HEADERS,
        **written.headers,
        **(allowed.headers(origin) if allowed is not None else {}),
        **chosen_headers(media_type, incremental),
    }


def chosen_headers(media_type: str | None, incremental: bool) -> dict[str, str]:
    """Return the headers that these settings of a response stand for; raise FrameError."""
    if not isinstance(incremental, bool):
        raise FrameTypeError(f"incremental must be bool, not {type(incremental).__name__}")
    chosen = {"Incremental": "?1"} if incremental else {}
    if media_type is not None:
        if not isinstance(media_type, str):
            raise FrameTypeError(f"media_type must be str, not {type(media_type).__name__}")
        if not _MEDIA_TYPE.fullmatch(media_type):
            raise FrameError(f"media_type must be a type such as text/plain, not {media_type!r}")
        chosen["Content-Type"] = media_type
    return chosen


def media_types(media_type: str | None, formats: Iterable[str]) -> dict[str, str | None]:
    """Return the media type to send of each format; one that names a format is only that one's.

    Raises:
        FrameError: there are several formats, and it names none of them.
    """
    each: dict[str, str | None] = dict.fromkeys(formats, media_type)
    if media_type is None or len(each) == 1:
        return each
    name = chosen_headers(media_type, False)["Content-Type"].partition(";")[0].strip().lower()
    named = {
        format: media_type if name in format_named(format).media_types else None for format in each
    }
    if not any(named.values()):
        raise FrameError(
            "media_type must be one of Server-Sent Events or NDJSON (application/jsonl) if both"
            f" are served, not {media_type!r}"
        )
    return named


class StreamHeaders:
    """The headers of all streams that have the same settings; `more` are the caller's own.

    Attributes:
        cors: as a CORS, or None.
        depend_on_origin: True if they depend on the request's `Origin`.
    """

    __slots__ = ("_base", "_format", "_known", "_more", "cors", "depend_on_origin", "dialect")

    def __init__(self, format: str, cors: CORSLike, dialect: Any) -> None:
        self.cors = CORS.of(cors)
        self.depend_on_origin = self.cors is not None and self.cors.depends_on_origin
        self._format = format
        self.dialect = dialect
        self._base: StreamHeaders | None = None
        self._more: Mapping[str, str] = {}
        self._known: dict[str | None, tuple[dict[str, str], HeaderLines]] = {}

    def with_more(self, more: Mapping[str, str]) -> StreamHeaders:
        """Return headers with more of them; raise FrameError if one could not be sent."""
        extended = StreamHeaders(self._format, self.cors, self.dialect)
        extended._base, extended._more = self, checked_headers(more)
        return extended

    def for_origin(self, origin: str | None) -> dict[str, str]:
        """Return the headers for a request with this `Origin`."""
        return self._for(origin)[0].copy()

    def lines(self, origin: str | None) -> HeaderLines:
        """Return the same, encoded."""
        return self._for(origin)[1].copy()

    def _for(self, origin: str | None) -> tuple[dict[str, str], HeaderLines]:
        if self.cors is None or origin not in self.cors.origins:
            origin = None  # all others get the same headers, so few are kept
        known = self._known.get(origin)
        if known is None:
            known = self._known[origin] = self._compute(origin)
        return known

    def _compute(self, origin: str | None) -> tuple[dict[str, str], HeaderLines]:
        if self._base is None:
            own = headers(self._format, self.cors, self.dialect, origin=origin)
            return own, encode_headers(own)
        own, lines = self._base._for(origin)
        merged = merge_headers(own, self._more)
        if len(merged) == len(own) + len(self._more):  # none was replaced
            return merged, lines + encode_headers(self._more)
        return merged, encode_headers(merged)


def stream_headers(
    format: str,
    cors: CORSLike,
    dialect: Any,
    more: Mapping[str, str] | None,
    *,
    media_type: str | None = None,
    incremental: bool = False,
) -> StreamHeaders:
    """Return the headers of a stream, shared with others if the caller adds none.

    Args:
        format: "sse" or "ndjson".
        cors: see gaistream.asgi.SSEResponse.
        dialect: the dialect of the streams.
        more: the caller's own headers.
        media_type, incremental: see `headers`.

    Raises:
        FrameError: a header or an origin that could not be sent.
    """
    if cors is not None and type(cors) is not str:
        cors = CORS.of(cors)  # hashable, whatever it was
    shared = _shared_headers(format, cors, dialect)
    if media_type is not None or incremental is not False:
        more = merge_headers(chosen_headers(media_type, incremental), more or {})
    return shared.with_more(more) if more else shared


_shared_headers = lru_cache(maxsize=64)(StreamHeaders)


def merge_headers(headers: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Return `headers` with `more` put over them, whatever the case of names; lists grow."""
    merged = dict(headers)
    names = {name.lower(): name for name in merged}
    for name, value in more.items():
        known = names.setdefault(name.lower(), name)
        if known in merged and known.lower() in ("vary", "access-control-expose-headers"):
            value = f"{merged[known]}, {value}"
        merged[known] = value
    return merged


def encode_headers(headers: Mapping[str, str]) -> HeaderLines:
    """Return headers as ASGI takes them."""
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the caller's own headers; raise FrameError if one of them could not be sent."""
    checked: dict[Any, Any] = dict(headers)
    for name, value in checked.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise FrameTypeError(f"headers must be str, not {name!r}: {value!r}")
        if not HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise FrameError(f"headers must be printable Latin-1, not {name!r}: {value!r}")
        if value != value.strip(" \t"):
            raise FrameError(f"headers must not have blanks around a value: {name!r}: {value!r}")
        if name.lower() in SERVERS_OWN:
            raise FrameError(f"headers must not hold {name!r}, which the server writes itself")
    return checked


def can_be_sent(name: Any, value: Any) -> bool:
    """Return True if `checked_headers` takes a header."""
    try:
        checked_headers({name: value})
    except FrameError:
        return False
    return True
