"""Clients of handlers that leave, or send their body late, before the stream begins."""

from __future__ import annotations

import asyncio
import contextvars
import re
from http import HTTPStatus
from types import ModuleType
from typing import Any

import pytest
from scripted_asgi import Connection, run


class WaitingProvider:
    """A provider that records its requests, and may wait before it returns its source."""

    def __init__(self, wait: bool = False) -> None:
        self.asked: list[Any] = []
        self.waiting = asyncio.Event()
        self.broken_off = False
        self._wait = wait

    async def stream_text(self, request: Any) -> Any:
        self.asked.append(request)
        if self._wait:
            self.waiting.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.broken_off = True
                raise
        return ["a"]


def test_the_provider_is_not_asked_if_the_client_leaves_in_prepare_request(gs: ModuleType) -> None:
    async def test() -> None:
        provider, preparing = WaitingProvider(), asyncio.Event()

        async def prepare(request: Any) -> None:
            preparing.set()
            await asyncio.Event().wait()

        connection = Connection().hear()
        task = connection.begin(gs.asgi.sse_handler(provider, prepare))
        await preparing.wait()
        connection.leave()
        await task
        assert (provider.asked, connection.sent) == ([], [])

    run(test())


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_client_that_leaves_while_the_provider_begins_breaks_it_off(
    gs: ModuleType, method: str
) -> None:
    async def test() -> None:
        provider = WaitingProvider(wait=True)

        async def prepare(request: Any) -> bytes:
            return await request.body() if method == "POST" else b""

        connection = Connection(method).hear(b"{}")
        task = connection.begin(gs.asgi.sse_handler(provider, prepare))
        await provider.waiting.wait()
        connection.leave()
        await task
        assert provider.broken_off
        assert connection.sent == []
        assert not task.cancelled()

    run(test())


def test_a_client_that_leaves_amid_its_body_is_not_answered(gs: ModuleType) -> None:
    async def test() -> None:
        provider = WaitingProvider()

        async def prepare(request: Any) -> bytes:
            return await request.body()

        connection = Connection("POST").hear(b"{", more=True)
        task = connection.begin(gs.asgi.sse_handler(provider, prepare))
        await asyncio.sleep(0)
        connection.leave()
        await task
        assert (provider.asked, connection.sent) == ([], [])

    run(test())


def test_a_cancellation_by_the_server_is_raised_after_a_leave_too(gs: ModuleType) -> None:
    async def test() -> None:
        provider = WaitingProvider(wait=True)
        connection = Connection().hear()
        task = connection.begin(gs.asgi.sse_handler(provider, lambda _: None))
        await provider.waiting.wait()
        connection.leave()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert provider.broken_off

    run(test())


def test_a_body_that_is_read_late_is_whole(gs: ModuleType) -> None:
    async def test() -> None:
        provider = WaitingProvider()

        async def prepare(request: Any) -> bytes:
            await asyncio.sleep(0)
            first = await request.body()
            assert first == await request.body()
            return first

        connection = Connection("POST").hear(b"on", more=True).hear(b"e")
        await connection.serve(gs.asgi.ndjson_handler(provider, prepare))
        assert provider.asked == [b"one"]
        assert connection.sent[-1]["more_body"] is False

    run(test())


def test_a_context_variable_of_prepare_request_is_seen_by_the_source(gs: ModuleType) -> None:
    name = contextvars.ContextVar("name", default="unset")

    class Provider:
        async def stream_text(self, request: Any) -> Any:
            yield name.get()

    async def test() -> None:
        connection = Connection().hear()
        await connection.serve(gs.asgi.ndjson_handler(Provider(), lambda _: name.set("set")))
        assert b'"text":"set"' in b"".join(each.get("body", b"") for each in connection.sent)

    run(test())


def test_a_response_serves_one_request(gs: ModuleType) -> None:
    async def test() -> None:
        response = gs.asgi.SSEResponse(["a"])
        await Connection().hear().serve(response)
        second = Connection().hear()
        with pytest.raises(RuntimeError, match="a response serves one request"):
            await second.serve(response)
        assert second.sent == []

    run(test())


@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"status": "200"}, "status must be an int from 200 to 599, not '200'"),
        ({"status": 99}, "status must be an int from 200 to 599, not 99"),
        ({"headers": {"X": 5}}, "headers must be str, not 'X': 5"),
        ({"headers": {"X": "a\r\nY: b"}}, "headers must be printable Latin-1, not 'X'"),
        ({"headers": {"X": "\u2026"}}, "headers must be printable Latin-1, not 'X'"),
        ({"headers": {"X y": "a"}}, "headers must be printable Latin-1, not 'X y'"),
        ({"on_close": 3}, "on_close must be callable or None, not int"),
        ({"cors": True}, "cors must be '*' or origins, not bool"),
    ],
    ids=str,
)
def test_a_setting_that_could_not_be_sent_is_refused_at_once(
    gs: ModuleType, interface: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(gs.errors.FrameError, match="^" + re.escape(message)):
        getattr(gs, interface).SSEResponse([], **settings)


@pytest.mark.parametrize(
    ("timeout", "message"),
    [("60", "must be seconds or None, not str"), (-1, "must be at least 0 and finite, not -1")],
)
def test_an_invalid_send_timeout_is_refused(gs: ModuleType, timeout: Any, message: str) -> None:
    with pytest.raises(gs.errors.FrameError, match=f"^send_timeout {message}$"):
        gs.asgi.SSEResponse([], send_timeout=timeout)


@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
def test_a_generator_function_is_not_a_provider(gs: ModuleType, interface: str) -> None:
    async def answer(request: Any) -> Any:
        yield "a"

    handler = getattr(gs, interface).sse_handler
    with pytest.raises(gs.errors.FrameTypeError, match="provider must have stream_text"):
        handler(answer, lambda _: None)
    with pytest.raises(gs.errors.FrameTypeError, match="prepare_request must be callable, not No"):
        handler(WaitingProvider(), None)


def test_a_status_of_the_standard_library_is_sent_as_a_number(gs: ModuleType) -> None:
    async def test() -> None:
        response = gs.asgi.SSEResponse(["a"], status=HTTPStatus.ACCEPTED)
        connection = await Connection().hear().serve(response)
        assert type(connection.sent[0]["status"]) is int
        assert connection.sent[0]["status"] == 202

    run(test())


def test_a_source_that_is_returned_after_the_client_has_left_is_not_begun(gs: ModuleType) -> None:
    began: list[str] = []

    async def answer() -> Any:
        began.append("begun")
        yield "a"

    class Provider:
        async def stream_text(self, request: Any) -> Any:
            try:
                preparing.set()
                await asyncio.Event().wait()
            except asyncio.CancelledError:  # it should not swallow it, but may
                return answer()

    async def test() -> None:
        connection = Connection().hear()
        task = connection.begin(gs.asgi.sse_handler(Provider(), lambda _: None))
        await preparing.wait()
        connection.leave()
        await task
        assert (began, connection.sent) == ([], [])

    preparing = asyncio.Event()
    run(test())
