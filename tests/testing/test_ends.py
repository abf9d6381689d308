"""How a tested app ends: its exceptions, what it leaves running, its lifespan."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import anyio
import pytest
import trio
from loops import helper_threads
from tested_apps import START, Watched, body

from gaistream import events
from gaistream.asgi import SSEResponse
from gaistream.errors import LeftRunningError
from gaistream.testing import stream

Run = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]
App = Callable[[Any, Any, Any], Coroutine[Any, Any, None]]


def fails(error: Exception, *before: dict[str, Any]) -> App:
    """Return an app that sends messages, then raises."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in before:
            await send(message)
        raise error

    return app


# ---- exceptions ----


def test_a_source_that_fails_before_its_first_event_gets_a_status(run: Run) -> None:
    async def main() -> None:
        async with stream(Watched(KeyError("secret")).app()) as s:
            assert s.status == 500
            assert b"secret" not in await s.read()
        assert s.outcome is not None
        assert s.outcome.kind == "failed"
        assert isinstance(s.outcome.error, KeyError)

    run(main)


def test_a_source_that_fails_later_ends_with_an_error_event(run: Run) -> None:
    async def main() -> None:
        async with stream(Watched("a", KeyError("secret")).app()) as s:
            read = [event async for event in s]
        assert read == [events.TextDelta("a"), events.Error("internal error", code="internal")]

    run(main)


def test_an_exception_before_the_headers_is_raised_where_the_block_begins(run: Run) -> None:
    async def main() -> None:
        error = ValueError("early")
        with pytest.raises(ValueError, match="early") as raised:
            async with stream(fails(error)):
                pytest.fail("there is no response")
        assert raised.value is error
        async with stream(fails(error), raise_app_exceptions=False) as s:
            assert (s.status, await s.read()) == (500, b"Internal Server Error")
            assert s.error is error

    run(main)


def test_an_exception_after_the_headers_is_raised_once_where_the_block_ends(run: Run) -> None:
    async def main() -> None:
        error = ValueError("late")
        app = fails(error, START, body(b"data: x\n\n"))
        with pytest.raises(ValueError, match="late") as raised:
            async with stream(app) as s:
                assert [frame.data async for frame in s.frames] == ["x"]
                assert not s.complete
                assert s.error is error
        assert raised.value is error
        with pytest.raises(ZeroDivisionError):  # the block's own comes first
            async with stream(app) as s:
                await s.read()
                raise ZeroDivisionError
        async with stream(app, raise_app_exceptions=False) as s:
            await s.read()
        assert s.error is error

    run(main)


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ([], "returned without a response"),
        ([body()], "a body before it began"),
        ([START, START], "began its response twice"),
        ([START, body(more=False), body()], "a body after the end of"),
        ([{"type": "websocket.accept"}], "'websocket.accept' to a request of HTTP"),
    ],
)
def test_messages_that_no_server_takes_are_errors(
    messages: list[Any], problem: str, run: Run
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    async def main() -> None:
        async with stream(app) as s:
            await s.read()

    with pytest.raises(RuntimeError, match=problem):
        run(main)


def test_a_wait_for_what_does_not_come_says_where_the_app_is(run: Run) -> None:
    async def main() -> None:
        async with stream(Watched("a", waits=True).app(), timeout=0.02) as s:
            await anext(s)
            with pytest.raises(TimeoutError, match=r"nothing has come in 0.02 s.*advance"):
                await anext(s)
            with pytest.raises(TimeoutError, match="500 bytes have not come"):
                await s.disconnect(after_bytes=500)

    run(main)


def test_a_stream_is_one_request(run: Run) -> None:
    async def main() -> None:
        once = stream(Watched("a").app())
        with pytest.raises(RuntimeError, match="has not begun"):
            await anext(once)
        async with once:
            pass
        with pytest.raises(RuntimeError, match="one request"):
            async with once:
                pass

    run(main)


# ---- what is left ----


async def numbers() -> AsyncIterator[int]:
    yield 1
    yield 2


def test_a_task_that_is_left_is_named(run: Run) -> None:
    left: list[Any] = []

    async def wait() -> None:
        await anyio.sleep_forever()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if trio.lowlevel.in_trio_run():
            left.append(scope := trio.CancelScope())

            async def scoped() -> None:
                with scope:
                    await wait()

            trio.lowlevel.spawn_system_task(
                scoped, name="forgotten", context=contextvars.copy_context()
            )
        else:
            left.append(asyncio.create_task(wait(), name="forgotten"))
        await send(START)
        await send(body(more=False))

    async def main() -> None:
        with pytest.raises(LeftRunningError, match=r"the task 'forgotten' .*test_ends.py:\d+") as e:
            async with stream(app, timeout=0.02):
                pass
        assert len(e.value.names) == 1
        async with stream(app, check_leftovers=False):
            pass
        for each in left:
            each.cancel()
        await anyio.sleep(0.001)

    run(main)


def test_an_async_generator_that_is_left_open_is_named(run: Run) -> None:
    left: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        left.append(numbers())
        await anext(left[-1])
        await send(START)
        await send(body(more=False))

    async def main() -> None:
        with pytest.raises(LeftRunningError, match=r"the async generator numbers .*test_ends.py"):
            async with stream(app, timeout=0.02):
                pass
        own = numbers()
        await anext(own)
        async with stream(Watched("a").app()):  # the test's own generators are its own affair
            pass
        for each in [*left, own]:
            await each.aclose()

    run(main)


def test_an_app_that_does_not_hear_its_client_leave_is_cancelled_and_named(run: Run) -> None:
    ended = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(True)

    async def main() -> None:
        with pytest.raises(LeftRunningError, match=r"the app, 0.02 s after .*test_ends.py:\d+"):
            async with stream(app, timeout=0.02):
                pass
        assert ended

    run(main)


def test_a_blocking_source_that_does_not_end_is_named(run: Run) -> None:
    go_on = threading.Event()

    def source() -> Iterator[str]:
        yield "a"
        go_on.wait(10)

    async def main() -> None:
        with pytest.raises(LeftRunningError, match="the thread of a blocking source"):
            async with stream(SSEResponse(source(), cleanup_timeout=1), timeout=0.02) as s:
                await anext(s)
        go_on.set()
        for thread in helper_threads():
            thread.join(10)
        await anyio.sleep(0.01)  # what the thread has told the loop

    run(main)


# ---- lifespan ----


class WithLifespan:
    """An app with a lifespan, which notes its phases."""

    def __init__(self, *, fails_at: str = "") -> None:
        self.phases: list[str] = []
        self.fails_at = fails_at

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for phase in ("startup", "shutdown"):
                assert (await receive())["type"] == f"lifespan.{phase}"
                self.phases.append(phase)
                if phase == self.fails_at:
                    await send({"type": f"lifespan.{phase}.failed", "message": "no database"})
                    return
                scope["state"]["model"] = "tiny"
                await send({"type": f"lifespan.{phase}.complete"})
            return
        self.phases.append(scope["state"]["model"])
        await SSEResponse(Watched("a", waits=True).events())(scope, receive, send)


def test_the_lifespan_is_run_around_the_request_with_its_state(run: Run) -> None:
    async def main() -> None:
        app = WithLifespan()
        async with stream(app, lifespan=True) as s:
            await anext(s)
            assert app.phases == ["startup", "tiny"]
        assert app.phases == ["startup", "tiny", "shutdown"]

    run(main)


@pytest.mark.parametrize("phase", ["startup", "shutdown"])
def test_a_lifespan_that_fails_is_raised(phase: str, run: Run) -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match=f"{phase} failed: no database"):
            async with stream(WithLifespan(fails_at=phase), lifespan=True) as s:
                await anext(s)

    run(main)


def test_an_app_without_a_lifespan_is_served_all_the_same(run: Run) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await send(START)
        await send(body(more=False))

    async def main() -> None:
        async with stream(app, lifespan=True) as s:
            assert s.status == 200

    run(main)
