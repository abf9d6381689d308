"""The bounds on helper threads of blocking sources, and the answer beyond a bound."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from types import ModuleType
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from loops import MODES, Run, helper_threads, opened
from scripted_asgi import Connection

import gaistream


@pytest.fixture(autouse=True)
def bounds(both: list[ModuleType], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Wait only a moment for a source that blocks. Check that no thread is counted afterwards."""
    for gs in both:
        monkeypatch.setattr(gs.loops.sources, "LONGEST_END", 0.01)
    yield
    for thread in helper_threads():
        thread.join(10)
    for gs in both:
        gs.blocking_threads()
        assert counts(gs) == (0, 0)


def counts(gs: ModuleType) -> tuple[int, int]:
    """Return the number of running threads, and of the abandoned ones among them."""
    threads = gs.loops.helper_threads.helper_threads
    return len(threads._running), len(threads._abandoned)


class Blocked:
    """Sources that yield once and then block until they are released."""

    def __init__(self) -> None:
        self._go_on = threading.Event()

    def source(self) -> Iterator[str]:
        yield "a"
        assert self._go_on.wait(10)

    def release(self) -> None:
        self._go_on.set()
        for thread in helper_threads():
            thread.join(10)


@pytest.fixture
def blocked() -> Iterator[Blocked]:
    made = Blocked()
    yield made
    made.release()


async def begun(gs: ModuleType, source: Iterator[Any]) -> Any:
    """Open a source and take its first item."""
    iterator = opened(gs, source)
    assert await anext(iterator) == "a"
    return iterator


# ---- the bounds ----


def test_a_source_is_refused_while_too_many_threads_are_abandoned(
    gs: ModuleType, run: Run, blocked: Blocked, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        gs.blocking_threads(abandoned=2)
        sources = [await begun(gs, blocked.source()) for _ in range(3)]
        for source in sources[:2]:
            await source.aclose()
        assert counts(gs) == (3, 2)
        for _ in range(2):
            refused = opened(gs, iter("ab"))
            with pytest.raises(gs.StreamError) as raised:
                await anext(refused)
            await refused.aclose()
        error = raised.value
        assert (error.status, error.code, error.retry_after) == (503, "too_many_streams", 5)
        (record,) = caplog.records  # the second refusal is not logged
        assert "3 helper threads are running, 2 of them" in record.getMessage()
        assert "abandoned=2, total=1000" in record.getMessage()
        blocked.release()
        assert counts(gs) == (0, 0)
        with pytest.raises(StopAsyncIteration):
            await anext(sources[2])
        await (await begun(gs, iter("ab"))).aclose()

    run(main())


def test_a_source_is_refused_while_too_many_threads_are_running(
    gs: ModuleType, run: Run, blocked: Blocked
) -> None:
    async def main() -> None:
        gs.blocking_threads(total=2)
        sources = [await begun(gs, blocked.source()) for _ in range(2)]
        with pytest.raises(gs.StreamError):
            await begun(gs, iter("ab"))
        assert counts(gs) == (2, 0)
        assert await anext(opened(gs, ["a"])) == "a"  # a list needs no thread
        gs.blocking_threads(total=3)
        await (await begun(gs, iter("ab"))).aclose()
        blocked.release()
        for source in sources:
            await source.aclose()

    run(main())


def test_a_source_may_use_the_room_of_one_that_has_ended(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        gs.blocking_threads(abandoned=1, total=1)
        for _ in range(50):
            source = opened(gs, iter("ab"))
            assert [item async for item in source] == ["a", "b"]
            await source.aclose()

    run(main())


@pytest.mark.parametrize("name", ["abandoned", "total"])
@pytest.mark.parametrize("bound", [0, -1, 2**40, True, 1.5, "64", None])
def test_a_bound_must_be_a_positive_int(
    gs: ModuleType, name: str, bound: Any
) -> None:
    error = gs.errors.FrameError if type(bound) is int else gs.errors.FrameTypeError
    with pytest.raises(error, match=name):
        gs.blocking_threads(**{name: bound})
    assert gs.loops.helper_threads.helper_threads.limit == 1000


# ---- the counts ----


def ends(_: ModuleType) -> Iterator[str]:
    yield "a"


def fails(_: ModuleType) -> Iterator[str]:
    yield "a"
    raise ValueError("in the source")


def exits(_: ModuleType) -> Iterator[str]:
    yield "a"
    raise SystemExit


def fails_while_it_is_closed(_: ModuleType) -> Iterator[str]:
    try:
        while True:
            yield "a"
    finally:
        raise ValueError("in the clean-up")


def is_done(gs: ModuleType) -> Iterator[Any]:
    yield "a"
    yield gs.events.Done()
    yield "more"


@pytest.mark.parametrize("source", [ends, fails, exits, fails_while_it_is_closed, is_done])
@pytest.mark.parametrize("close", [False, True])
def test_a_thread_is_not_counted_once_its_source_has_ended(
    gs: ModuleType, run: Run, source: Callable[[ModuleType], Iterator[Any]], close: bool
) -> None:
    if "eager" in MODES and source is exits:  # its thread may exit before the task first waits
        pytest.skip("a task that is interrupted as it begins is nobody's, and asyncio says so")

    async def main() -> None:
        stream = gs.streaming.stream.Stream(source(gs), gs.NDJSONEncoder())
        try:
            await stream.start()
            while not close and await stream.next_chunk() is not None:
                if stream.outcome.events >= 10:
                    break
        except SystemExit:
            pass
        finally:
            await stream.close()

    try:
        run(main())
    except SystemExit:
        assert source is exits
    for thread in helper_threads():
        thread.join(10)
    assert counts(gs) == (0, 0)


def test_a_thread_that_cannot_be_started_is_not_counted(
    gs: ModuleType, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def main() -> None:
        source = opened(gs, iter("ab"))
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", start)
            with pytest.raises(RuntimeError, match="new thread"):
                await anext(source)
        assert counts(gs) == (0, 0)
        await source.aclose()

    run(main())


def test_the_counts_are_right_with_several_loops(gs: ModuleType) -> None:
    """Several threads open and close sources at the same time, with low bounds."""
    gs.blocking_threads(abandoned=3, total=6)
    refused, served = [], []

    async def use(number: int) -> None:
        source = opened(gs, iter("a" * 50))
        try:
            for _ in range(number % 4):
                await anext(source)
            served.append(number)
        except gs.StreamError:
            refused.append(number)
        finally:
            await source.aclose()

    async def main() -> None:
        for _ in range(20):
            await asyncio.gather(*map(use, range(8)))

    threads = [threading.Thread(target=asyncio.run, args=(main(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(served) + len(refused) == 4 * 20 * 8
    for thread in helper_threads():
        thread.join(10)
    assert counts(gs) == (0, 0)


def counts_in_a_fork_are(gs: ModuleType, expected: tuple[int, int]) -> bool:
    child = os.fork()
    if child == 0:
        os._exit(0 if counts(gs) == expected else 1)
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_process_counts_from_zero(gs: ModuleType, run: Run, blocked: Blocked) -> None:
    async def main() -> None:
        source = await begun(gs, blocked.source())
        await source.aclose()
        assert counts(gs) == (1, 1)
        assert counts_in_a_fork_are(gs, (0, 0))
        assert counts(gs) == (1, 1)

    run(main())


# ---- the answers ----


class Provider:
    """A provider that returns a blocking source."""

    def stream_text(self, _: Any) -> Iterator[str]:
        return iter("ab")


ASGI: dict[str, Callable[[Any], Any]] = {
    "sse": lambda gs: gs.asgi.SSEResponse(iter("ab")),
    "ndjson": lambda gs: gs.asgi.NDJSONResponse(iter("ab")),
    "held": lambda gs: gs.asgi.SSEResponse(iter("ab"), hold_headers=True),
    "handler": lambda gs: gs.asgi.event_handler(Provider(), lambda request: request),
}
STARLETTE = ["SSEResponse", "NDJSONResponse", "EventSourceResponse"]


@pytest.mark.parametrize("face", ASGI)
def test_a_source_beyond_a_bound_is_answered_503(
    gs: ModuleType, run: Run, blocked: Blocked, face: str
) -> None:
    run(answer_beyond(gs, blocked, lambda: ASGI[face](gs)))


@pytest.mark.parametrize("face", STARLETTE)
def test_starlettes_responses_are_503_too(run: Run, blocked: Blocked, face: str) -> None:
    starlette = pytest.importorskip("gaistream.frameworks.starlette")
    run(answer_beyond(gaistream, blocked, lambda: getattr(starlette, face)(iter("ab"))))


async def answer_beyond(gs: Any, blocked: Blocked, make: Callable[[], Any]) -> None:
    """Check that a response is refused while a thread is abandoned, and served afterwards."""
    gs.blocking_threads(abandoned=1)
    source = await begun(gs, blocked.source())
    await source.aclose()
    served = await Connection().serve(make())
    assert served.status == 503
    assert served.headers["retry-after"] == "5"
    assert served.headers["content-type"] == "application/json"
    assert json.loads(served.body)["error"]["code"] == "too_many_streams"
    assert served.is_complete
    blocked.release()
    served = await Connection().serve(make())
    assert served.status == 200
    assert served.is_complete


def test_wsgi_in_a_helper_thread_is_503_too(gs: ModuleType, run: Run, blocked: Blocked) -> None:
    async def main() -> None:
        await (await begun(gs, blocked.source())).aclose()

    def answer(**settings: Any) -> tuple[str, dict[str, str], bytes]:
        heads: list[tuple[str, dict[str, str]]] = []
        environ: dict[str, Any] = {"QUERY_STRING": ""}
        setup_testing_defaults(environ)
        app = validator(gs.wsgi.SSEResponse(iter("ab"), **settings))
        body = app(environ, lambda status, headers, _=None: heads.append((status, dict(headers))))
        chunks = list(body)
        body.close()
        return *heads[0], b"".join(chunks)

    gs.blocking_threads(abandoned=1)
    run(main())
    status, headers, body = answer(helper_thread=True)
    assert status == "503 Service Unavailable"
    assert headers["Retry-After"] == "5"
    assert json.loads(body)["error"]["code"] == "too_many_streams"
    assert answer()[0] == "200 OK"  # it runs in the server's own thread
    blocked.release()
    assert answer(helper_thread=True)[0] == "200 OK"


@pytest.mark.parametrize("name", ["sse", "ndjson"])
def test_an_iterator_of_bytes_raises_the_error_at_its_first_step(
    gs: ModuleType, run: Run, blocked: Blocked, name: str
) -> None:
    async def source() -> AsyncIterator[Any]:
        async for event in gs.NDJSONReader(iter([b'{"type":"text_delta","text":"a"}\n'])):
            yield event

    async def main() -> None:
        gs.blocking_threads(total=1)
        other = await begun(gs, blocked.source())
        chunks = getattr(gs, name)(source())
        with pytest.raises(gs.StreamError) as raised:
            await anext(chunks)
        assert (raised.value.status, raised.value.retry_after) == (503, 5)
        with pytest.raises(StopAsyncIteration):
            await anext(chunks)
        await chunks.aclose()
        await other.aclose()

    run(main())
