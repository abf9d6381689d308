"""What the handlers of asgi.py and wsgi.py share: settings, negotiation, whole answers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final, Literal, TypedDict

from .._log import log
from ..core import encode_sse, json
from ..dialects import DialectName
from ..dialects.items import error_object
from ..errors import FrameError, FrameTypeError, StreamError, is_http_error, is_public
from ..streaming.stream import Outcome
from ..writing.options import (
    LONGEST_RETRY_MS,
    NDJSONOptions,
    SSEOptions,
    keywords_of,
    refuse_unknown,
)
from . import (
    ALLOWED_METHODS,
    CORS,
    HEADER_NAME,
    LONGEST_WAIT,
    MEDIA_TYPES,
    headers,
    merge_headers,
)

_HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")
_WITHOUT_BODY: Final = (204, 205, 304)
# what concerns the connection, or the length of a body (RFC 9110, sections 7.6.1 and 8.6)
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

_SSE: Final = (MEDIA_TYPES["sse"],)
_BY_NAME: Final = 2  # how specific a range of `Accept` is that names a media type

CORSLike = CORS | str | Iterable[str] | None
OnReconnect = Literal["end", "rerun"]
PrepareRequest = Callable[[Any], Any]


_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})  # of all streams without any


class ResponseSettings(TypedDict, total=False):
    """The keywords that responses and handlers share; see SSEResponse."""

    dialect: DialectName
    headers: Mapping[str, str] | None
    cors: CORSLike
    cleanup_timeout: float | None
    source_timeout: float | None
    hold_headers: bool
    on_close: Callable[[Outcome], Any] | None


def check_settings(status: object, headers: object, on_close: object) -> Mapping[str, str]:
    """Refuse settings of a response that would fail only when it is sent; give its headers."""
    if not isinstance(status, int) or not 200 <= status <= 599:
        raise FrameError(f"status must be an int from 200 to 599, not {status!r}")
    if status in _WITHOUT_BODY:
        raise FrameError(f"status must be one with a body, not {int(status)}: a stream is a body")
    if on_close is not None and not callable(on_close):
        raise FrameTypeError(f"on_close must be callable or None, not {_kind(on_close)}")
    if not headers:
        return _NO_HEADERS
    given: dict[Any, Any] = dict(headers)  # type: ignore[call-overload]
    for name, value in given.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise FrameTypeError(f"headers must be str, not {name!r}: {value!r}")
        if not _can_be_sent(name, value):
            raise FrameError(f"headers must be printable Latin-1, not {name!r}: {value!r}")
        if _is_padded(value):
            raise FrameError(f"headers must not have blanks around a value: {name!r}: {value!r}")
        if name.lower() in SERVERS_OWN:
            raise FrameError(f"headers must not hold {name!r}, which the server writes itself")
    return given


OPTIONS: Final[dict[str, type[Any]]] = {"sse": SSEOptions, "ndjson": NDJSONOptions}


def check_keywords(
    response: type[Any], unknown: Mapping[str, object], formats: Iterable[str]
) -> None:
    """Raise TypeError for keywords that a response does not take, and name those that it takes."""
    known = [name for name in keywords_of(response.__init__) if name[0] != "_"]
    refuse_unknown(response.__name__, unknown, known, [OPTIONS[each] for each in formats])


def _can_be_sent(name: str, value: str) -> bool:
    return bool(HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value))


def _is_padded(value: str) -> bool:
    return value != value.strip(" \t")


class Handling:
    """How a handler treats requests, whatever the server's interface.

    Args:
        provider: has `stream_text(request)`.
        prepare_request: IncomingRequest to what `stream_text` takes.
        formats: the options of each format that it serves; with both it negotiates.
        on_reconnect: "end" or "rerun".
        settings: of the responses.
    """

    def __init__(
        self,
        provider: Any,
        prepare_request: PrepareRequest,
        formats: Mapping[str, Any],
        on_reconnect: OnReconnect,
        settings: Mapping[str, Any],
    ) -> None:
        if on_reconnect not in ("end", "rerun"):
            raise ValueError(f"on_reconnect must be 'end' or 'rerun', not {on_reconnect!r}")
        if not callable(getattr(provider, "stream_text", None)):
            raise FrameTypeError(f"provider must have stream_text(), {_kind(provider)} has none")
        if not callable(prepare_request):
            raise FrameTypeError(f"prepare_request must be callable, not {_kind(prepare_request)}")
        self.provider = provider
        self.prepare = prepare_request
        self.formats = dict(formats)
        if "sse" in self.formats:
            given = self.formats["sse"]
            if given is None or isinstance(given, SSEOptions):
                self.formats["sse"] = (given or SSEOptions()).with_ids
        self.ends_reconnects = on_reconnect == "end"
        self.settings = dict(settings)
        self.cors = self.settings["cors"] = CORS.of(self.settings.get("cors", "*"))
        if len(self.formats) > 1:
            more = self.settings.get("headers") or {}
            self.settings["headers"] = merge_headers({"Vary": "Accept"}, more)

    def check_keywords(self, settings: type[Any]) -> None:
        """Raise TypeError for settings that are none of this TypedDict's."""
        if len(self.formats) > 1:
            name, own = "event_handler", ["sse_options", "ndjson_options", "on_reconnect"]
        elif "sse" in self.formats:
            name, own = "sse_handler", ["options", "on_reconnect"]
        else:
            name, own = "ndjson_handler", ["options"]
        known = [*own, *settings.__annotations__]
        unknown = {key: value for key, value in self.settings.items() if key not in known}
        refuse_unknown(name, unknown, known, [OPTIONS[each] for each in self.formats])

    def format_for(self, path: str, accept: str | None) -> str:
        """Give "sse" or "ndjson"."""
        if len(self.formats) > 1:
            return negotiate(path, accept)
        return next(iter(self.formats))

    def cors_headers(self, origin: str | None) -> dict[str, str]:
        """Give the CORS headers for a request with this `Origin`."""
        return self.cors.headers(origin) if self.cors is not None else {}

    def refusal(
        self, error: BaseException, *, preparing: bool, method: str, origin: str | None
    ) -> Answer:
        """Return the response for a failure before the stream, and log what is not public."""
        if is_bad_request(error, preparing=preparing):
            log.info("a request was refused: %r", error)  # a client's mistake fills no log
        elif not is_public(error):
            log.error("a request failed before its stream began", exc_info=error)
        answer = error_answer(error, preparing=preparing, extra=self.cors_headers(origin))
        return replace(answer, body=b"") if method == "HEAD" else answer

    def drain_answer(
        self, refused: StreamError, method: str, format: str, origin: str | None, accept: str | None
    ) -> Answer:
        """Return the answer to a request during a drain, for which nothing is prepared."""
        own = headers(format, self.cors, origin=origin)
        own = merge_headers(own, self.settings.get("headers") or {})
        return drain_answer(refused, own, method=method, format=format, accept=accept)

    def early_answer(self, method: str, origin: str | None) -> Answer | None:
        """Return the response to a request that is not prepared, or None if it must be."""
        allowed = self.cors_headers(origin)
        methods = {"Allow": f"{ALLOWED_METHODS}, HEAD"}
        if method == "OPTIONS":
            preflight = self.cors.preflight(origin) if self.cors is not None else {}
            return Answer(204, methods | preflight)
        if method not in ("GET", "HEAD", "POST"):
            error = StreamError("method not allowed", code="method_not_allowed", status=405)
            return error_answer(error, preparing=True, extra=methods | allowed)
        return None

    def prepared_answer(
        self, method: str, format: str, origin: str | None, event_id: str | None
    ) -> Answer | None:
        """Return the response to a prepared request that needs no provider, or None.

        It comes after `prepare_request`, which may refuse the caller.
        """
        if self.ends_reconnects and format == "sse" and event_id is not None:
            return Answer(204, {"Cache-Control": "no-store", **self.cors_headers(origin)})
        if method == "HEAD":
            own = headers(format, self.cors, origin=origin)
            return Answer(200, merge_headers(own, self.settings.get("headers") or {}))
        return None


def _kind(value: object) -> str:
    return getattr(value, "__qualname__", None) or type(value).__name__


@dataclass(frozen=True)
class Answer:
    """A whole response that is no stream."""

    status: int
    headers: dict[str, str]
    body: bytes = b""


def error_answer(
    error: BaseException,
    *,
    preparing: bool,
    own: bool = False,
    extra: Mapping[str, str] | None = None,
) -> Answer:
    """Give the response for a failure before the first byte of a stream.

    Args:
        error: what was raised; only the text of a StreamError, and the detail of an HTTP
            exception, is told.
        preparing: it came from `prepare_request`, so a ValueError is the client's mistake.
        own: it came from the application's own source, and not from a provider.
        extra: headers to add, such as CORS.
    """
    retry_after = None
    given: Mapping[str, str] = {}
    if isinstance(error, StreamError):
        status, code, message = error.status, error.code, error.message
        retry_after = error.retry_after
    elif is_http_error(error):
        status, code, message, given = _http_answer(error)
    elif is_bad_request(error, preparing=preparing):
        status, code, message = 400, "bad_request", "bad request"
    else:
        status = 500 if preparing or own else 502
        code, message = "internal", "internal error"
    body = json.dumps(error_object(code, message), errors="replace")
    said = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        **(extra or {}),
    }
    if retry_after is not None and abs(retry_after) < math.inf:
        said["Retry-After"] = str(math.ceil(min(max(0, retry_after), LONGEST_WAIT)))
    answer_headers = merge_headers(said, given)
    if "Retry-After" in answer_headers and any(
        name.lower() == "access-control-allow-origin" for name in answer_headers
    ):  # else a page of another site can't read it
        exposed = {"Access-Control-Expose-Headers": "Retry-After"}
        answer_headers = merge_headers(answer_headers, exposed)
    return Answer(status, answer_headers, body)


def is_bad_request(error: BaseException, *, preparing: bool) -> bool:
    """Return True if `prepare_request` raised what a client's mistake makes it raise."""
    return preparing and isinstance(error, ValueError | LookupError) and not is_public(error)


def _http_answer(error: Any) -> tuple[int, str, str, dict[str, str]]:
    """Return status, code, message and headers of an HTTP exception."""
    status = int(error.status_code)
    detail = error.detail if isinstance(error.detail, str) else ""
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "error"
    headers = {
        name: value
        for name, value in dict(error.headers or {}).items()
        if isinstance(name, str)
        and isinstance(value, str)
        and _can_be_sent(name, value)
        and not _is_padded(value)
        and name.lower() not in SERVERS_OWN | {"content-type"}
    }
    return status, "error", detail or phrase, headers


def drain_answer(
    refused: StreamError,
    headers: Mapping[str, str],
    *,
    method: str,
    format: str,
    accept: str | None,
) -> Answer:
    """Return the answer to a request that comes while the streams are ended.

    An EventSource closes for good at any status but 200. So a GET that accepts event streams by
    name, as it does, gets one that says when to come back, and ends.

    Args:
        refused: why, and when the client may come again.
        headers: of the stream that there is not.
        method, format, accept: of the request.
    """
    quality, precision = _quality(accept, _SSE)
    reconnects = format == "sse" and method == "GET" and quality > 0 and precision == _BY_NAME
    if reconnects and refused.retry_after is not None:
        retry_ms = min(round(refused.retry_after * 1000), LONGEST_RETRY_MS)
        return Answer(200, dict(headers), encode_sse(retry=retry_ms))
    answer = error_answer(refused, preparing=False, extra=kept_in_errors(headers))
    return replace(answer, body=b"") if method == "HEAD" else answer


def kept_in_errors(headers: Mapping[str, str]) -> dict[str, str]:
    """Give those headers of a stream that an error in its place has too: CORS and Vary."""
    return {
        name: value
        for name, value in headers.items()
        if name.lower() == "vary" or name.lower().startswith("access-control-")
    }


def negotiate(path: str, accept: str | None) -> str:
    """Choose "sse" or "ndjson" for a request.

    A path that ends in `sse` or `ndjson` (`/chat/sse`, `/chat.ndjson`) decides; else the greater
    quality in `Accept`, and where it is the same the one that is named over a `*/*`; SSE wins
    ties, and serves those who accept neither.
    """
    last = path.rstrip("/").rpartition("/")[2].rpartition(".")[2].lower()
    if last in MEDIA_TYPES:
        return last
    quality = {"sse": _quality(accept, _SSE)}
    quality["ndjson"] = _quality(
        accept, ("application/x-ndjson", "application/ndjson", "application/jsonl")
    )
    return "ndjson" if quality["ndjson"] > quality["sse"] else "sse"


def _quality(accept: str | None, types: tuple[str, ...]) -> tuple[float, int]:
    """Give the quality of the most specific range that a media type is in, and how specific."""
    best = (-1, 0.0) if accept else (0, 1.0)
    for part in (accept or "").lower().split(","):
        name, *parameters = [each.strip() for each in part.split(";")]
        if name in types:
            precision = _BY_NAME
        elif name in {f"{each.partition('/')[0]}/*" for each in types}:
            precision = 1
        elif name == "*/*":
            precision = 0
        else:
            continue
        weight = next((each[2:] for each in parameters if each.startswith("q=")), "1")
        try:
            best = max(best, (precision, min(1.0, max(0.0, float(weight)))))
        except ValueError:
            continue
    return best[1], best[0]
