"""`on_disconnect="continue"`: the answer is finished although its client has left."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from kept_answers import Answer, Kept, left
from loops import turns
from scripted_asgi import DONE, PRELUDE, Connection, Gate, asynchronous, run, text


def test_an_answer_is_finished_without_its_client_and_given_to_on_close(gs: Any) -> None:
    async def test() -> None:
        answer = Answer(gs)
        kept = Kept(gs, answer())
        task = await left(kept, answer)
        assert not task.done()  # the request lasts as long as its answer
        assert not kept.outcomes
        answer.gate.open()
        await task
        outcome, message = kept.outcome, kept.outcome.message
        assert (outcome.kind, outcome.events, outcome.error) == ("client_gone", 3, None)
        assert outcome.bytes == len(PRELUDE + text("a")) == len(kept.connection.body)
        assert outcome.source_closed
        assert isinstance(message, gs.Message)
        assert (message.text, message.finish_reason, message.error) == ("ab", "stop", None)
        assert message.complete
        assert (answer.closed, answer.cancelled) == (1, False)
        assert not kept.connection.is_complete

    run(test())


def test_an_answer_with_its_client_is_sent_as_ever(gs: Any) -> None:
    async def test() -> None:
        kept = Kept(gs, asynchronous("a", "b", gs.events.Finish(finish_reason="stop")))
        await kept.begin()
        plain = await Connection().serve(
            gs.asgi.SSEResponse(asynchronous("a", "b", gs.events.Finish(finish_reason="stop")))
        )
        assert kept.connection.sent == plain.sent
        assert (kept.outcome.kind, kept.outcome.events) == ("completed", 3)
        assert kept.outcome.bytes == len(plain.body)
        assert kept.outcome.message.text == "ab"

    run(test())


def test_a_cancelled_request_ends_at_once_and_its_answer_goes_on(gs: Any) -> None:
    async def test() -> None:
        answer, reported = Answer(gs), asyncio.Event()
        kept = Kept(gs, answer())

        async def on_close(outcome: Any) -> None:
            await asyncio.sleep(0)
            kept.outcomes.append(outcome)
            reported.set()

        kept.response._on_close = on_close
        task = kept.begin()
        await kept.connection.until_said(text("a"))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not answer.closed
        answer.gate.open()
        await reported.wait()
        assert (kept.outcome.kind, kept.outcome.message.text) == ("cancelled", "ab")
        assert kept.outcome.message.complete
        assert (answer.closed, answer.cancelled) == (1, False)
        await turns(3)

    run(test())


def test_a_request_that_is_cancelled_while_its_answer_goes_on_ends_at_once(gs: Any) -> None:
    async def test() -> None:
        answer = Answer(gs)
        kept = Kept(gs, answer())
        task = await left(kept, answer)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not kept.outcomes
        answer.gate.open()
        await turns(20)
        assert (kept.outcome.kind, kept.outcome.message.text) == ("client_gone", "ab")

    run(test())


def test_an_answer_goes_on_after_a_send_that_stalls(gs: Any) -> None:
    async def test() -> None:
        answer = Answer(gs)
        kept = Kept(gs, answer(), send_timeout=0.02)
        kept.connection.before_send = lambda message: (
            asyncio.Event().wait() if text("a") in message.get("body", b"") else None
        )
        answer.gate.open()
        await kept.begin()
        assert (kept.outcome.kind, kept.outcome.message.text) == ("stalled", "ab")

    run(test())


def test_a_client_that_has_left_before_the_start_has_its_answer_made(gs: Any) -> None:
    async def test() -> None:
        for method in ("GET", "POST"):
            kept = Kept(gs, asynchronous("a", "b"), method)
            kept.connection.leave()
            await kept.begin()
            assert kept.outcome.message.text == "ab"
            assert kept.outcome.message.complete

    run(test())


def test_a_blocking_source_is_read_to_its_end_in_its_thread(gs: Any) -> None:
    async def test() -> None:
        going = threading.Event()

        def source() -> Iterator[Any]:
            yield "a"
            going.wait(10)
            yield "b"

        kept = Kept(gs, source())
        task = kept.begin()
        await kept.connection.until_said(text("a"))
        kept.connection.leave()
        await turns(20)
        going.set()
        await task
        assert (kept.outcome.kind, kept.outcome.message.text) == ("client_gone", "ab")
        assert kept.outcome.source_closed

    run(test())


def test_nothing_is_encoded_for_a_client_that_has_left(gs: Any) -> None:
    async def test() -> None:
        written = []

        class Noting(gs.dialects.EventWriter):  # type: ignore[misc]
            def write_event(self, encoder: Any, event: Any) -> None:
                written.append(event)
                encoder.write_frame("x")

        class Own(gs.dialects.Dialect):  # type: ignore[misc]
            name, writes = "own", ("sse",)

            def writer(self, *_: Any, **__: Any) -> Any:
                return Noting()

        answer = Answer(gs)
        kept = Kept(gs, answer(), dialect=Own())
        task = kept.begin()
        await answer.gate.arrival()
        await turns(10)
        kept.connection.leave()
        await turns(20)
        answer.gate.open()
        await task
        assert written == [gs.events.TextDelta("a")]
        assert kept.outcome.message.text == "ab"

    run(test())


# ---- requests that have no stream ----


def test_head_and_a_refusal_close_a_source_that_was_not_begun(gs: Any) -> None:
    async def test() -> None:
        answer = Answer(gs)
        kept = Kept(gs, answer(), "HEAD")
        await kept.begin()
        assert kept.connection.status == 200
        assert kept.outcome.message.text == ""
        assert not kept.outcome.message.complete
        gs.drain(5)
        kept = Kept(gs, answer())
        await kept.begin()
        assert kept.connection.status == 503
        assert kept.outcome.kind == "drained"

    run(test())


def test_a_handler_waits_for_its_provider_although_the_client_leaves(gs: Any) -> None:
    async def test() -> None:
        gate, outcomes = Gate(), []

        class Provider:
            async def stream_text(self, _: Any) -> Any:
                await gate()
                return asynchronous("a", gs.events.Finish(finish_reason="stop"))

        handler = gs.asgi.sse_handler(
            Provider(), lambda _: None, on_disconnect="continue", on_close=outcomes.append
        )
        connection = Connection()
        task = connection.begin(handler)
        await gate.arrival()
        connection.leave()
        await turns(10)
        gate.open()
        await task
        assert [each.message.text for each in outcomes] == ["a"]
        assert outcomes[0].message.complete

    run(test())


def test_a_handler_does_not_prepare_for_a_client_that_has_left(gs: Any) -> None:
    async def test() -> None:
        asked, prepares = [], asyncio.Event()

        class Provider:
            def stream_text(self, _: Any) -> Any:
                asked.append(True)

        async def prepare(incoming: Any) -> None:
            prepares.set()
            await incoming.body()

        handler = gs.asgi.sse_handler(Provider(), prepare, on_disconnect="continue")
        connection = Connection("POST")
        task = connection.begin(handler)
        await prepares.wait()
        connection.leave()
        await task
        assert not asked

    run(test())


# ---- arguments ----


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"on_disconnect": "go on"}, "on_disconnect must be 'close' or 'continue', not 'go on'"),
        ({"collect": 1}, "collect must be bool, not int"),
        ({"continue_seconds": 0}, "continue_seconds must be more than 0"),
        ({"continue_seconds": "1"}, "continue_seconds must be seconds, not str"),
        ({"continue_bytes": 0}, "continue_bytes must be"),
        ({"continue_bytes": 1.5}, "continue_bytes must be"),
        ({"collect": True, "dialect": "json"}, "collect=True needs a dialect of events"),
        ({"collect": True, "dialect": "raw"}, "dialect='raw'"),
    ],
)
def test_a_wrong_argument_is_named(gs: Any, settings: dict[str, Any], says: str) -> None:
    for make in (gs.asgi.SSEResponse, gs.asgi.NDJSONResponse):
        with pytest.raises((gs.errors.FrameError, TypeError), match=says):
            make(asynchronous(), **settings)


def test_peoples_own_objects_are_read_to_their_end_without_a_message(gs: Any) -> None:
    async def test() -> None:
        saved, gate = [], Gate()

        async def source() -> AsyncIterator[Any]:
            yield "a"
            await gate()
            yield None
            saved.append("whole")

        kept = Kept(gs, source(), dialect="json")
        task = kept.begin()
        await gate.arrival()
        kept.connection.leave()
        await turns(20)
        gate.open()
        await task
        assert (kept.outcome.kind, kept.outcome.message) == ("client_gone", None)
        assert kept.outcome.events == 2
        assert saved == ["whole"]

    run(test())


def test_done_is_still_the_last_frame(gs: Any) -> None:
    async def test() -> None:
        kept = Kept(gs, asynchronous({"type": "text_delta", "text": "a"}))
        await kept.begin()
        assert kept.connection.body == PRELUDE + text("a") + DONE
        assert kept.outcome.message.text == "a"

    run(test())
