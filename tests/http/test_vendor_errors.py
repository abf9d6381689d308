"""Errors before the first byte have the shape of the dialect's protocol, on ASGI and on WSGI."""

from __future__ import annotations

import asyncio
import io
import json
from types import ModuleType
from typing import Any

import pytest
from scripted_asgi import Connection

from gaistream import StreamError
from gaistream.http.answer import drain_response

SECRET = "secret"
# status -> OpenAI's type, Anthropic's type and, where it is another, Anthropic's status
TYPES: dict[int, tuple[str, str, int]] = {
    400: ("invalid_request_error", "invalid_request_error", 400),
    401: ("authentication_error", "authentication_error", 401),
    403: ("permission_error", "permission_error", 403),
    404: ("invalid_request_error", "not_found_error", 404),
    405: ("invalid_request_error", "invalid_request_error", 405),
    413: ("invalid_request_error", "request_too_large", 413),
    422: ("invalid_request_error", "invalid_request_error", 422),
    429: ("rate_limit_error", "rate_limit_error", 429),
    500: ("server_error", "api_error", 500),
    502: ("server_error", "api_error", 502),
    503: ("server_error", "overloaded_error", 529),
    504: ("server_error", "timeout_error", 504),
}
DIALECTS = ("openai_chat", "openai_responses", "anthropic", "ai_sdk", "ag_ui", "gai")


def expected(dialect: str, status: int, code: str, message: str) -> tuple[int, Any]:
    openai, anthropic, anthropic_status = TYPES[status]
    if dialect.startswith("openai"):
        return status, {"error": {"message": message, "type": openai, "param": None, "code": code}}
    if dialect == "anthropic":
        return anthropic_status, {
            "type": "error", "error": {"type": anthropic, "message": message}
        }  # fmt: skip
    if dialect in ("ag_ui", "gai"):
        return status, {"error": {"code": code, "message": message}}
    return status, message


def ask_asgi(app: Any, method: str = "POST") -> tuple[int, dict[str, str], bytes]:
    async def ask() -> tuple[int, dict[str, str], bytes]:
        connection = Connection(method)
        connection.incoming.put_nowait({"type": "http.request", "body": b"{}", "more_body": False})
        await app(connection.scope, connection.receive, connection.send)
        start, *bodies = connection.sent
        headers = {name.decode(): value.decode() for name, value in start["headers"]}
        return start["status"], headers, b"".join(each.get("body", b"") for each in bodies)

    return asyncio.run(ask())


def ask_wsgi(app: Any, method: str = "POST") -> tuple[int, dict[str, str], bytes]:
    sent: list[Any] = []
    environ = {"REQUEST_METHOD": method, "PATH_INFO": "/", "wsgi.input": io.BytesIO(b"")}
    chunks = app(environ, lambda *start: sent.append(start))
    body = b"".join(chunks)
    chunks.close() if hasattr(chunks, "close") else None
    [(status, headers)] = sent
    return int(status[:3]), {name.lower(): value for name, value in headers}, body


def failing_response(gs: ModuleType, interface: str, dialect: str, error: Exception) -> Any:
    if interface == "wsgi":

        def source() -> Any:
            raise error
            yield

        return ask_wsgi(gs.wsgi.SSEResponse(source(), dialect=dialect))

    async def async_source() -> Any:
        raise error
        yield

    return ask_asgi(gs.asgi.SSEResponse(async_source(), dialect=dialect))


def checked(answer: tuple[int, dict[str, str], bytes]) -> tuple[int, Any]:
    status, headers, body = answer
    assert int(headers["content-length"]) == len(body)
    assert headers["access-control-allow-origin"] == "*"
    if headers["content-type"] == "application/json":
        return status, json.loads(body)
    assert headers["content-type"] == "text/plain; charset=utf-8"
    return status, body.decode()


@pytest.mark.parametrize("status", TYPES)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
def test_a_source_that_fails_at_once_answers_as_the_vendor_does(gs, interface, dialect, status):
    error = gs.StreamError("no \ud800", code="mine", status=status, retry_after=1.5)
    answer = failing_response(gs, interface, dialect, error)
    assert checked(answer) == expected(dialect, status, "mine", "no \ufffd")
    assert answer[1]["retry-after"] == "2"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
def test_the_text_of_other_errors_is_not_sent(gs, interface, dialect, caplog):
    answer = failing_response(gs, interface, dialect, RuntimeError(SECRET))
    assert checked(answer) == expected(dialect, 500, "internal", "internal error")


def handler(gs: ModuleType, interface: str, dialect: str, prepare: Any) -> Any:
    class Provider:
        def stream_text(self, request: Any) -> Any:
            raise gs.StreamError("busy", code="mine", status=429)

    room = gs.asgi if interface == "asgi" else gs.wsgi
    return room.sse_handler(Provider(), prepare, dialect=dialect)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
def test_a_handler_answers_every_refusal_as_the_vendor_does(gs, interface, dialect, monkeypatch):
    def refuse(request: Any) -> Any:
        raise ValueError(SECRET)

    ask = ask_asgi if interface == "asgi" else ask_wsgi
    refused = ask(handler(gs, interface, dialect, refuse))
    assert checked(refused) == expected(dialect, 400, "bad_request", "bad request")
    busy = ask(handler(gs, interface, dialect, lambda request: None))
    assert checked(busy) == expected(dialect, 429, "mine", "busy")
    wrong = ask(handler(gs, interface, dialect, refuse), "PUT")
    assert checked(wrong) == expected(dialect, 405, "method_not_allowed", "method not allowed")
    assert "POST" in wrong[1]["allow"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_drain_refuses_as_the_vendor_does(dialect):
    reason = StreamError("draining", code="draining", status=503, retry_after=3)
    answer = drain_response(reason, {}, method="POST", format="sse", accept="*/*", dialect=dialect)
    payload = answer.body.decode() if dialect == "ai_sdk" else json.loads(answer.body)
    assert (answer.status, payload) == expected(dialect, 503, "draining", "draining")
    assert answer.headers["Retry-After"] == "3"


def test_a_type_of_the_vendor_that_a_source_passes_on_is_kept(gs):
    for dialect in ("openai_chat", "anthropic"):
        error = gs.StreamError("no money", code="billing_error", status=400)
        _, payload = checked(failing_response(gs, "asgi", dialect, error))
        assert payload["error"]["type"] == "billing_error"
