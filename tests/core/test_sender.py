"""The part of a stream that runs for each event and each send, on each twin."""

from __future__ import annotations

import copy
import inspect
import pickle
import time
import weakref
from collections.abc import Coroutine
from contextvars import ContextVar, copy_context
from types import ModuleType
from typing import Any

import pytest
from every_name import Promise, Suspended
from frames import said

MANY = 10**9
variable: ContextVar[str] = ContextVar("variable")
TOKEN = said("x")


def sender_of(gs: ModuleType, **settings: Any) -> Any:
    """Give a sender; nothing limits it but what the settings do."""
    limits = {"at_once": True, "flush_size": MANY, "turn_bytes": MANY, "turn_seconds": 3600.0,
              "most_pending": MANY, **settings}  # fmt: skip
    return gs.core.FrameSender(gs.SSEEncoder(), *limits.values())


def lend(sender: Any, send: Any, running: str | None = "reader") -> list[tuple[Any, Any]]:
    """Have sends begun, and give the list of what becomes the current task of which loop."""
    log: list[tuple[Any, Any]] = []
    sender._lend(
        send, "loop", "sender", copy_context(), lambda *of: log.append(of) or running
    )
    return log


# ---- what the reader is told ----


@pytest.mark.parametrize(("seconds", "looks"), [(3600.0, 0), (-1.0, 5)])
def test_a_turn_is_looked_at_every_eight_events(
    gs: ModuleType, seconds: float, looks: int
) -> None:
    sender = sender_of(gs, turn_seconds=seconds)
    told = [sender._accept("x") for _ in range(40)]
    assert [number for number, each in enumerate(told, 1) if each] == [8, 16, 24, 32, 40][:looks]


def test_a_source_that_blocks_begins_its_turn_anew(gs: ModuleType) -> None:
    sender = sender_of(gs, turn_seconds=-1.0, turn_bytes=7 * len(TOKEN) + 1)
    for _ in range(20):
        assert [sender._accept("x") for _ in range(7)] == [False] * 7
        sender._send_now()
    assert [sender._accept("x") for _ in range(8)] == [False] * 7 + [True]


@pytest.mark.parametrize("name", ["turn_bytes", "most_pending"])
def test_the_reader_looks_up_where_exactly_as_many_bytes_have_come(
    gs: ModuleType, name: str
) -> None:
    sender = sender_of(gs, **{name: 3 * len(TOKEN)})
    assert [sender._accept("x") for _ in range(4)] == [False, False, True, True]


def test_most_pending_counts_what_waits_and_a_turn_what_was_written(gs: ModuleType) -> None:
    waits = sender_of(gs, most_pending=2 * len(TOKEN))
    turn = sender_of(gs, turn_bytes=2 * len(TOKEN))
    told: list[list[bool]] = [[], []]
    for _ in range(3):
        for sender, seen in zip((waits, turn), told, strict=True):
            seen.append(sender._accept("x"))
            sender._take()
    assert told == [[False] * 3, [False, True, True]]


def test_what_is_held_asks_for_a_time_once_and_is_due_when_it_is_enough(gs: ModuleType) -> None:
    sender = sender_of(gs, at_once=False, flush_size=4 * len(TOKEN))
    assert not sender._accept("x")  # the first event is due at once
    assert sender._take() == TOKEN
    assert sender._accept("x")  # somebody is to say when
    assert sender._accept("x")  # as nobody does
    sender._held = True
    assert not sender._accept("x")
    assert sender._take() == b""
    assert not sender._due
    assert not sender._accept("x")
    assert sender._due
    assert sender._take() == 4 * TOKEN
    assert not sender._due


def test_before_the_first_event_all_is_due(gs: ModuleType) -> None:
    sender = sender_of(gs, at_once=False)
    for _ in range(2):
        sender._frames.write_heartbeat()
        assert sender._take()
    assert not sender._accept("x")
    assert sender._take() == TOKEN


@pytest.mark.parametrize("how", ["finished", "interrupted", "done"])
def test_a_stream_that_is_over_is_said_and_nothing_is_written(gs: ModuleType, how: str) -> None:
    sender = sender_of(gs)
    if how == "finished":
        sender._finished = True
    elif how == "interrupted":
        sender._interrupted = "client_gone"
    else:
        assert sender._accept(gs.events.Done())
        with pytest.raises(gs.errors.ClosedError):
            sender._accept("x")
        assert sender.events == 1
        return
    assert sender._accept("x")
    assert (sender.events, sender._frames.pending) == (0, 0)


# ---- what is sent, and by whom ----


async def sent_at_once() -> None:
    pass


async def suspended() -> None:
    await Suspended()


def test_a_send_is_begun_in_the_context_that_was_lent(gs: ModuleType) -> None:
    sender, seen = sender_of(gs), []

    def send(_: bytes) -> Any:
        seen.append(variable.get())
        variable.set("the send's")
        return sent_at_once()

    variable.set("the sender's")
    lend(sender, send)
    variable.set("the reader's")
    for _ in range(2):
        sender._waiter = Promise()
        sender._accept("x")
        sender._send_now()
    assert seen == ["the sender's", "the send's"]
    assert variable.get() == "the reader's"


def test_a_send_is_begun_as_the_sender_and_the_reader_goes_on(gs: ModuleType) -> None:
    sender = sender_of(gs)
    chunks: list[bytes] = []
    log = lend(sender, lambda chunk: chunks.append(chunk) or sent_at_once())
    sender._waiter = waiter = Promise()
    for _ in range(2):
        sender._accept("x")
        sender._send_now()
    assert chunks == [TOKEN, TOKEN]
    assert sender._waiter is waiter
    assert not waiter.done()
    assert (sender._rest, sender._sending_since, sender.bytes) == (None, None, 2 * len(TOKEN))
    assert log == 2 * [("loop", "sender"), ("loop", "reader")]


@pytest.mark.parametrize("running", ["reader", None])
def test_tasks_that_are_kept_by_their_loops_are_swapped_in_place(
    gs: ModuleType, running: str | None
) -> None:
    sender, seen = sender_of(gs), []
    current = {"other": "task"} | ({"loop": running} if running else {})
    before = dict(current)
    sender._lend(
        lambda _: seen.append(dict(current)) or sent_at_once(),
        "loop", "sender", copy_context(), current,
    )  # fmt: skip
    sender._waiter = Promise()
    sender._accept("x")
    sender._send_now()
    assert seen == [{"other": "task", "loop": "sender"}]
    assert current == before


@pytest.mark.parametrize("how", ["suspends", "raises", "is none"])
def test_a_send_that_is_not_whole_wakes_the_sender_once_and_is_its_own(
    gs: ModuleType, how: str
) -> None:
    failure = LookupError("a fault")

    async def raises() -> None:
        raise failure

    sends: dict[str, Any] = {"suspends": suspended, "raises": raises, "is none": lambda: None}
    sender = sender_of(gs)
    log = lend(sender, lambda _: sends[how]())
    sender._waiter = waiter = Promise()
    sender._idle_since = None
    sender._accept("x")
    sender._send_now()
    assert waiter.results == [None]
    assert sender._waiter is None
    assert sender._sending_since == sender._idle_since
    assert sender._idle_since is not None
    steps, waits_for, error = sender._rest
    assert (waits_for, steps is None) == (("waits", False) if how == "suspends" else (None, True))
    if how == "raises":
        assert error is failure
    elif how == "is none":
        assert isinstance(error, AttributeError)
    if how == "suspends":
        with pytest.raises(StopIteration):
            next(steps)
    assert log == [("loop", "sender"), ("loop", "reader")]
    sender._accept("x")
    sender._send_now()  # while the sender goes on
    assert sender._frames.pending == len(TOKEN)


def test_nothing_is_begun_within_a_send_of_the_same_stream(gs: ModuleType) -> None:
    sender = sender_of(gs)
    chunks: list[bytes] = []

    def send(chunk: bytes) -> Any:
        chunks.append(chunk)
        sender._accept("y")
        sender._send_now()
        return sent_at_once()

    lend(sender, send)
    sender._waiter = Promise()
    sender._accept("x")
    sender._send_now()
    assert chunks == [TOKEN]
    assert sender._frames.pending == len(said("y"))


@pytest.mark.parametrize("how", ["_finished", "_interrupted"])
def test_a_stream_that_ends_within_a_send_wakes_its_sender(gs: ModuleType, how: str) -> None:
    sender = sender_of(gs)
    lend(sender, lambda _: setattr(sender, how, True) or sent_at_once())
    sender._waiter = waiter = Promise()
    sender._accept("x")
    sender._send_now()
    assert waiter.results == [None]
    assert sender._rest is None


def test_where_nothing_can_be_begun_who_waits_is_woken(gs: ModuleType) -> None:
    sender = sender_of(gs)
    sender._waiter = waiter = Promise()
    sender._accept("x")
    sender._send_now()
    assert waiter.results == [None]
    assert sender._waiter is None
    assert sender._take() == TOKEN


@pytest.mark.parametrize("why", ["the loop has no task", "its context is entered already"])
def test_where_a_send_cannot_be_begun_the_sender_is_woken_and_nothing_is_lost(
    gs: ModuleType, why: str
) -> None:
    sender, context, chunks = sender_of(gs), copy_context(), []

    def swap(_: Any, task: Any) -> str:
        if why == "the loop has no task" and task == "sender":
            raise RuntimeError(why)
        return "reader"

    sender._lend(lambda chunk: chunks.append(chunk) or sent_at_once(), "loop", "sender", context,
                 swap)  # fmt: skip
    sender._waiter = waiter = Promise()
    sender._accept("x")
    context.run(sender._send_now)
    if why == "the loop has no task":
        assert not chunks
    assert waiter.results == [None]
    assert (sender._rest, sender._sending_since, sender._waiter) == (None, None, None)
    assert sender._take() == TOKEN


def test_a_source_in_its_connections_context_begins_sends_there_without_entering_it_again(
    gs: ModuleType,
) -> None:
    sender, context, seen = sender_of(gs), copy_context(), []

    async def send(chunk: bytes) -> None:
        seen.append((chunk, variable.get()))

    async def read() -> None:
        variable.set("the source's")
        sender._accept("x")
        await Suspended()

    sender._source_context = context
    sender._lend(send, "loop", "sender", context, lambda *_: "reader")
    sender._waiter = waiter = Promise()
    context.run(gs.core.SourceReader(sender, read()).send, None)
    assert seen == [(TOKEN, "the source's")]
    sender._accept("x")
    sender._send_now()  # by a timer, in another context
    assert seen == [(TOKEN, "the source's")] * 2
    assert sender._waiter is waiter


@pytest.mark.parametrize("name", ["FrameSender", "SourceReader"])
def test_neither_is_copied_nor_pickled(gs: ModuleType, name: str) -> None:
    sender = sender_of(gs)
    reader = reader_of(gs, sender, [])
    made = {"FrameSender": sender, "SourceReader": reader}[name]
    for again in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            again(made)
    reader.close()


def test_a_reader_that_was_not_made_knows_nothing(gs: ModuleType) -> None:
    reader = gs.core.SourceReader.__new__(gs.core.SourceReader)
    for use in (reader.close, reader.__next__, lambda: reader.cr_frame):
        with pytest.raises((AttributeError, TypeError)):
            use()


def test_a_sender_that_was_cancelled_is_not_woken_a_second_time(gs: ModuleType) -> None:
    sender = sender_of(gs)
    lend(sender, lambda _: suspended())
    sender._waiter = waiter = Promise()
    waiter.set_result(None)
    sender._accept("x")
    sender._send_now()
    assert waiter.results == [None]
    sender._rest[0].close()


def test_taking_tells_a_source_that_waits_for_room(gs: ModuleType) -> None:
    sender = sender_of(gs)
    sender._room = room = Promise()
    assert sender._take() == b""
    assert not room.done()
    for _ in range(2):
        sender._accept("x")
        sender._take()
    assert room.results == [None]


# ---- the coroutine that reads ----


def reader_of(gs: ModuleType, sender: Any, log: list[Any]) -> Any:
    """Give a reader that writes a token before each of its steps, and notes what it is told."""

    async def reading() -> str:
        try:
            for _ in range(3):
                sender._accept("x")
                try:
                    await Suspended()
                except LookupError as error:
                    log.append(error)
        finally:
            log.append("ends")
        return "read"

    return gs.core.SourceReader(sender, reading())


def test_whenever_the_reader_waits_its_sender_sends_in_the_readers_absence(gs: ModuleType) -> None:
    sender, log, chunks = sender_of(gs), [], []
    tasks = lend(sender, lambda chunk: chunks.append(chunk) or sent_at_once())
    sender._waiter = Promise()
    reader = reader_of(gs, sender, log)
    failure = LookupError("thrown")
    assert [next(reader), reader.send(None), reader.throw(failure)] == ["waits"] * 3
    assert chunks == [TOKEN] * 3
    assert log == [failure]
    assert tasks == 3 * [("loop", "sender"), ("loop", "reader")]
    with pytest.raises(StopIteration) as ended:
        reader.send(None)
    assert ended.value.value == "read"
    assert log == [failure, "ends"]
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        next(reader)


@pytest.mark.parametrize("how", ["returns", "raises", "is closed", "was closed before"])
def test_a_reader_that_has_ended_keeps_its_sender_no_longer(gs: ModuleType, how: str) -> None:
    class Sender(gs.core.FrameSender):
        task: Any = None  # the reader's, as a stream has it

    sender = Sender(gs.SSEEncoder(), True, MANY, MANY, 3600.0, MANY)
    kept = weakref.ref(sender)

    async def reading() -> None:
        if how != "returns":
            await Suspended()

    reader = gs.core.SourceReader(sender, reading())
    sender.task = reader
    if how == "returns":
        with pytest.raises(StopIteration):
            next(reader)
    elif how == "raises":
        next(reader)
        with pytest.raises(LookupError):
            reader.throw(LookupError())
    else:
        if how == "is closed":
            next(reader)
        reader.close()
    del sender
    assert kept() is None


def test_what_is_raised_in_place_of_a_send_is_thrown_into_the_reader(gs: ModuleType) -> None:
    sender, log = sender_of(gs), []
    failure = LookupError("the clock is broken")

    def broken() -> float:
        sender._time = time.monotonic
        raise failure

    sender._time, sender._waiter = broken, Promise()
    lend(sender, lambda _: sent_at_once())
    reader = reader_of(gs, sender, log)
    assert next(reader) == "waits"
    assert log == [failure]
    reader.close()


def test_a_reader_is_a_coroutine_to_who_asks(gs: ModuleType) -> None:
    reader = reader_of(gs, sender_of(gs), [])
    assert inspect.iscoroutine(reader) is False
    assert isinstance(reader, Coroutine)
    assert inspect.getcoroutinestate(reader) == inspect.CORO_CREATED
    next(reader)
    assert inspect.getcoroutinestate(reader) == inspect.CORO_SUSPENDED
    assert reader.__qualname__.endswith("reading")
    reader.close()
    assert inspect.getcoroutinestate(reader) == inspect.CORO_CLOSED
    with pytest.raises(AttributeError, match="nothing"):
        _ = reader.nothing
