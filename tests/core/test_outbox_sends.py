"""Sends that an outbox starts, and whose steps they are, on each twin."""

from __future__ import annotations

import copy
import pickle
from contextvars import ContextVar, copy_context
from types import ModuleType
from typing import Any

import pytest
from every_name import Permit, Promise, Suspended
from frames import said
from outboxes import TOKEN, grant, outbox_of, reader_of, sent_at_once, suspended

variable: ContextVar[str] = ContextVar("variable")


def test_a_send_is_started_in_the_context_of_its_permit(gs: ModuleType) -> None:
    outbox, seen = outbox_of(gs), []

    def send(_: bytes) -> Any:
        seen.append(variable.get())
        variable.set("the send's")
        return sent_at_once()

    variable.set("the connection's")
    grant(outbox, send)
    variable.set("the reader's")
    for _ in range(2):
        outbox.wait()
        outbox.accept("x")
        outbox.flush()
    assert seen == ["the connection's", "the send's"]
    assert variable.get() == "the reader's"


def test_a_send_is_a_step_of_the_connections_task_and_the_reader_goes_on(gs: ModuleType) -> None:
    outbox = outbox_of(gs)
    chunks: list[bytes] = []
    log = grant(outbox, lambda chunk: chunks.append(chunk) or sent_at_once())
    waiter = outbox.wait()
    for _ in range(2):
        outbox.accept("x")
        outbox.flush()
    assert chunks == [TOKEN, TOKEN]
    assert outbox.waiting
    assert not waiter.done()
    assert outbox.take_started() is None
    assert (outbox.sending_since, outbox.bytes) == (None, 2 * len(TOKEN))
    assert log == 2 * [("loop", "connection"), ("loop", "reader")]


@pytest.mark.parametrize("running", ["reader", None])
def test_tasks_that_are_kept_by_their_loops_are_swapped_in_place(
    gs: ModuleType, running: str | None
) -> None:
    outbox, seen = outbox_of(gs), []
    current = {"other": "task"} | ({"loop": running} if running else {})
    before = dict(current)
    outbox.grant(Permit(
        lambda _: seen.append(dict(current)) or sent_at_once(), copy_context(), current
    ))  # fmt: skip
    outbox.wait()
    outbox.accept("x")
    outbox.flush()
    assert seen == [{"other": "task", "loop": "connection"}]
    assert current == before


@pytest.mark.parametrize("how", ["suspends", "raises", "is none"])
def test_a_send_that_is_not_whole_wakes_the_connections_task_once_and_is_its_own(
    gs: ModuleType, how: str
) -> None:
    failure = LookupError("a fault")

    async def raises() -> None:
        raise failure

    sends: dict[str, Any] = {"suspends": suspended, "raises": raises, "is none": lambda: None}
    outbox = outbox_of(gs)
    log = grant(outbox, lambda _: sends[how]())
    waiter = outbox.wait()
    outbox.accept("x")
    outbox.flush()
    assert waiter.results == [None]
    assert not outbox.waiting
    assert outbox.sending_since == outbox.idle_since
    assert outbox.idle_since is not None
    steps, waits_for, error = outbox.take_started()
    assert outbox.take_started() is None
    assert (waits_for, steps is None) == (("waits", False) if how == "suspends" else (None, True))
    if how == "raises":
        assert error is failure
    elif how == "is none":
        assert isinstance(error, AttributeError)
    if how == "suspends":
        with pytest.raises(StopIteration):
            next(steps)
    assert log == [("loop", "connection"), ("loop", "reader")]
    outbox.accept("x")
    outbox.flush()  # while the task finishes the send
    assert outbox.pending == len(TOKEN)


def test_nothing_is_begun_within_a_send_of_the_same_stream(gs: ModuleType) -> None:
    outbox = outbox_of(gs)
    chunks: list[bytes] = []

    def send(chunk: bytes) -> Any:
        chunks.append(chunk)
        outbox.accept("y")
        outbox.flush()
        return sent_at_once()

    grant(outbox, send)
    outbox.wait()
    outbox.accept("x")
    outbox.flush()
    assert chunks == [TOKEN]
    assert outbox.pending == len(said("y"))


@pytest.mark.parametrize("reason", [None, "client_gone"])
def test_a_stream_that_ends_within_a_send_wakes_the_connections_task(
    gs: ModuleType, reason: str | None
) -> None:
    outbox = outbox_of(gs)
    grant(outbox, lambda _: outbox.close(reason) or sent_at_once())
    waiter = outbox.wait()
    outbox.accept("x")
    outbox.flush()
    assert waiter.results == [None]
    assert outbox.take_started() is None


def test_without_a_permit_the_waiting_task_is_woken(gs: ModuleType) -> None:
    outbox = outbox_of(gs)
    waiter = outbox.wait()
    outbox.accept("x")
    outbox.flush()
    assert waiter.results == [None]
    assert not outbox.waiting
    assert outbox.take() == TOKEN


@pytest.mark.parametrize("why", ["the loop has no task", "its context is entered already"])
def test_where_no_send_can_be_started_the_task_is_woken_and_nothing_is_lost(
    gs: ModuleType, why: str
) -> None:
    outbox, context, chunks = outbox_of(gs), copy_context(), []

    def swap(_: Any, task: Any) -> str:
        if why == "the loop has no task" and task == "connection":
            raise RuntimeError(why)
        return "reader"

    outbox.grant(Permit(lambda chunk: chunks.append(chunk) or sent_at_once(), context, swap))
    waiter = outbox.wait()
    outbox.accept("x")
    context.run(outbox.flush)
    if why == "the loop has no task":
        assert not chunks
    assert waiter.results == [None]
    assert (outbox.take_started(), outbox.sending_since, outbox.waiting) == (None, None, False)
    assert outbox.take() == TOKEN


def test_a_source_in_its_connections_context_begins_sends_there_without_entering_it_again(
    gs: ModuleType,
) -> None:
    outbox, context, seen = outbox_of(gs), copy_context(), []

    async def send(chunk: bytes) -> None:
        seen.append((chunk, variable.get()))

    async def read() -> None:
        variable.set("the source's")
        outbox.accept("x")
        await Suspended()

    outbox.grant(Permit(send, context, lambda *_: "reader", shares_context=True))
    outbox.wait()
    context.run(gs.core.SourceReader(outbox, read()).send, None)
    assert seen == [(TOKEN, "the source's")]
    outbox.accept("x")
    outbox.flush()  # by a timer, in another context
    assert seen == [(TOKEN, "the source's")] * 2
    assert outbox.waiting


@pytest.mark.parametrize("name", ["Outbox", "SourceReader"])
def test_neither_is_copied_nor_pickled(gs: ModuleType, name: str) -> None:
    outbox = outbox_of(gs)
    reader = reader_of(gs, outbox, [])
    made = {"Outbox": outbox, "SourceReader": reader}[name]
    for again in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            again(made)
    reader.close()


def test_a_reader_that_was_not_made_knows_nothing(gs: ModuleType) -> None:
    reader = gs.core.SourceReader.__new__(gs.core.SourceReader)
    for use in (reader.close, reader.__next__, lambda: reader.cr_frame):
        with pytest.raises((AttributeError, TypeError)):
            use()


def test_a_task_that_was_cancelled_is_not_woken_a_second_time(gs: ModuleType) -> None:
    outbox = outbox_of(gs)
    grant(outbox, lambda _: suspended())
    waiter = outbox.wait()
    waiter.set_result(None)
    outbox.accept("x")
    outbox.flush()
    assert waiter.results == [None]
    outbox.take_started()[0].close()


def test_taking_wakes_a_source_that_waits_for_room(gs: ModuleType) -> None:
    outbox = outbox_of(gs, most_pending=2 * len(TOKEN))
    outbox.accept("x")
    assert outbox.wait_for_room() is None
    outbox.accept("x")
    room = outbox.wait_for_room()
    assert not room.done()
    for _ in range(2):
        outbox.take()
        outbox.accept("x")
    assert room.results == [None]


def test_a_chunk_is_being_sent_until_the_next_is_taken(gs: ModuleType) -> None:
    outbox, times = outbox_of(gs), iter([1.0, 2.0, 3.0, 4.0])
    outbox.open(Promise, times.__next__)
    assert (outbox.idle_since, outbox.sending_since) == (1.0, None)
    outbox.accept("x")
    outbox.take()
    assert (outbox.idle_since, outbox.sending_since) == (2.0, None)
    outbox.accept("x")
    outbox.take(True)
    assert (outbox.idle_since, outbox.sending_since) == (3.0, 3.0)
    assert outbox.take(True) == b""
    assert outbox.sending_since is None
    outbox.begin_send()
    assert outbox.sending_since == 4.0
    outbox.end_send()
    assert outbox.sending_since is None


def test_a_released_outbox_starts_no_send(gs: ModuleType) -> None:
    outbox = outbox_of(gs)
    log = grant(outbox, lambda _: sent_at_once())
    outbox.release()
    waiter = outbox.wait()
    outbox.accept("x")
    outbox.flush()
    assert (log, waiter.results) == ([], [None])
