"""The policy of handlers: the format, and the responses to requests that need no provider."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from gaistream import NDJSONOptions, SSEOptions, asgi, wsgi
from gaistream.errors import FrameError, FrameTypeError, StreamError
from gaistream.http import IncomingRequest
from gaistream.http.answer import PlainResponse
from gaistream.http.handler import HandlerPolicy
from gaistream.http.settings import ResponseSettings

SSE, NDJSON = "text/event-stream", "application/x-ndjson"
ORIGIN = "https://a.example"


class Provider:
    def __init__(self) -> None:
        self.asked: list[Any] = []

    def stream_text(self, request: Any) -> Any:
        self.asked.append(request)
        return ["a"]


def policy(
    formats: tuple[str, ...] = ("sse",),
    on_reconnect: Any = "end",
    sse: Any = None,
    prepare: Any = lambda _: None,
    **settings: Any,
) -> HandlerPolicy:
    options = dict.fromkeys(formats) | ({"sse": sse} if sse else {})
    return HandlerPolicy(Provider(), prepare, options, on_reconnect, settings, ResponseSettings)


def decide(
    handler: HandlerPolicy, method: str = "GET", path: str = "/x", accept: str = "*/*"
) -> Any:
    return handler.decide(method, path, {"origin": ORIGIN, "accept": accept}, None)


def open_stream(
    handler: HandlerPolicy, method: str = "GET", format: str = "sse", event_id: str | None = None
) -> Any:
    """Return what a handler that awaits nothing opens: the source, or a response."""

    async def read() -> bytes:
        return b""

    request = IncomingRequest(method, "/x", "", {"origin": ORIGIN}, event_id, read)
    with pytest.raises(StopIteration) as stop:
        next(handler.open_stream(request, format, lambda source, _: source))
    return stop.value.value


# ---- requests that are not prepared ----


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_a_request_that_has_to_be_prepared_gets_a_format(method: str) -> None:
    assert decide(policy(), method) == "sse"


def test_a_query_is_served_like_a_post_if_it_says_what_its_content_is() -> None:
    handler = policy()
    assert handler.decide("QUERY", "/x", {"content-type": "application/json"}, None) == "sse"
    answer = handler.decide("QUERY", "/x", {"origin": ORIGIN}, None)
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (400, "bad_request")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_a_media_type_is_that_of_the_format_that_it_names() -> None:
    both = policy(("sse", "ndjson"), media_type="application/jsonl", incremental=True)
    sent = {name: each.for_origin(None) for name, each in both.stream_headers.items()}
    assert {name: each["Content-Type"] for name, each in sent.items()} == {
        "sse": SSE,
        "ndjson": "application/jsonl",
    }
    assert {each["Incremental"] for each in sent.values()} == {"?1"}
    assert decide(both, accept="application/jsonl") == "ndjson"
    one = policy(("sse",), media_type="text/plain")
    assert one.stream_headers["sse"].for_origin(None)["Content-Type"] == "text/plain"
    with pytest.raises(FrameError, match="media_type must be one of Server-Sent Events or NDJSON"):
        policy(("sse", "ndjson"), media_type="text/plain")


@pytest.mark.parametrize("cors", ["*", ORIGIN, None])
def test_options_is_answered_204_without_a_body(cors: Any) -> None:
    answer = decide(policy(cors=cors), "OPTIONS")
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["Allow"] == "GET, POST, QUERY, OPTIONS, HEAD"
    assert "Content-Length" not in answer.headers
    preflight = {name for name in answer.headers if name.startswith("Access-Control-")}
    assert len(preflight) == (4 if cors else 0)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "get", ""])
def test_an_unknown_method_is_405_and_learns_the_known_ones(method: str) -> None:
    answer = decide(policy(), method)
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, POST, QUERY, OPTIONS, HEAD"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert json.loads(answer.body)["error"]["code"] == "method_not_allowed"


def test_a_drain_refuses_the_requests_that_would_be_prepared() -> None:
    reason = StreamError("the server is shutting down", status=503, retry_after=3)
    handler = policy(headers={"X-Mine": "1"})
    for method in ("POST", "HEAD"):
        answer = handler.decide(method, "/x", {"accept": SSE}, reason)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "3")
        assert bool(answer.body) is (method == "POST")
    answer = handler.decide("GET", "/x", {"accept": SSE}, reason)
    assert (answer.status, answer.headers["X-Mine"], answer.body) == (200, "1", b"retry: 3000\n")
    assert handler.decide("OPTIONS", "/x", {}, reason).status == 204
    assert handler.decide("PUT", "/x", {}, reason).status == 405


def test_the_format_is_negotiated_only_if_both_are_served() -> None:
    assert decide(policy(("sse",)), path="/ndjson", accept=NDJSON) == "sse"
    assert decide(policy(("ndjson",)), path="/sse", accept=SSE) == "ndjson"
    assert decide(policy(("sse", "ndjson")), accept=NDJSON) == "ndjson"


# ---- requests that are prepared ----


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_source_of_the_provider_is_opened(method: str) -> None:
    assert open_stream(policy(), method) == ["a"]


def test_head_gets_the_headers_of_the_stream() -> None:
    handler = policy(("sse", "ndjson"), headers={"X-Mine": "1", "vary": "Cookie"}, cors=ORIGIN)
    for format, media_type in (("sse", SSE), ("ndjson", NDJSON)):
        answer = open_stream(handler, "HEAD", format)
        assert (answer.status, answer.body) == (200, b"")
        assert answer.headers["Content-Type"] == media_type
        assert answer.headers["X-Mine"] == "1"
        assert answer.headers["Vary"] == "Origin, Accept, Cookie"
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_reconnect_is_ended_by_204(method: str) -> None:
    assert open_stream(policy(), method, event_id="7") == PlainResponse(
        204, {"Cache-Control": "no-store", "Access-Control-Allow-Origin": "*"}
    )


def test_a_reconnect_is_served_if_it_may_run_again_or_its_format_has_no_ids() -> None:
    assert open_stream(policy(on_reconnect="rerun"), event_id="7") == ["a"]
    assert open_stream(policy(("sse", "ndjson")), format="ndjson", event_id="7") == ["a"]


def test_each_awaitable_is_yielded_and_its_result_or_error_comes_back() -> None:
    async def prepare(_: Any) -> None:
        raise AssertionError("nothing awaits it here")

    for result, expected in (("question", ["a"]), (KeyError("q"), 400)):
        handler = policy(prepare=prepare)
        request = IncomingRequest("GET", "/x", "", {}, None, prepare)  # type: ignore[arg-type]
        opening = handler.open_stream(request, "sse", lambda source, _: source)
        next(opening).close()  # type: ignore[attr-defined]
        with pytest.raises(StopIteration) as stop:
            if isinstance(result, Exception):
                opening.throw(result)
            else:
                opening.send(result)
        opened: Any = stop.value.value
        assert (opened if isinstance(result, str) else opened.status) == expected


def test_a_mistake_of_the_client_is_info_and_a_fault_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(error: Exception) -> Any:
        def prepare(_: Any) -> None:
            raise error

        return prepare

    with caplog.at_level(logging.INFO, "gaistream"):
        for error in (KeyError("q"), RuntimeError("broken"), StreamError("public")):
            open_stream(policy(prepare=fail(error)))
    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
        ("INFO", "a request was refused: KeyError('q')"),
        ("ERROR", "a request failed before its stream began"),
    ]


# ---- options ----


def test_sse_frames_of_handlers_are_numbered_unless_options_switch_it_off() -> None:
    assert policy().options == {"sse": SSEOptions(include_id=True)}
    assert policy(sse=SSEOptions(buffer_size=5)).options["sse"].include_id is True
    plain = SSEOptions(include_id=False)
    assert policy(sse=plain).options == {"sse": plain}


# ---- wrong settings are refused when a handler is made ----


@pytest.mark.parametrize("interface", [asgi, wsgi], ids=["asgi", "wsgi"])
@pytest.mark.parametrize(
    ("maker", "settings", "error"),
    [
        ("sse_handler", {"on_reconnect": "retry"}, ValueError),
        ("event_handler", {"on_reconnect": None}, ValueError),
        ("sse_handler", {"send_time_out": 5}, TypeError),
        ("ndjson_handler", {"on_reconnect": "end"}, TypeError),
        ("sse_handler", {"options": NDJSONOptions()}, FrameTypeError),
        ("ndjson_handler", {"options": SSEOptions()}, FrameTypeError),
        ("event_handler", {"ndjson_options": SSEOptions()}, FrameTypeError),
        ("sse_handler", {"dialect": "esperanto"}, FrameError),
        ("event_handler", {"cors": [""]}, FrameError),
    ],
)
def test_a_wrong_setting_is_refused_before_the_first_request(
    interface: Any, maker: str, settings: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        getattr(interface, maker)(Provider(), lambda _: None, **settings)
