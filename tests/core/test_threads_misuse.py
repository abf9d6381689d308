"""What another thread may do to a call that is running: shorten its list, make its object anew.

Python with the GIL cannot fail most of these. `make free-threaded` runs them without it, and under
ThreadSanitizer. The order of such calls is undefined, but no memory is corrupted, and only
gaistream's own errors are raised.
"""

from __future__ import annotations

import itertools
import sysconfig
import threading
from collections.abc import Callable, Iterator
from contextvars import copy_context
from types import ModuleType
from typing import Any

import pytest
from every_encoder import Scripted
from every_name import Permit, Promise, Suspended
from many_threads import at_once, frequent_switches, hammer

ROUNDS = 100
LIST_ROUNDS = 3000 if sysconfig.get_config_var("Py_GIL_DISABLED") else 30


@pytest.fixture(autouse=True)
def threads_take_turns_often() -> Iterator[None]:
    with frequent_switches():
        yield


@pytest.fixture
def native(both: list[ModuleType]) -> ModuleType:
    if both[0].backend != "native":
        pytest.skip("the pure twin's memory is Python's")
    return both[0]


# ---- a list becomes shorter while it is read ----


class Items(list[Any]):
    """A list of a subclass, which the core reads by another way."""


LISTS: dict[str, Callable[[ModuleType, Any], Any]] = {
    "Citations": lambda gs, items: gs.events.Citations(items),
    "FrameTemplate.render_many": lambda gs, items: template(gs).render_many(items),
    "FrameTemplate.render_many with a number": lambda gs, items: numbered(gs).render_many(
        items, number=1
    ),
    "NDJSONEncoder.write_many": lambda gs, items: gs.NDJSONEncoder().write_many(items),
    "SSEEncoder.write_many": lambda gs, items: gs.SSEEncoder().write_many(items),
    "SSEEncoder.write_many with ids": lambda gs, items: gs.SSEEncoder(
        gs.SSEOptions(include_id=True)
    ).write_many(items),
    "SSEWriter.write_many": lambda gs, items: gs.SSEWriter(len).write_many(items),
    "encode_events": lambda gs, items: gs.encode_events(items),
    "encode_ndjson": lambda gs, items: gs.encode_ndjson({"m": items}),
    "encode_ndjson_lines": lambda gs, items: gs.encode_ndjson_lines(items),
    "encode_sse": lambda gs, items: gs.encode_sse(json=items),
    "estimate_size": lambda gs, items: gs.core.estimate_size({"m": items}, 10**6),
    "nests_deeper": lambda gs, items: gs.core.nests_deeper(items, 3),
    "nests_deeper by the interpreter's stack": lambda gs, items: gs.core.nests_deeper(items, 90),
}


def template(gs: ModuleType) -> Any:
    return gs.FrameTemplate(b"data: ", b"\n\n")


def numbered(gs: ModuleType) -> Any:
    return gs.FrameTemplate(b"data: ", b"\n\n", middle=b" ")


def read_while_it_is_shortened(items: list[Any], read: Callable[[], Any]) -> None:
    """Call `read` many times, while another thread adds items to a list and removes them."""
    added, kept, ended = items[:8], len(items) // 2, threading.Event()

    def shorten() -> None:
        while not ended.is_set():
            items.extend(added)
            del items[kept:]

    def read_often() -> None:
        try:
            for _ in range(LIST_ROUNDS):
                read()
        finally:
            ended.set()

    assert at_once(read_often, shorten) == [None, None]


@pytest.mark.parametrize("kind", [list, Items])
@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_is_shortened_meanwhile_is_read_as_far_as_it_goes(
    gs: ModuleType, name: str, kind: type[list[Any]]
) -> None:
    value = gs.events.Citation("u") if name == "Citations" else "x"
    items = kind([value] * 40)
    read_while_it_is_shortened(items, lambda: LISTS[name](gs, items))


@pytest.mark.parametrize("odd", [5, "a\ud800", None])
def test_items_that_the_short_way_does_not_take_are_shortened_too(gs: ModuleType, odd: Any) -> None:
    items = ["x", odd] * 20
    read_while_it_is_shortened(items, lambda: gs.SSEEncoder(dialect="json").write_many(items))


# ---- an object is made anew while it is used ----


def outbox_of(gs: ModuleType) -> Any:
    return gs.core.Outbox(*outbox_arguments(gs))


def outbox_arguments(gs: ModuleType) -> tuple[Any, ...]:
    return gs.core.BaseSSEEncoder(Scripted(gs), 16), True, 64, 200, 3600.0, 400


async def sent() -> None:
    pass


async def blocked() -> None:
    await Suspended()


def use_outbox(gs: ModuleType, outbox: Any, number: int) -> Any:
    outbox.open(Promise, itertools.count().__next__)
    send = (sent, blocked)[number % 2]
    outbox.grant(Permit(lambda _: send(), copy_context(), lambda *_: None))
    try:
        return steps_of_outbox(outbox, number)
    except TypeError:  # there is no function yet that makes futures
        return None


def steps_of_outbox(outbox: Any, number: int) -> Any:
    outbox.wait()
    outbox.after_step = list
    seen = [outbox.accept("x"), outbox.flush(), outbox.idle_since, outbox.sending_since]
    seen += [outbox.take_started(), outbox.take(sending=True), outbox.wait_for_room()]
    outbox.release()
    if number % 9 == 8:
        outbox.close()
    return [*seen, outbox.pending, outbox.waiting, outbox.after_step]


def use_event(gs: ModuleType, event: Any, number: int) -> Any:
    event.comment, event.retry = (f"{number}" * 3).strip(), 2**40 + number
    return event.retry, event.comment, event.event, event.data, event.id, repr(event), bytes(event)


def use_writer(gs: ModuleType, writer: Any, number: int) -> Any:
    writer.write("x" * number)
    writer.write_event("e", "y")
    return writer.flush(), writer.flush_if_due()


def use_collector(gs: ModuleType, collector: Any, number: int) -> Any:
    collector.text_pieces = collector.reasoning_pieces = [f"{number}"] if number % 3 else None
    collector.add(gs.events.TextDelta("x"))
    collector.add(gs.events.ReasoningDelta("y"))
    return collector.text_pieces, collector.reasoning_pieces


def collector_of(gs: ModuleType) -> Any:
    return type("Collector", (gs.core.DeltaCollector,), {"add_other": lambda self, event: None})()


def arguments_of_event(gs: ModuleType, number: int) -> dict[str, Any]:
    return {"data": str(number), "event": f"e{number}", "id": str(number), "retry": 2**40 + number,
            "comment": f"c{number}"}  # fmt: skip


USED: dict[str, tuple[Callable[..., Any], Callable[..., Any], Callable[..., None]]] = {
    "Outbox": (
        outbox_of,
        use_outbox,
        lambda gs, outbox, _: outbox.__init__(*outbox_arguments(gs)),
    ),
    "SSEWriter": (
        lambda gs: gs.SSEWriter(lambda data: None),
        use_writer,
        lambda gs, writer, number: writer.__init__(lambda data: len(data)),
    ),
    "ServerSentEvent": (
        lambda gs: gs.ServerSentEvent("x"),
        use_event,
        lambda gs, event, number: event.__init__(**arguments_of_event(gs, number)),
    ),
    "DeltaCollector": (
        collector_of,
        use_collector,
        lambda gs, collector, number: collector.__init__(),
    ),
}


@pytest.mark.parametrize("name", USED)
def test_init_of_an_object_in_use_corrupts_nothing(native: ModuleType, name: str) -> None:
    make, use, make_anew = USED[name]
    shared = make(native)

    def work(number: int) -> Any:
        if number % 4 == 0:
            return make_anew(native, shared, number)
        return repr(use(native, shared, number))

    hammer(native, work, ROUNDS, threads=4)


def test_init_of_what_puts_into_a_stream_changes_nothing(native: ModuleType) -> None:
    outbox, soon = outbox_of(native), []
    outbox.open(Promise, itertools.count().__next__)
    turns = native.core.Turns(soon.append, lambda late: [each.flush() for each in late])
    inlet = native.core.Inlet(outbox, turns, True, lambda: "loop", "loop")
    inlet.is_open = True

    def work(number: int) -> None:
        turns.__init__(soon.append, list)
        inlet.__init__(outbox, turns, True, lambda: None, None)
        inlet.put("x")  # of another thread: refused
        turns.end()

    hammer(native, work, ROUNDS)
    before = outbox.pending
    inlet.put("x")
    assert outbox.pending > before


def test_a_reader_of_a_source_that_threads_share_corrupts_nothing(native: ModuleType) -> None:
    outbox = outbox_of(native)
    outbox.open(Promise, itertools.count().__next__)

    def source() -> Any:
        async def reading() -> None:
            while True:
                outbox.accept("x")
                await Suspended()

        return reading()

    kept = [source() for _ in range(ROUNDS * 8)]
    reader = native.core.SourceReader(outbox, kept[0])
    refusals = (RuntimeError, ValueError, StopIteration)  # one that runs already, or has ended

    def work(number: int) -> None:
        try:
            if number % 5 == 0:
                reader.__init__(outbox, kept[number])
            elif number % 5 == 1:
                outbox.take()
            elif number % 5 == 2:
                assert repr(reader.cr_frame)
            else:
                reader.send(None)
        except refusals:
            pass

    hammer(native, work, ROUNDS)
    for each in kept:
        each.close()
