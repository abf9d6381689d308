"""The end of WSGI responses: everything is closed once, whatever the server does."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from scripted_asgi import (
    DONE,
    PRELUDE,
    asynchronous,
    text,
)
from scripted_wsgi import (
    HEADERS,
    Blocking,
    Exchange,
)


@pytest.mark.parametrize("kind", ["sync", "async", "helper thread"])
def test_head_gets_the_headers_and_the_source_is_closed_without_being_asked(
    gs: Any, kind: str
) -> None:
    outcomes: list[Any] = []
    source = Blocking("a")
    given = asynchronous("a") if kind == "async" else source
    response = gs.wsgi.SSEResponse(
        given, helper_thread=kind == "helper thread", on_close=outcomes.append
    )
    exchange = Exchange(response, "HEAD").read()
    assert (exchange.status, exchange.headers, exchange.body) == ("200 OK", HEADERS, b"")
    assert source.asked == 0
    assert (source.closed == 0) is (kind == "async")
    assert [each.kind for each in outcomes] == ["cancelled"]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_everything_ends_once_even_if_the_server_never_closes(gs: Any, kind: str) -> None:
    outcomes: list[Any] = []
    source = Blocking("a") if kind == "sync" else asynchronous("a")
    response = gs.wsgi.SSEResponse(source, on_close=outcomes.append)
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    result = response(environ, lambda *_: None)
    assert b"".join(result) == PRELUDE + text("a") + DONE
    assert [each.kind for each in outcomes] == ["completed"]
    result.close()  # type: ignore[attr-defined]
    result.close()  # type: ignore[attr-defined]
    assert len(outcomes) == 1


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_start_response_that_raises_closes_the_source(gs: Any, kind: str) -> None:
    steps: list[str] = []

    def sync() -> Iterator[str]:
        try:
            yield "a"
        finally:
            steps.append("closed")

    async def later() -> AsyncIterator[str]:
        try:
            yield "a"
            await asyncio.Event().wait()
        finally:
            steps.append("closed")

    def refuse(*_: Any) -> None:
        raise OSError("gone")

    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    response = gs.wsgi.SSEResponse(sync() if kind == "sync" else later())
    with pytest.raises(OSError, match="gone"):
        response(environ, refuse)
    gc.collect()
    assert steps == ["closed"]


@pytest.mark.parametrize("first", [True, False])
def test_an_exit_of_the_server_is_not_a_client_that_has_left(gs: Any, first: bool) -> None:
    outcomes: list[Any] = []
    source = Blocking(*([] if first else ["a"]), SystemExit(1))
    response = gs.wsgi.SSEResponse(source, on_close=outcomes.append)
    exchange = None
    with pytest.raises(SystemExit):
        exchange = Exchange(response)
        exchange.take()
        exchange.take()
    if exchange is not None:
        exchange.close()
    assert source.closed >= 1
    assert [each.kind for each in outcomes] == ["cancelled"]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_on_close_may_be_async(gs: Any, kind: str) -> None:
    kinds: list[str] = []

    async def on_close(outcome: Any) -> None:
        await asyncio.sleep(0)
        kinds.append(outcome.kind)

    source = Blocking("a") if kind == "sync" else asynchronous("a")
    Exchange(gs.wsgi.SSEResponse(source, on_close=on_close)).read()
    assert kinds == ["completed"]


def test_an_error_of_on_close_is_logged_and_harms_nothing(
    gs: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def on_close(_: Any) -> None:
        raise RuntimeError("broken report")

    exchange = Exchange(gs.wsgi.SSEResponse(["a"], on_close=on_close)).read()
    assert exchange.body.endswith(DONE)
    assert "broken report" in caplog.text


def test_a_bad_source_is_refused_when_the_response_is_made(gs: Any) -> None:
    for wrong in (None, 5, "text", b"bytes", {}):
        with pytest.raises(gs.errors.EventError, match="a source is an iterable"):
            gs.wsgi.SSEResponse(wrong)
