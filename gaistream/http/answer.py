"""Whole responses: errors before the first byte of a stream, refusals, headers without a body."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final, Literal, TypeAlias

from ..core import encode_sse, json, json_bytes
from ..dialects import AnyDialect, find
from ..errors import InvalidRequest, StreamError, is_http_error, is_public
from ..events import Error
from ..writing.formats import FORMATS
from ..writing.options import LONGEST_RETRY_MS
from .headers import can_be_sent, merge_headers
from .negotiation import accepts_event_stream_by_name
from .received import LONGEST_WAIT

RaisedBy: TypeAlias = Literal["prepare_request", "source", "provider"]

PHRASES: Final = {int(each): each.phrase for each in HTTPStatus}


@dataclass(frozen=True)
class PlainResponse:
    """A response whose body is known."""

    status: int
    headers: dict[str, str]
    body: bytes = b""

    def to(self, method: str) -> PlainResponse:
        """Return the response to a request with this method: HEAD gets no body."""
        return replace(self, body=b"") if method == "HEAD" else self


class Application:
    """The framework around an app, and the exceptions that it answers itself: here none."""

    def answers(self, error: BaseException) -> bool:  # noqa: ARG002
        """Return True if it answers this very error."""
        return False

    def answers_faults(self) -> bool:
        """Return True if it has a handler in place of a plain 500."""
        return False


NO_APPLICATION: Final = Application()
APPLICATION_KEY: Final = "gaistream.application"  # of an Application in a scope or an environ


def answer_failure(
    failure: BaseException,
    *,
    raised_by: RaisedBy,
    log: Callable[[BaseException], object],
    headers: Mapping[str, str],
    application: Application = NO_APPLICATION,
    dialect: AnyDialect = "gai",
) -> PlainResponse:
    """Return the response for a failure before the first byte of a stream.

    Args:
        failure: the exception, without the groups around it.
        raised_by: the code that raised it.
        log: called with the failure unless it is public or answered by the application.
        headers: those about CORS and caches are kept.
        application: the failure is raised to it if it has a handler for it.
        dialect: of the stream; its protocol has the body's shape.
    """
    try:
        if application.answers(failure):
            raise failure
        extra = kept_for_errors(headers)
        answer = error_response(failure, raised_by=raised_by, extra=extra, dialect=dialect)
        if not is_public(failure):
            log(failure)
            if answer.status == HTTPStatus.INTERNAL_SERVER_ERROR and application.answers_faults():
                raise failure
        return answer
    finally:
        del failure  # its traceback holds this frame


def error_response(
    error: BaseException, *, raised_by: RaisedBy, extra: Mapping[str, str] | None = None,
    dialect: AnyDialect = "gai",
) -> PlainResponse:  # fmt: skip
    """Return the response for an error, in the shape of the dialect's protocol.

    Only the text of a StreamError and the detail of an HTTP exception are sent.

    Args:
        error: the exception.
        raised_by: the code that raised it: a ValueError of "prepare_request" is the client's
            mistake (400), any other error of the server's own code is 500, of a "provider" 502.
        extra: more headers, such as CORS.
        dialect: of the stream that the request asks for.
    """
    retry_after = None
    own_headers: Mapping[str, str] = {}
    if isinstance(error, StreamError):
        status, code, message = error.status, error.code, error.message
        retry_after = error.retry_after
    elif is_http_error(error):
        status, code, message, own_headers = _parts_of_http_error(error)
    elif is_bad_request(error, raised_by):
        status, code, message = 400, "bad_request", "bad request"
    else:
        status = 502 if raised_by == "provider" else 500
        code, message = "internal", "internal error"
    protocol = find(dialect)
    assert protocol is not None  # it was checked when the response was made
    field = error.field if isinstance(error, InvalidRequest) else ""
    status, payload = protocol.error_body(status, Error(message, code), field)
    is_text = isinstance(payload, str)
    body = json.whole_text(payload).encode() if is_text else json_bytes(payload, errors="replace")
    headers = {
        "Content-Type": "text/plain; charset=utf-8" if is_text else "application/json",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        **(extra or {}),
    }
    if retry_after is not None and abs(retry_after) < math.inf:
        headers["Retry-After"] = str(math.ceil(min(max(0, retry_after), LONGEST_WAIT)))
    return PlainResponse(status, _expose_retry_after(merge_headers(headers, own_headers)), body)


def is_bad_request(error: BaseException, raised_by: RaisedBy) -> bool:
    """Return True if `prepare_request` raised an error that a client's mistake causes."""
    return raised_by == "prepare_request" and isinstance(error, ValueError | LookupError)


def _expose_retry_after(headers: dict[str, str]) -> dict[str, str]:
    """Expose Retry-After to pages of other sites, if they may read the response at all."""
    readable = any(name.lower() == "access-control-allow-origin" for name in headers)
    if "Retry-After" not in headers or not readable:
        return headers
    return merge_headers(headers, {"Access-Control-Expose-Headers": "Retry-After"})


def _parts_of_http_error(error: Any) -> tuple[int, str, str, dict[str, str]]:
    """Return status, code, message and headers of an HTTP exception."""
    status = int(error.status_code)
    detail = error.detail if isinstance(error.detail, str) else ""
    phrase = PHRASES.get(status, "error")
    headers = {
        name: value
        for name, value in dict(error.headers or {}).items()
        if can_be_sent(name, value) and name.lower() != "content-type"
    }
    return status, "error", detail or phrase, headers


def drain_response(
    reason: StreamError, headers: Mapping[str, str], *, method: str, format: str,
    accept: str | None, dialect: AnyDialect = "gai",
) -> PlainResponse:  # fmt: skip
    """Return the response to a request that comes while the streams are drained.

    An EventSource gives up at any status but 200. So a GET that accepts event streams by name, as
    an EventSource does, gets a stream that only says when to reconnect.

    Args:
        reason: why the request is refused, and when the client may come again.
        headers: of the stream that the request asks for.
        method, format, accept: of the request.
        dialect: of the stream.
    """
    by_itself = FORMATS[format].reconnects and accepts_event_stream_by_name(accept)
    if by_itself and method == "GET" and reason.retry_after is not None:
        retry_ms = min(round(reason.retry_after * 1000), LONGEST_RETRY_MS)
        return PlainResponse(200, dict(headers), encode_sse(retry=retry_ms))
    extra = kept_for_errors(headers)
    return error_response(reason, raised_by="source", extra=extra, dialect=dialect).to(method)


def kept_for_errors(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a stream that an error in its place has too: CORS and Vary."""
    return {
        name: value
        for name, value in headers.items()
        if name.lower() == "vary" or name.lower().startswith("access-control-")
    }
