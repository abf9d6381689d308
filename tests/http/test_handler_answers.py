"""Whole responses of handlers, on both interfaces, and that `prepare_request` comes first."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from scripted_asgi import Connection, run

ORIGIN = "https://app.example"


class Provider:
    def stream_text(self, request: Any) -> Any:
        raise AssertionError("the provider must not be asked")


class Answer:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.body = status, body
        self.headers = {name.lower(): value for name, value in headers.items()}


def ask_asgi(app: Any, method: str, headers: dict[str, str]) -> Answer:
    lines = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    connection = Connection(method, headers=lines)
    run(connection.serve(app))
    assert connection.is_complete
    return Answer(connection.status, connection.headers, connection.body)


def ask_wsgi(app: Any, method: str, headers: dict[str, str]) -> Answer:
    environ: dict[str, Any] = {"REQUEST_METHOD": method, "QUERY_STRING": ""}
    environ |= {f"HTTP_{name.upper().replace('-', '_')}": each for name, each in headers.items()}
    setup_testing_defaults(environ)
    environ["wsgi.input"] = io.BytesIO()
    head: list[Any] = []
    result = validator(app)(environ, lambda status, lines: head.extend((status, lines)))
    body = b"".join(result)
    result.close()
    return Answer(int(head[0][:3]), dict(head[1]), body)


@pytest.fixture(params=["asgi", "wsgi"])
def interface(request: Any, gs: Any) -> Any:
    return getattr(gs, request.param)


def ask(interface: Any, app: Any, method: str = "GET", **headers: str) -> Answer:
    asking: Callable[..., Answer] = ask_wsgi if interface.__name__.endswith("wsgi") else ask_asgi
    return asking(app, method, {name.replace("_", "-"): each for name, each in headers.items()})


def refusing(gs: Any, calls: list[str], *, waits: bool) -> Any:
    def refuse(incoming: Any) -> Any:
        calls.append(incoming.method)
        raise gs.StreamError("sign in first", code="unauthorized", status=401)

    async def refuse_later(incoming: Any) -> Any:
        refuse(incoming)

    return refuse_later if waits else refuse


@pytest.mark.parametrize("waits", [False, True], ids=["sync", "async"])
def test_a_refusal_by_prepare_request_answers_head_and_a_reconnect(
    gs: Any, interface: Any, waits: bool
) -> None:
    calls: list[str] = []
    for make in (interface.sse_handler, interface.ndjson_handler, interface.event_handler):
        app = make(Provider(), refusing(gs, calls, waits=waits))
        head = ask(interface, app, "HEAD")
        assert (head.status, head.body) == (401, b"")
        assert int(head.headers["content-length"]) > 0  # as GET's
    for make in (interface.sse_handler, interface.event_handler):
        app = make(Provider(), refusing(gs, calls, waits=waits))
        for method in ("GET", "POST", "HEAD"):
            again = ask(interface, app, method, Last_Event_ID="3")
            assert again.status == 401
            code = b"" if method == "HEAD" else b"unauthorized"
            assert code in again.body
    assert calls == ["HEAD"] * 3 + ["GET", "POST", "HEAD"] * 2


def test_head_and_a_reconnect_are_answered_after_prepare_request_without_the_provider(
    gs: Any, interface: Any
) -> None:
    prepared: list[str | None] = []
    app = interface.sse_handler(
        Provider(), lambda incoming: prepared.append(incoming.last_event_id)
    )
    head = ask(interface, app, "HEAD")
    assert (head.status, head.headers["content-type"]) == (200, "text/event-stream")
    assert ask(interface, app, Last_Event_ID="3").status == 204
    assert (ask(interface, app, "HEAD", Last_Event_ID="3").status, head.body) == (204, b"")
    assert prepared == [None, "3", "3"]
    assert ask(interface, app, "OPTIONS").status == 204
    assert ask(interface, app, "PUT").status == 405
    assert len(prepared) == 3, "a preflight carries no credentials, so they are not checked"


def test_head_has_the_status_of_get_and_no_body_if_it_cannot_be_prepared(
    gs: Any, interface: Any
) -> None:
    app = interface.sse_handler(Provider(), lambda incoming: incoming.query["q"])
    head, get = ask(interface, app, "HEAD"), ask(interface, app)
    assert (head.status, head.body) == (get.status, b"") == (400, b"")
    assert head.headers == get.headers


# ---- CORS ----


def test_retry_after_is_exposed_to_pages_that_may_read_it(gs: Any, interface: Any) -> None:
    def busy(_: Any) -> None:
        raise gs.StreamError("slow down", code="rate_limited", status=429, retry_after=7)

    exposed = {}
    for cors in ("*", ORIGIN, "https://other.example", None):
        app = interface.sse_handler(Provider(), busy, cors=cors)
        answer = ask(interface, app, Origin=ORIGIN)
        assert answer.headers["retry-after"] == "7"
        exposed[cors] = answer.headers.get("access-control-expose-headers")
    name = "Retry-After"
    assert exposed == {"*": name, ORIGIN: name, "https://other.example": None, None: None}


def test_exposed_headers_of_the_caller_stay_exposed(gs: Any, interface: Any) -> None:
    def source() -> Any:
        raise gs.StreamError("slow down", code="rate_limited", status=429, retry_after=7)
        yield

    mine = {"access-control-expose-headers": "X-Request-Id"}
    answer = ask(interface, interface.SSEResponse(source(), headers=mine))
    assert answer.status == 429
    assert answer.headers["access-control-expose-headers"] == "X-Request-Id, Retry-After"


def test_the_callers_request_headers_are_allowed_besides_the_usual(gs: Any, interface: Any) -> None:
    for given in ("X-Api-Key", ("X-Api-Key", "X-Trace")):
        cors = gs.http.CORS(ORIGIN, allow_headers=given)
        app = interface.sse_handler(Provider(), lambda _: None, cors=cors)
        allowed = ask(interface, app, "OPTIONS", Origin=ORIGIN).headers
        names = allowed["access-control-allow-headers"].split(", ")
        assert names[:3] == ["Content-Type", "Authorization", "Last-Event-ID"]
        assert names[5:] == ([given] if isinstance(given, str) else list(given))


@pytest.mark.parametrize("given", ["", "X Key", "X-Key\r\nSet-Cookie: a", "*", ("X-Key", "é")])
def test_a_malformed_request_header_is_refused_at_once(gs: Any, given: Any) -> None:
    with pytest.raises(gs.errors.FrameError, match="allow_headers"):
        gs.http.CORS("*", allow_headers=given)
    with pytest.raises(gs.errors.FrameTypeError, match="allow_headers"):
        gs.http.CORS("*", allow_headers=(7,))


