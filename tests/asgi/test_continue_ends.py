"""How an answer without its client ends: bounds, failures, drains, and the end of the loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from kept_answers import Answer, Kept, left
from loops import turns
from scripted_asgi import INTERNAL, Gate, asynchronous, run, text

# ---- bounds ----


def test_a_source_is_closed_that_goes_on_for_too_long(
    gs: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        answer = Answer(gs)
        kept = Kept(gs, answer(), continue_seconds=0.05)
        await (await left(kept, answer))
        outcome, error = kept.outcome, kept.outcome.message.error
        assert (outcome.kind, outcome.message.text) == ("client_gone", "a")
        assert error.code == outcome.error.code == "interrupted"
        assert "continue_seconds=0.05 are over" in error.message == outcome.error.message
        assert (answer.closed, answer.cancelled) == (1, True)

    run(test())
    assert "continue_seconds=0.05" in caplog.text


def test_a_source_is_closed_that_yields_too_much(gs: Any) -> None:
    async def test() -> None:
        closed, gate = [], Gate()

        async def endless() -> AsyncIterator[str]:
            try:
                yield "a"
                await gate()
                while True:
                    yield "x" * 1000
            finally:
                closed.append(True)

        kept = Kept(gs, endless(), continue_bytes=100_000)
        task = kept.begin()
        await kept.connection.until_said(text("a"))
        kept.connection.leave()
        await turns(20)
        gate.open()
        await task
        message = kept.outcome.message
        assert 80 <= message.text.count("x") / 1000 <= 101
        assert message.error.code == "interrupted"
        assert "continue_bytes=100000 is exceeded" in message.error.message
        assert closed

    run(test())


def test_a_silent_source_is_closed_without_its_client_too(gs: Any) -> None:
    async def test() -> None:
        answer = Answer(gs)
        kept = Kept(gs, answer(), source_timeout=0.05)
        await (await left(kept, answer))
        assert kept.outcome.message.error.code == "timeout"
        assert kept.outcome.error.code == "timeout"
        assert answer.cancelled

    run(test())


def test_a_slow_client_pauses_the_source(gs: Any) -> None:
    async def test() -> None:
        yielded, stop = [], []

        async def endless() -> AsyncIterator[str]:
            while not stop:
                yielded.append(1)
                yield "x" * 1000

        kept = Kept(gs, endless())
        kept.connection.before_send = lambda message: (
            asyncio.Event().wait() if "more_body" in message else None
        )
        task = kept.begin()
        before = -1
        while before != len(yielded):  # until it stands still
            before = len(yielded)
            await turns(20)
        assert 256 <= before < 600
        kept.connection.leave()
        while len(yielded) == before:
            await turns(1)
        stop.append(True)
        await task
        assert kept.outcome.message.complete
        assert kept.outcome.events == len(yielded)

    run(test())


# ---- failures ----


def test_a_failure_before_the_first_event_is_answered(gs: Any) -> None:
    async def test() -> None:
        kept = Kept(gs, asynchronous(gs.StreamError("no", status=429)))
        await kept.begin()
        assert kept.connection.status == 429
        assert (kept.outcome.kind, kept.outcome.message.error.message) == ("failed", "no")

    run(test())


@pytest.mark.parametrize("leaves", [False, True])
def test_a_failure_is_the_messages_error_and_logged_once(
    gs: Any, leaves: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        answer = Answer(gs, ValueError("secret"))
        kept = Kept(gs, answer())
        task = kept.begin()
        await kept.connection.until_said(text("a"))
        await answer.gate.arrival()
        if leaves:
            kept.connection.leave()
        await turns(20)
        answer.gate.open()
        await task
        message = kept.outcome.message
        assert (message.text, message.error.code) == ("a", "internal")
        assert "secret" not in message.error.message
        assert isinstance(kept.outcome.error, ValueError)
        assert kept.outcome.kind == ("client_gone" if leaves else "failed")
        assert leaves or kept.connection.body.endswith(INTERNAL)

    run(test())
    assert caplog.text.count("ValueError: secret") == 1


def test_a_failure_in_the_moment_in_which_the_client_leaves_is_logged(
    gs: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async def source() -> AsyncIterator[str]:
            yield "a"
            await asyncio.sleep(0)
            kept.response._client_left()
            raise ValueError("secret")

        kept = Kept(gs, source())
        await kept.begin()
        assert (kept.outcome.kind, kept.outcome.message.error.code) == ("client_gone", "internal")

    run(test())
    assert caplog.text.count("ValueError: secret") == 1


def test_an_item_that_cannot_be_sent_ends_its_source(gs: Any) -> None:
    async def test() -> None:
        for bad in (object(), gs.events.Data("x", object())):
            answer = Answer(gs, bad, "b")
            kept = Kept(gs, answer())
            answer.gate.open()
            await kept.begin()
            assert kept.outcome.kind == "failed"
            assert kept.outcome.message.error.code == "internal"
            assert answer.closed == 1

    run(test())


def test_what_follows_done_is_discarded(gs: Any) -> None:
    async def test() -> None:
        answer = Answer(gs, gs.events.Done(), "late")
        kept = Kept(gs, answer())
        task = await left(kept, answer)
        answer.gate.open()
        await task
        assert (kept.outcome.message.text, kept.outcome.events) == ("a", 2)
        assert kept.outcome.message.complete
        assert answer.closed == 1

    run(test())


def test_an_error_of_on_close_is_logged_after_a_cancellation_too(
    gs: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def on_close(_: Any) -> None:
        raise RuntimeError("broken report")

    async def test() -> None:
        answer = Answer(gs)
        kept = Kept(gs, answer(), on_close=on_close)
        task = await left(kept, answer)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        answer.gate.open()
        await turns(20)

    run(test())
    assert "broken report" in caplog.text


# ---- drains, and the end of the loop ----


def test_a_drain_waits_for_an_answer_without_a_client(gs: Any) -> None:
    async def test() -> None:
        answer = Answer(gs)
        kept = Kept(gs, answer())
        task = await left(kept, answer)
        task.cancel()
        await asyncio.wait([task])
        drain = gs.drain(5)
        await turns(5)
        assert not drain.ended.is_set()
        answer.gate.open()
        await drain
        assert kept.outcome.message.complete

    run(test())


@pytest.mark.parametrize("cancelled", [False, True])
@pytest.mark.parametrize("leaves_first", [False, True])
def test_a_drain_that_runs_out_of_time_interrupts_it(
    gs: Any, leaves_first: bool, cancelled: bool
) -> None:
    async def test() -> None:
        answer = Answer(gs)
        kept = Kept(gs, answer())
        task = kept.begin()
        await answer.gate.arrival()
        if not leaves_first:
            drain = gs.drain(0.3)
        kept.connection.leave()
        await turns(20)
        if cancelled:
            task.cancel()
        if leaves_first:
            drain = gs.drain(0.1)
        await turns(20)
        assert not answer.closed
        await asyncio.wait([task])
        await drain
        assert (answer.closed, answer.cancelled) == (1, True)
        message = kept.outcome.message
        assert (message.text, message.error.code) == ("a", "interrupted")
        assert "the server was stopped" in message.error.message
        assert kept.outcome.kind == "client_gone"

    run(test())


def test_a_drained_stream_ends_with_its_source(gs: Any) -> None:
    async def test() -> None:
        answer = Answer(gs)
        kept = Kept(gs, answer())
        task = kept.begin()
        await answer.gate.arrival()
        await gs.drain(0)
        await task
        assert kept.outcome.kind == "drained"
        assert kept.outcome.message.error.code == "interrupted"
        assert (answer.closed, answer.cancelled) == (1, True)
        assert kept.connection.is_complete

    run(test())


def test_the_end_of_the_loop_interrupts_it_and_is_reported(gs: Any) -> None:
    answer = Answer(gs)
    kept = Kept(gs, answer())

    async def test() -> None:
        task = await left(kept, answer)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(test())
    message = kept.outcome.message
    assert (message.text, message.error.code) == ("a", "interrupted")
    assert answer.closed == 1


def test_a_silent_source_ends_the_stream_of_its_client_too(gs: Any) -> None:
    async def test() -> None:
        answer = Answer(gs)
        kept = Kept(gs, answer(), source_timeout=0.05)
        await kept.begin()
        assert kept.outcome.kind == "failed"
        assert kept.outcome.message.error.code == "timeout"
        assert (answer.closed, answer.cancelled) == (1, True)

    run(test())


def test_a_producer_whose_task_is_cancelled_does_not_look_whole(gs: Any) -> None:
    async def test() -> None:
        answer = Answer(gs)
        kept = Kept(gs, answer())
        task = kept.begin()
        await kept.connection.until_said(text("a"))
        [producer] = [
            each for each in asyncio.all_tasks() if each.get_name() == "gaistream producer"
        ]
        producer.cancel()
        await task
        assert b'"code":"interrupted"' in kept.connection.body
        assert (kept.outcome.kind, kept.outcome.message.error.code) == ("failed", "interrupted")
        assert answer.closed == 1

    run(test())
