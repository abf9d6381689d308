"""What an outbox accepts, and what may be taken from it, on each twin."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from outboxes import MANY, TOKEN, grant, outbox_of, sent_at_once, suspended


@pytest.mark.parametrize(("seconds", "looks"), [(3600.0, 0), (-1.0, 5)])
def test_a_turn_is_looked_at_every_eight_events(
    gs: ModuleType, seconds: float, looks: int
) -> None:
    outbox = outbox_of(gs, turn_seconds=seconds)
    told = [outbox.accept("x") for _ in range(40)]
    assert [number for number, each in enumerate(told, 1) if each] == [8, 16, 24, 32, 40][:looks]


def test_a_source_that_blocks_begins_its_turn_anew(gs: ModuleType) -> None:
    outbox = outbox_of(gs, turn_seconds=-1.0, turn_bytes=7 * len(TOKEN) + 1)
    for _ in range(20):
        assert [outbox.accept("x") for _ in range(7)] == [False] * 7
        outbox.flush()
    assert [outbox.accept("x") for _ in range(8)] == [False] * 7 + [True]


@pytest.mark.parametrize("name", ["turn_bytes", "most_pending"])
def test_the_reader_looks_up_where_exactly_as_many_bytes_have_come(
    gs: ModuleType, name: str
) -> None:
    outbox = outbox_of(gs, **{name: 3 * len(TOKEN)})
    assert [outbox.accept("x") for _ in range(4)] == [False, False, True, True]


def test_most_pending_counts_what_waits_and_a_turn_what_was_written(gs: ModuleType) -> None:
    waits = outbox_of(gs, most_pending=2 * len(TOKEN))
    turn = outbox_of(gs, turn_bytes=2 * len(TOKEN))
    told: list[list[bool]] = [[], []]
    for _ in range(3):
        for outbox, seen in zip((waits, turn), told, strict=True):
            seen.append(outbox.accept("x"))
            outbox.take()
    assert told == [[False] * 3, [False, True, True]]


def test_held_bytes_need_one_flush_and_are_due_when_they_are_enough(gs: ModuleType) -> None:
    outbox = outbox_of(gs, at_once=False, flush_size=4 * len(TOKEN))
    assert not outbox.accept("x")  # the first event is due at once
    assert outbox.take() == TOKEN
    assert outbox.accept("x")  # somebody is to say when
    assert outbox.accept("x")  # as nobody does
    assert outbox.hold()
    assert not outbox.accept("x")
    assert outbox.take() == b""
    assert not outbox.accept("x")
    assert outbox.take() == 4 * TOKEN
    assert outbox.accept("x") is False  # a flush is scheduled still
    assert outbox.take() == b""


def test_before_the_first_event_all_is_due(gs: ModuleType) -> None:
    encoder = gs.SSEEncoder()
    outbox = gs.core.Outbox(encoder, False, MANY, MANY, 3600.0, MANY)
    for _ in range(2):
        encoder.write_heartbeat()
        assert outbox.take()
    assert not outbox.accept("x")
    assert outbox.take() == TOKEN


def test_held_bytes_are_due_at_the_end(gs: ModuleType) -> None:
    outbox = outbox_of(gs, at_once=False)
    outbox.accept("x")
    assert outbox.take() == TOKEN
    outbox.accept("x")
    assert outbox.take() == b""
    outbox.close()
    assert outbox.take() == TOKEN


@pytest.mark.parametrize("reason", [None, "client_gone"])
def test_a_closed_outbox_accepts_nothing_and_wakes_both_sides(
    gs: ModuleType, reason: str | None
) -> None:
    outbox = outbox_of(gs, most_pending=1)
    outbox.accept("x")
    room, waiter = outbox.wait_for_room(), outbox.wait()
    for _ in range(2):
        outbox.close(reason)
    assert (room.results, waiter.results, outbox.waiting) == ([None], [None], False)
    assert outbox.accept("x")
    assert outbox.wait_for_room() is None
    assert outbox.events == 1
    assert outbox.take() == (TOKEN if reason is None else b"")


def test_an_outbox_that_has_ended_may_be_cut_but_not_the_other_way_round(gs: ModuleType) -> None:
    outbox = outbox_of(gs)
    outbox.accept("x")
    for reason in (None, "client_gone", None):
        outbox.close(reason)
    assert outbox.take() == b""


def test_an_end_that_the_source_has_written_is_reported(gs: ModuleType) -> None:
    outbox = outbox_of(gs)
    assert outbox.accept(gs.events.Done())
    with pytest.raises(gs.errors.ClosedError):
        outbox.accept("x")
    assert outbox.events == 1


def test_one_by_one_an_item_is_sent_before_the_next_is_accepted(gs: ModuleType) -> None:
    chunks: list[bytes] = []

    def send(chunk: bytes) -> Any:
        chunks.append(chunk)
        return sent_at_once()

    outbox = outbox_of(gs, one_by_one=True)
    assert outbox.accept("x")  # nobody waits for it yet
    room = outbox.wait_for_room()
    assert outbox.take(True) == TOKEN
    assert not room.done()  # it is being sent
    assert outbox.take(True) == b""
    assert room.done()
    grant(outbox, send)
    outbox.wait()
    assert [outbox.accept("x") for _ in range(3)] == [False] * 3
    assert chunks == [TOKEN] * 3
    assert outbox.wait_for_room() is None
    assert not outbox.pending


def test_one_by_one_a_send_that_waits_holds_the_source_back(gs: ModuleType) -> None:
    outbox = outbox_of(gs, one_by_one=True)
    grant(outbox, lambda _: suspended())
    waiter = outbox.wait()
    assert outbox.accept("x")
    assert waiter.done()  # the connection's task finishes the send
    room = outbox.wait_for_room()
    assert not room.done()
    assert outbox.take_started() is not None
    assert outbox.take(True) == b""
    assert room.done()


def test_one_by_one_a_turn_ends_too(gs: ModuleType) -> None:
    outbox = outbox_of(gs, one_by_one=True, turn_seconds=-1.0)
    grant(outbox, lambda _: sent_at_once())
    outbox.wait()
    assert [outbox.accept("x") for _ in range(8)] == [False] * 7 + [True]
