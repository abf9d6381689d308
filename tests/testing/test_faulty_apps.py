"""Apps that fail as few do: no failure is swallowed, and none hangs the test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from loops import DEADLINE
from tested_apps import START, Watched, body

from gaistream import events
from gaistream.asgi import SSEResponse
from gaistream.errors import FrameError
from gaistream.testing import asgi, stream

Run = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]
BASE = [asyncio.CancelledError("x"), GeneratorExit("x"), BaseException("x")]


# ---- exceptions that are no Exception ----


@pytest.mark.parametrize("begins", [False, True])
@pytest.mark.parametrize("error", BASE, ids=repr)
def test_an_app_may_raise_anything(error: BaseException, begins: bool, run: Run) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if begins:
            await send(START)
        raise error

    async def main() -> None:
        async with stream(app, raise_app_exceptions=False) as s:
            assert s.status == (200 if begins else 500)
            await s.wait_closed()
        assert s.error is error
        with pytest.raises(BaseException, match="x") as raised:
            async with stream(app) as s:
                await s.wait_closed()
        assert raised.value is error

    run(main)


@pytest.mark.parametrize("begins", [False, True])
@pytest.mark.parametrize("error", [*BASE, SystemExit("x"), KeyboardInterrupt("x")], ids=repr)
def test_a_wsgi_app_may_raise_anything(error: BaseException, begins: bool) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        if begins:
            start_response("200 OK", [("Content-Type", "text/event-stream")])
            yield b"data: x\n\n"
        raise error

    with stream(app, raise_app_exceptions=False) as s:
        assert s.status == (200 if begins else 500)
        s.wait_closed()
    assert s.error is error
    with pytest.raises(BaseException, match="x") as raised, stream(app) as s:
        s.wait_closed()
    assert raised.value is error


# ---- the lifespan ----


def lives(*phases: str, error: BaseException | None = None, hangs: bool = False) -> Any:
    """Return an app that completes these phases of its lifespan, then fails."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await SSEResponse(["a"])(scope, receive, send)
            return
        for phase in phases:
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})
        await receive()
        if error is not None:
            raise error
        while hangs:
            await receive()

    return app


@pytest.mark.parametrize("phases", [(), ("startup",)])
def test_a_lifespan_that_raises_is_no_lifespan_that_is_missing(
    phases: tuple[str, ...], run: Run
) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="no database"):
            async with stream(lives(*phases, error=ValueError("no database")), lifespan=True) as s:
                assert phases
                assert [event async for event in s] == [events.TextDelta("a"), events.Done()]

    run(main)


def test_a_lifespan_that_ends_too_early_is_raised(run: Run) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            raise ValueError("the pool broke")
        await SSEResponse(["a"])(scope, receive, send)

    async def main() -> None:
        with pytest.raises(ValueError, match="the pool broke"):
            async with stream(app, lifespan=True) as s:
                await s.read()

    run(main)


def test_the_failure_of_a_test_is_not_hidden_by_that_of_the_shutdown(run: Run) -> None:
    async def main() -> None:
        with pytest.raises(KeyError, match="mine") as raised:
            async with stream(lives("startup", error=ValueError("no database")), lifespan=True):
                raise KeyError("mine")
        assert raised.value.__notes__ == ["no database"]

    run(main)


# ---- arguments ----


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"timeout": 0}, "timeout must be more than 0 seconds, not 0"),
        ({"timeout": None}, "timeout must be seconds, not NoneType"),
        ({"timeout": float("nan")}, "timeout must be more than 0 seconds, not nan"),
        ({"read_ahead": 0}, "read_ahead must be from 1 to"),
        ({"read_ahead": 1.5}, "read_ahead must be int, not float"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], says: str) -> None:
    with pytest.raises((FrameError, TypeError), match=says):
        stream(Watched().app(), **settings)


@pytest.mark.parametrize(
    ("count", "says"),
    [(-1, "from 0 to"), (1.5, "int, not float"), ("3", "int, not str")],
)
def test_a_wrong_number_of_bytes_is_named(count: Any, says: str, run: Run) -> None:
    async def main() -> None:
        async with stream(Watched("a").app()) as s:
            with pytest.raises((FrameError, TypeError), match=f"after_bytes must be .*{says}"):
                await s.disconnect(after_bytes=count)

    run(main)


def test_a_body_may_be_any_bytes(run: Run) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        await send(START)
        await send(body(message["body"], more=False))

    async def main() -> None:
        for sent in (bytearray(b"abc"), memoryview(b"abc"), [bytearray(b"abc")]):
            async with stream(app, "POST", body=sent) as s:  # type: ignore[arg-type]
                assert await s.read() == b"abc"
        with pytest.raises(TypeError, match="bytes-like"):
            stream(app, "POST", body=["abc"])  # type: ignore[list-item]

    run(main)


# ---- clients that have left ----


def test_a_whole_body_of_which_the_client_got_a_part_is_not_complete(run: Run) -> None:
    async def main() -> None:
        async with stream(Watched("a").app()) as s:
            await s.wait_closed()
            assert s.complete
            size = len(s.body)
            await s.disconnect(after_bytes=size)
            assert s.complete
            await s.disconnect(after_bytes=size - 1)
            assert (len(s.body), s.complete) == (size - 1, False)

    run(main)


def test_a_drain_ends_an_answer_without_its_client_in_virtual_time(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asgi, "_LAST_WAIT", 10 * DEADLINE)  # real seconds

    async def main() -> None:
        watched = Watched("a", waits=True)
        app = watched.app(on_disconnect="continue")
        async with stream(app, timeout=DEADLINE) as s:
            await anext(s)
            await s.disconnect()
            await s.drain(30)
            assert s.outcome is not None
            assert s.outcome.message is not None
            assert s.outcome.message.error is not None
            assert s.outcome.message.error.code == "interrupted"

    run(main)
