"""The order in which a drain ends streams, on a simulated loop, and the requests it refuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from loops import Connection, Run

import gaistream


class Timer:
    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when, self.callback, self.cancelled = when, callback, False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """An event loop with timers only, which advances when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def create_event(self) -> asyncio.Event:
        return asyncio.Event()

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        self.timers.append(Timer(when, callback))
        return self.timers[-1]

    @property
    def set(self) -> list[Timer]:
        return [each for each in self.timers if not each.cancelled]

    def go_on(self) -> None:
        """Advance to the next timer and call it."""
        timer = min(self.set, key=lambda each: each.when)
        timer.cancelled = True
        self.now = timer.when
        timer.callback()


class Open:
    """An open stream, as a drain uses it; it leaves as soon as it is ended.

    One that was silent for less than a second goes on speaking at that rate.
    """

    def __init__(self, registry: Any, silent_for: float) -> None:
        self._registry = registry
        self._silent_for = silent_for
        self._since = registry.timer.now - silent_for
        self.ended_at: float | None = None
        registry.enter(self)

    def silent_since(self) -> float:
        return self._since if self._silent_for > 1 else float(self._registry.timer.now)

    def drain_begins(self, grace: float) -> None:
        """Do nothing."""

    def drain_is_cancelled(self) -> None:
        """Do nothing."""

    def drain(self, retry_ms: int | None) -> None:
        self.ended_at = self._registry.timer.now
        self._registry.leave(self)

    def interrupt(self, kind: str) -> None:
        raise AssertionError(kind)


def drained(gs: ModuleType, silences: list[float], grace: float = 4.0) -> list[float]:
    """Drain streams by their seconds of silence. Return the seconds after which each ended."""
    loop = Loop()
    registry = gs.streaming.open_streams.OpenStreams(loop)
    streams = [Open(registry, each) for each in silences]
    registry.drain(grace, None)
    while registry.streams:
        loop.go_on()
    assert not loop.set  # no timer is left
    return [float(each.ended_at or 0) - 100 for each in streams]


def test_idle_streams_end_at_once_and_answers_in_the_last_quarter(gs: ModuleType) -> None:
    ends = drained(gs, [0.1, 50, 10, 0.5, 30, 90])
    assert [ends[each] for each in (1, 2, 4, 5)] == [0] * 4
    assert all(3 < ends[each] <= 4 for each in (0, 3))


def test_a_stream_that_falls_silent_during_a_drain_ends_once_it_is_idle(gs: ModuleType) -> None:
    assert drained(gs, [1.5]) == pytest.approx([0.5], abs=0.1)


def test_more_than_a_hundred_are_spread_the_longest_silence_first(gs: ModuleType) -> None:
    silences = [200.0 - each for each in range(101)]
    ends = drained(gs, [*silences, 0.1])
    idle, answer = ends[:-1], ends[-1]
    assert idle == sorted(idle)
    assert len(set(idle)) > 20
    assert 2.9 < max(idle) <= 3 < answer <= 4
    at_same_time = max(idle.count(each) for each in idle)
    assert at_same_time <= 4


def test_streams_that_fall_silent_together_are_spread_too(gs: ModuleType) -> None:
    ends = drained(gs, [1.5] * 101)
    assert min(ends) >= 0.5
    assert len(set(ends)) > 20
    assert max(ends) <= 3


def test_with_a_grace_of_zero_any_number_ends_at_once(gs: ModuleType) -> None:
    assert drained(gs, [*[200.0] * 500, 0.1], 0.0) == [0] * 501


def test_a_drain_without_open_streams_has_ended_at_once(gs: ModuleType) -> None:
    loop = Loop()
    ended = gs.streaming.open_streams.OpenStreams(loop).drain(60.0, None)
    assert ended.ended.is_set()
    assert not loop.set


def test_heartbeats_do_not_end_the_silence_of_a_stream(
    gs: ModuleType, run: Run
) -> None:
    class Beating(Connection):
        def __init__(self) -> None:
            super().__init__()
            self.beats = 0
            self.sent_at = 0.0
            self.enough = asyncio.Event()

        async def send(self, chunk: bytes) -> None:
            await super().send(chunk)
            if b'"a"' in chunk:
                self.sent_at = asyncio.get_running_loop().time()
            self.beats += chunk.count(b"keep-alive")
            if self.beats >= 3:
                self.enough.set()

    async def main() -> None:
        async def source() -> AsyncIterator[str]:
            yield "a"
            await asyncio.Event().wait()

        connection = Beating()
        stream = gs.streaming.stream.Stream(
            source(), gs.SSEEncoder(gs.SSEOptions(heartbeat_interval=0.01))
        )
        serving = asyncio.create_task(connection.serve(stream))
        await connection.enough.wait()
        assert stream.silent_since() <= connection.sent_at < stream._outbox.idle_since
        stream.interrupt("client_gone")
        await serving

    run(main())


async def answered(app: Any, **scope: Any) -> tuple[int, dict[bytes, bytes]]:
    """Call an app. Return status and headers."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    request = {"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": b""}
    await app({**request, **scope}, receive, send)
    headers = dict(sent[0]["headers"])
    headers[b"body"] = b"".join(each.get("body", b"") for each in sent[1:])
    return sent[0]["status"], headers


def accepting(*values: str) -> list[tuple[bytes, bytes]]:
    return [(b"accept", value.encode()) for value in values]


EVENT_SOURCE = {"method": "GET", "headers": accepting("text/event-stream")}


class Nobody:
    """A provider that must not be called."""

    def stream_text(self, request: object) -> Any:
        raise AssertionError(request)


def apps(gs: ModuleType) -> dict[str, Any]:
    """Return an app of each kind, each for one request."""

    async def source() -> AsyncIterator[str]:
        raise AssertionError("this must not be read")
        yield ""

    def prepare(request: object) -> object:
        raise AssertionError(request)

    return {
        "sse": gs.asgi.SSEResponse(source()),
        "ndjson": gs.asgi.NDJSONResponse(source()),
        "sse handler": gs.asgi.sse_handler(Nobody(), prepare),
        "ndjson handler": gs.asgi.ndjson_handler(Nobody(), prepare),
        "negotiated": gs.asgi.event_handler(Nobody(), prepare),
    }


@pytest.mark.parametrize(
    ("drain", "expected"),
    [((60.0, 700), b"700"), ((60.0, None), b"60000"), ((0.0, None), b"1000"), ((0.0, 0), b"0"),
     ((0.0, 2**63 - 1), b"9223372036854775807")],
)  # fmt: skip
def test_an_event_source_gets_a_reconnection_time(
    gs: ModuleType, run: Run, drain: tuple[float, Any], expected: bytes
) -> None:
    async def main() -> None:
        gs.drain(drain[0], retry_ms=drain[1])
        for name in ("sse", "sse handler", "negotiated"):
            status, headers = await answered(apps(gs)[name], **EVENT_SOURCE)
            assert (status, headers[b"content-type"]) == (200, b"text/event-stream")
            assert headers[b"body"] == b"retry: " + expected + b"\n"
            assert headers[b"access-control-allow-origin"] == b"*"
            assert b"no-store" in headers[b"cache-control"]

    run(main())


class Hashable(SimpleNamespace):
    __hash__ = object.__hash__


def test_a_stream_that_leaves_when_a_drain_begins_or_is_cancelled_stops_neither(
    gs: ModuleType,
) -> None:
    call = SimpleNamespace(cancel=lambda: None)
    ended = SimpleNamespace(set=lambda: None)
    timer = SimpleNamespace(
        time=lambda: 0.0, call_at=lambda *_: call, create_event=lambda: ended
    )
    registry = gs.streaming.open_streams.OpenStreams(timer)
    called = []

    def stream(number: int) -> SimpleNamespace:
        """Return a stream of which each call ends it, if its number is even."""

        def told(*_: object) -> None:
            called.append(number)
            if number % 2 == 0:
                registry.leave(made)

        made = Hashable(drain_begins=told, drain_is_cancelled=told, silent_since=lambda: 0.0)
        return made

    for number in range(4):
        registry.enter(stream(number))
    drain = registry.drain(60, None)
    assert sorted(called) == [0, 1, 2, 3]
    called.clear()
    for number in (4, 5):
        registry.streams.add(stream(number))
    drain.cancel()
    assert sorted(called) == [1, 3, 4, 5]


def test_a_rounding_error_adds_no_second_to_retry_after(gs: ModuleType) -> None:
    now = 1000.003
    assert now + 60 - now > 60
    timer = SimpleNamespace(time=lambda: now, create_event=object)
    drain = gs.streaming.open_streams.Drain(SimpleNamespace(timer=timer), None)
    drain.ends_at = now + 60
    assert drain.retry_after == 60


@pytest.mark.parametrize(
    ("scope", "names"),
    [
        (EVENT_SOURCE, ["ndjson", "ndjson handler"]),
        ({**EVENT_SOURCE, "method": "POST"}, ["sse", "sse handler", "negotiated"]),
        ({"method": "GET", "headers": []}, ["sse", "sse handler", "negotiated"]),
        ({"method": "GET", "headers": accepting("*/*")}, ["sse", "sse handler"]),
        ({"method": "GET", "headers": accepting("text/*")}, ["sse", "sse handler"]),
        ({"method": "GET", "headers": accepting("text/event-stream;q=0")}, ["sse"]),
    ],
)
def test_clients_that_do_not_reconnect_by_themselves_get_503(
    gs: ModuleType, run: Run, scope: Any, names: list[str]
) -> None:
    async def main() -> None:
        gs.drain(0, retry_ms=1500)
        for name in names:
            status, headers = await answered(apps(gs)[name], **scope)
            assert (status, headers[b"retry-after"]) == (503, b"2")
            assert b"shutting_down" in headers[b"body"]

    run(main())


def test_a_drain_that_is_cancelled_serves_again(gs: ModuleType, run: Run) -> None:
    async def main() -> None:
        waits, go_on = asyncio.Event(), asyncio.Event()

        async def source() -> AsyncIterator[str]:
            yield "a"
            waits.set()
            await go_on.wait()
            yield "b"

        connection = Connection()
        stream = gs.streaming.stream.Stream(source(), gs.SSEEncoder())
        serving = asyncio.create_task(connection.serve(stream))
        await waits.wait()
        ended = gs.drain(10.0)
        waiting = asyncio.ensure_future(ended.wait())
        assert gs.draining()
        ended.cancel()
        await waiting
        assert not gs.draining()
        another = gs.drain(10.0)
        ended.cancel()  # a drain that has ended: no effect
        assert gs.draining()
        another.cancel()
        assert not serving.done()
        assert [each async for each in gs.sse(iter_once())]
        go_on.set()
        assert (await serving).kind == "completed"

    run(main())


async def iter_once() -> AsyncIterator[str]:
    yield "once"


def test_a_handler_refuses_during_a_drain_and_calls_no_provider(
    gs: ModuleType, run: Run
) -> None:
    async def main() -> None:
        await gs.drain(0, retry_ms=7000)
        for name in ("sse handler", "ndjson handler", "negotiated"):
            status, headers = await answered(apps(gs)[name])
            assert (status, headers[b"retry-after"]) == (503, b"7")
        preflight = apps(gs)["sse handler"]
        assert (await answered(preflight, method="OPTIONS"))[0] == 204

    run(main())


def test_the_responses_for_starlette_refuse_during_a_drain(run: Run) -> None:
    pytest.importorskip("starlette")
    from starlette.applications import Starlette
    from starlette.routing import Route

    from gaistream.frameworks.starlette import SSEResponse

    closed: list[str] = []

    class Source:
        def __aiter__(self) -> Source:
            return self

        async def __anext__(self) -> str:
            raise AssertionError("this must not be read")

        async def aclose(self) -> None:
            closed.append("source")

    async def endpoint(_: Any) -> Any:
        return SSEResponse(Source())

    async def main() -> None:
        await gaistream.drain(0)
        app = Starlette(routes=[Route("/", endpoint)])
        status, headers = await answered(app, method="GET", root_path="")
        assert (status, headers[b"retry-after"]) == (503, b"1")
        assert closed == ["source"]
        status, headers = await answered(app, root_path="", **EVENT_SOURCE)
        assert (status, headers[b"body"]) == (200, b"retry: 1000\n")
        assert headers[b"content-type"].startswith(b"text/event-stream")
        assert b"content-length" not in headers
        assert closed == ["source"] * 2

    run(main())
