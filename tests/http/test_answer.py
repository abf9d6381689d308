"""Whole responses in the place of a stream: errors before its first byte."""

from __future__ import annotations

import json
from typing import Any

import pydantic
import pytest

from gaistream.errors import GaistreamError, StreamError
from gaistream.http.answer import answer_failure, error_response, kept_for_errors

SECRET = "the key is sk-123"
SSE = "text/event-stream"
ORIGIN = "https://a.example"


class Question(pydantic.BaseModel):
    """A request's body, for applications that validate with pydantic."""

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
def test_an_error_of_prepare_request_gets_a_status_and_hides_its_text(
    error: Exception, status: int, code: str
) -> None:
    answer = error_response(error, raised_by="prepare_request")
    assert answer.status == status
    message = {400: "bad request", 500: "internal error"}[status]
    assert json.loads(answer.body)["error"] == {"code": code, "message": message}
    assert SECRET not in repr(answer)


@pytest.mark.parametrize(("raised_by", "status"), [("provider", 502), ("source", 500)])
@pytest.mark.parametrize("error", [ValueError(SECRET), KeyError(SECRET), RuntimeError(SECRET)])
def test_an_error_of_a_provider_is_502_and_of_a_source_500_and_hides_its_text(
    error: Exception, raised_by: Any, status: int
) -> None:
    answer = error_response(error, raised_by=raised_by)
    assert answer.status == status
    assert answer.body == b'{"error":{"code":"internal","message":"internal error"}}'


def test_the_headers_of_an_error() -> None:
    answer = error_response(RuntimeError(), raised_by="provider", extra={"Vary": "Origin"})
    assert answer.headers == {
        "Content-Type": "application/json",
        "Content-Length": str(len(answer.body)),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Vary": "Origin",
    }


@pytest.mark.parametrize("raised_by", ["prepare_request", "provider", "source"])
def test_a_stream_error_sends_its_status_code_and_text(raised_by: Any) -> None:
    error = StreamError("too many “questions”", code="slow_down", status=429, retry_after=1.2)
    answer = error_response(error, raised_by=raised_by)
    assert answer.status == 429
    expected = {"error": {"code": "slow_down", "message": "too many “questions”"}}
    assert json.loads(answer.body) == expected
    assert answer.headers["Content-Length"] == str(len(answer.body))
    assert answer.headers["Retry-After"] == "2"


@pytest.mark.parametrize(
    ("retry_after", "header"),
    [(None, None), (0, "0"), (0.01, "1"), (60, "60"), (-3, "0"), (1e6, "1000000")]
    + [(float("inf"), None), (float("nan"), None), (10**400, "1000000000"), (1e308, "1000000000")],
)
def test_retry_after_is_whole_seconds_or_absent(
    retry_after: float | None, header: str | None
) -> None:
    answer = error_response(StreamError("x", retry_after=retry_after), raised_by="provider")
    assert answer.status == 502
    assert answer.headers.get("Retry-After") == header


def test_a_lone_surrogate_in_the_text_becomes_u_fffd() -> None:
    answer = error_response(StreamError("\ud800"), raised_by="provider")
    assert json.loads(answer.body)["error"]["message"] == "\ufffd"


def test_only_errors_that_are_not_public_are_logged() -> None:
    logged: list[BaseException] = []
    for error in (StreamError("public"), RuntimeError(SECRET)):
        answer_failure(error, raised_by="source", log=logged.append, headers={})
    assert [str(each) for each in logged] == [SECRET]


def test_an_error_keeps_the_headers_of_its_stream_about_cors_and_caches() -> None:
    stream = {
        "Content-Type": SSE,
        "vary": "Origin, Accept",
        "Access-Control-Allow-Origin": ORIGIN,
        "access-control-allow-credentials": "true",
        "Cache-Control": "no-cache",
        "X-Mine": "1",
    }
    assert kept_for_errors(stream) == {
        "vary": "Origin, Accept",
        "Access-Control-Allow-Origin": ORIGIN,
        "access-control-allow-credentials": "true",
    }
