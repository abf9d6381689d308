"""What handlers decide before there is a stream: the format, and the answers that are none."""

from __future__ import annotations

import json
import logging
from typing import Any

import pydantic
import pytest

from gaistream import NDJSONOptions, SSEOptions, asgi, wsgi
from gaistream.errors import FrameError, FrameTypeError, GaistreamError, StreamError
from gaistream.http.handler import Answer, Handling, error_answer, kept_in_errors, negotiate

SECRET = "the key is sk-123"
SSE, NDJSON = "text/event-stream", "application/x-ndjson"
ORIGIN = "https://a.example"


# ---- negotiation ----


@pytest.mark.parametrize(
    ("path", "chosen"),
    [
        ("/chat/sse", "sse"),
        ("/chat/ndjson", "ndjson"),
        ("/chat.sse", "sse"),
        ("/chat.ndjson", "ndjson"),
        ("/chat/ndjson/", "ndjson"),
        ("/chat/NDJSON", "ndjson"),
        ("sse", "sse"),
    ],
)
def test_a_path_that_names_a_format_decides_whatever_is_accepted(path: str, chosen: str) -> None:
    other = {"sse": NDJSON, "ndjson": SSE}[chosen]
    assert [negotiate(path, accept) for accept in (None, SSE, NDJSON, other)] == [chosen] * 4


@pytest.mark.parametrize(
    "path", ["", "/", "/chat", "/ndjson/chat", "/xndjson", "/ndjson.html", "/chat-ndjson"]
)
def test_a_path_that_names_none_leaves_it_to_accept(path: str) -> None:
    assert negotiate(path, None) == negotiate(path, SSE) == "sse"
    assert negotiate(path, NDJSON) == "ndjson"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "sse"),
        ("", "sse"),
        ("*/*", "sse"),
        ("application/json", "sse"),
        (SSE, "sse"),
        (NDJSON, "ndjson"),
        ("application/ndjson", "ndjson"),
        ("application/jsonl", "ndjson"),
        (f"{SSE}, {NDJSON}", "sse"),
        (f"{NDJSON}, {SSE}", "sse"),
        (f"{NDJSON};q=0.9, {SSE};q=0.8", "ndjson"),
        (f"{NDJSON};q=0.8, {SSE};q=0.9", "sse"),
        (f"{NDJSON} ; q=0.9 , {SSE} ; q=0.8", "ndjson"),
        (f"{NDJSON};charset=utf-8;q=0.9, {SSE};q=0.8", "ndjson"),
        (f"{NDJSON.upper()};Q=1, {SSE};q=0.9", "ndjson"),
        (f"{SSE};q=0", "sse"),
        (f"{SSE};q=0, */*", "ndjson"),
        (f"{SSE};q=0.1, */*", "ndjson"),
        (f"{NDJSON}, */*;q=0.5", "ndjson"),
        (f"{NDJSON};q=0.4, */*;q=0.5", "sse"),
        ("application/*", "ndjson"),
        ("text/*", "sse"),
        ("text/*;q=0.5, application/*;q=0.6", "ndjson"),
        ("*/*;q=0.1, application/*;q=0", "sse"),
        (f"application/*;q=0.2, {NDJSON};q=0.9, {SSE};q=0.5", "ndjson"),
        (f"application/*;q=0.9, {NDJSON};q=0.2, {SSE};q=0.5", "sse"),
        (f"{NDJSON};q=5, {SSE};q=1", "sse"),
        (f"{NDJSON};q=-1, {SSE};q=0", "sse"),
        (f"{NDJSON};q=nan, {SSE};q=0.1", "sse"),
        (f"{NDJSON};q=x", "sse"),
        (f"{NDJSON};q=", "sse"),
        (",;,;q=1,/,", "sse"),
    ],
)
def test_the_greater_quality_is_chosen_and_sse_wins_ties(accept: str | None, chosen: str) -> None:
    assert negotiate("/chat", accept) == chosen


# ---- failures before the first byte ----


class Question(pydantic.BaseModel):
    """What a request holds, for people who validate with pydantic."""

    text: str


def invalid() -> pydantic.ValidationError:
    with pytest.raises(pydantic.ValidationError) as caught:
        Question.model_validate({"text": [SECRET]})
    return caught.value


def unicode_error() -> UnicodeDecodeError:
    return UnicodeDecodeError("utf-8", SECRET.encode(), 0, 1, "bad")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ValueError(SECRET), 400, "bad_request"),
        (KeyError(SECRET), 400, "bad_request"),
        (IndexError(SECRET), 400, "bad_request"),
        (json.JSONDecodeError(SECRET, SECRET, 0), 400, "bad_request"),
        (unicode_error(), 400, "bad_request"),
        (invalid(), 400, "bad_request"),
        (RuntimeError(SECRET), 500, "internal"),
        (TypeError(SECRET), 500, "internal"),
        (OSError(SECRET), 500, "internal"),
        (GaistreamError(SECRET), 500, "internal"),
        (ExceptionGroup(SECRET, [ValueError(SECRET)]), 500, "internal"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_what_prepare_request_raises_has_a_status_and_its_text_is_not_told(
    error: Exception, status: int, code: str
) -> None:
    answer = error_answer(error, preparing=True)
    assert answer.status == status
    told = json.loads(answer.body)["error"]
    assert told == {"code": code, "message": {400: "bad request", 500: "internal error"}[status]}
    assert SECRET not in repr(answer)


@pytest.mark.parametrize("error", [ValueError(SECRET), KeyError(SECRET), RuntimeError(SECRET)])
def test_what_a_provider_raises_is_502_and_its_text_is_not_told(error: Exception) -> None:
    answer = error_answer(error, preparing=False)
    assert answer.status == 502
    assert answer.body == b'{"error":{"code":"internal","message":"internal error"}}'


def test_an_error_answer_has_exactly_these_headers() -> None:
    answer = error_answer(RuntimeError(), preparing=False, extra={"Vary": "Origin"})
    assert answer.headers == {
        "Content-Type": "application/json",
        "Content-Length": str(len(answer.body)),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Vary": "Origin",
    }


@pytest.mark.parametrize("preparing", [True, False])
def test_a_stream_error_tells_its_status_code_and_text(preparing: bool) -> None:
    error = StreamError("too many “questions”", code="slow_down", status=429, retry_after=1.2)
    answer = error_answer(error, preparing=preparing)
    assert answer.status == 429
    told = {"error": {"code": "slow_down", "message": "too many “questions”"}}
    assert json.loads(answer.body) == told
    assert answer.headers["Content-Length"] == str(len(answer.body))
    assert answer.headers["Retry-After"] == "2"


@pytest.mark.parametrize(
    ("retry_after", "said"),
    [(None, None), (0, "0"), (0.01, "1"), (60, "60"), (-3, "0"), (1e6, "1000000")]
    + [(float("inf"), None), (float("nan"), None), (10**400, "1000000000"), (1e308, "1000000000")],
)
def test_retry_after_is_whole_seconds_or_absent(
    retry_after: float | None, said: str | None
) -> None:
    answer = error_answer(StreamError("x", retry_after=retry_after), preparing=False)
    assert answer.status == 502
    assert answer.headers.get("Retry-After") == said


def test_a_text_that_is_not_unicode_does_not_break_the_error() -> None:
    answer = error_answer(StreamError("\ud800"), preparing=False)
    assert json.loads(answer.body)["error"]["message"] == "\ufffd"


def test_only_what_is_not_public_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    handling = make()
    with caplog.at_level(logging.DEBUG, "gaistream"):
        handling.refusal(StreamError("x"), preparing=True, method="GET", origin=None)
    assert not caplog.records
    handling.refusal(RuntimeError(SECRET), preparing=True, method="GET", origin=None)
    assert SECRET in caplog.text


def test_an_error_keeps_the_cors_headers_of_its_stream_and_vary() -> None:
    stream = {
        "Content-Type": SSE,
        "vary": "Origin, Accept",
        "Access-Control-Allow-Origin": ORIGIN,
        "access-control-allow-credentials": "true",
        "Cache-Control": "no-cache",
        "X-Mine": "1",
    }
    assert kept_in_errors(stream) == {
        "vary": "Origin, Accept",
        "Access-Control-Allow-Origin": ORIGIN,
        "access-control-allow-credentials": "true",
    }


# ---- answers that need no provider: before prepare_request, and after it ----


class Provider:
    def stream_text(self, request: Any) -> Any:
        raise AssertionError("nothing is to be asked")


def make(
    formats: tuple[str, ...] = ("sse",), on_reconnect: Any = "end", sse: Any = None, **settings: Any
) -> Handling:
    options = dict.fromkeys(formats) | ({"sse": sse} if sse else {})
    return Handling(Provider(), lambda _: None, options, on_reconnect, settings)


def early(handling: Handling, method: str) -> Any:
    return handling.early_answer(method, ORIGIN)


def prepared(
    handling: Handling, method: str, format_: str = "sse", event_id: str | None = None
) -> Any:
    return handling.prepared_answer(method, format_, ORIGIN, event_id)


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_a_request_that_is_to_be_prepared_has_no_early_answer(method: str) -> None:
    assert early(make(), method) is None
    assert method == "HEAD" or prepared(make(), method) is None


@pytest.mark.parametrize("cors", ["*", ORIGIN, None])
def test_options_is_answered_204_without_a_body(cors: Any) -> None:
    answer = early(make(cors=cors), "OPTIONS")
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["Allow"] == "GET, POST, OPTIONS, HEAD"
    assert "Content-Length" not in answer.headers
    preflight = {name for name in answer.headers if name.startswith("Access-Control-")}
    assert len(preflight) == (4 if cors else 0)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "get", ""])
def test_another_method_is_405_and_told_which_are_allowed(method: str) -> None:
    answer = early(make(), method)
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, POST, OPTIONS, HEAD"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert json.loads(answer.body)["error"]["code"] == "method_not_allowed"


def test_head_has_the_headers_that_the_stream_would_have() -> None:
    handling = make(("sse", "ndjson"), headers={"X-Mine": "1", "vary": "Cookie"}, cors=ORIGIN)
    for format_, media_type in (("sse", SSE), ("ndjson", NDJSON)):
        answer = prepared(handling, "HEAD", format_)
        assert (answer.status, answer.body) == (200, b"")
        assert answer.headers["Content-Type"] == media_type
        assert answer.headers["X-Mine"] == "1"
        assert answer.headers["Vary"] == "Origin, Accept, Cookie"
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_reconnect_is_ended_by_204(method: str) -> None:
    assert prepared(make(), method, event_id="7") == Answer(
        204, {"Cache-Control": "no-store", "Access-Control-Allow-Origin": "*"}
    )


def test_a_reconnect_is_served_where_that_is_wanted_or_the_format_has_none() -> None:
    assert prepared(make(on_reconnect="rerun"), "GET", event_id="7") is None
    assert prepared(make(("sse", "ndjson")), "GET", "ndjson", event_id="7") is None


def test_sse_frames_of_handlers_are_numbered_unless_options_say_otherwise() -> None:
    assert make().formats == {"sse": SSEOptions(include_id=True)}
    assert make(sse=SSEOptions(buffer_size=5)).formats["sse"].include_id is True
    plain = SSEOptions(include_id=False)
    assert make(sse=plain).formats == {"sse": plain}


def test_the_format_is_negotiated_only_where_both_are_served() -> None:
    assert make(("sse",)).format_for("/ndjson", NDJSON) == "sse"
    assert make(("ndjson",)).format_for("/sse", SSE) == "ndjson"
    assert make(("sse", "ndjson")).format_for("/x", NDJSON) == "ndjson"


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
