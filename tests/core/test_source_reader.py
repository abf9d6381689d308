"""The coroutine that reads a source into an outbox, on each twin."""

from __future__ import annotations

import inspect
import time
import weakref
from collections.abc import Coroutine
from types import ModuleType
from typing import Any

import pytest
from every_name import Promise, Suspended
from outboxes import MANY, TOKEN, grant, outbox_of, reader_of, sent_at_once


def test_whenever_the_reader_waits_its_outbox_sends_in_the_readers_absence(gs: ModuleType) -> None:
    outbox, log, chunks = outbox_of(gs), [], []
    tasks = grant(outbox, lambda chunk: chunks.append(chunk) or sent_at_once())
    outbox.wait()
    reader = reader_of(gs, outbox, log)
    failure = LookupError("thrown")
    assert [next(reader), reader.send(None), reader.throw(failure)] == ["waits"] * 3
    assert chunks == [TOKEN] * 3
    assert log == [failure]
    assert tasks == 3 * [("loop", "connection"), ("loop", "reader")]
    with pytest.raises(StopIteration) as ended:
        reader.send(None)
    assert ended.value.value == "read"
    assert log == [failure, "ends"]
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        next(reader)


@pytest.mark.parametrize("how", ["returns", "raises", "is closed", "was closed before"])
def test_a_reader_that_has_ended_keeps_its_outbox_no_longer(gs: ModuleType, how: str) -> None:
    class Watched(gs.core.Outbox):
        task: Any = None  # the reader's, as a stream has it

    outbox = Watched(gs.SSEEncoder(), True, MANY, MANY, 3600.0, MANY)
    kept = weakref.ref(outbox)

    async def reading() -> None:
        if how != "returns":
            await Suspended()

    reader = gs.core.SourceReader(outbox, reading())
    outbox.task = reader
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
    del outbox
    assert kept() is None


def test_what_is_raised_in_place_of_a_send_is_thrown_into_the_reader(gs: ModuleType) -> None:
    outbox, log = outbox_of(gs), []
    failure = LookupError("the clock is broken")

    def broken() -> float:
        if outbox.waiting and not log:
            raise failure
        return time.monotonic()

    outbox.open(Promise, broken)
    outbox.wait()
    grant(outbox, lambda _: sent_at_once())
    reader = reader_of(gs, outbox, log)
    assert next(reader) == "waits"
    assert log == [failure]
    reader.close()


def test_a_reader_is_a_coroutine_to_who_asks(gs: ModuleType) -> None:
    reader = reader_of(gs, outbox_of(gs), [])
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


def test_after_each_step_of_its_source_an_outbox_makes_a_call(gs: ModuleType) -> None:
    outbox, log = outbox_of(gs), []
    reader = reader_of(gs, outbox, log)
    next(reader)
    outbox.after_step = lambda: log.append("a step")
    reader.send(None)
    reader.throw(failure := LookupError("thrown"))
    assert log == ["a step", failure, "a step"]
    outbox.release()
    with pytest.raises(StopIteration):
        reader.send(None)
    assert log[3:] == ["ends"]
