"""Many threads at once: functions return the same results, and misuse corrupts nothing.

An object with a state belongs to one task. If several threads share it, the order of their calls
is undefined, but each thread gets a whole result or one of gaistream's errors, no bytes are
returned twice, and the object stays usable. These tests run under sanitizers too (tests/memory/).
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from every_encoder import Scripted
from every_name import CORE, pieces
from many_threads import THREADS, at_once, frequent_switches, hammer


@pytest.fixture(autouse=True)
def threads_take_turns_often() -> Iterator[None]:
    with frequent_switches():
        yield


@pytest.fixture
def native(both: list[ModuleType]) -> ModuleType:
    if both[0].backend != "native":
        pytest.skip("the pure twin's memory is Python's")
    return both[0]


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="Python has the GIL")
def test_importing_does_not_enable_the_gil(native: ModuleType) -> None:
    ask = "import gaistream.core._core, sys; print(sys._is_gil_enabled())"
    ran = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


# ---- each thread uses its own objects ----


@pytest.mark.parametrize("name", CORE)
def test_every_name_gives_the_same_in_many_threads_as_in_one(gs: ModuleType, name: str) -> None:
    use = CORE[name]
    expected = use(gs)
    for given in at_once(*[lambda: [use(gs) for _ in range(3)]] * THREADS):
        assert given == [expected] * 3


# ---- immutable objects are shared ----


def test_templates_and_events_may_be_shared(gs: ModuleType) -> None:
    template = gs.FrameTemplate(b"data: ", b"\n\n")
    event = gs.events.ToolCall("1", "name", {"x": [1, "é"]})
    frame, line = template.render("é" * 99), gs.encode_events([event])

    def work(_: int) -> Any:
        assert template.render("é" * 99) == frame
        assert template.render_many(["é" * 99] * 3) == frame * 3
        assert gs.encode_events([event]) == line

    hammer(gs, work)


def test_a_payload_that_changes_meanwhile_is_encoded_in_one_of_its_states(gs: ModuleType) -> None:
    payload: dict[str, Any] = {"a": {"b": [1]}}

    def work(number: int) -> Any:
        if number % 2:
            for each in range(20):
                payload[f"k{each}"] = payload["a"] = {"b": [each]}
            for each in range(20):
                payload.pop(f"k{each}", None)
            return True
        return gs.core.nests_deeper(payload, 2)

    assert set(hammer(gs, work)) <= {True, False}


def test_bytes_that_change_while_they_are_written_stay_within_their_frame(gs: ModuleType) -> None:
    data = bytearray(b"a\n" * 200)

    def work(number: int) -> None:
        if number % 4 == 0:
            data[:] = (b"\n\r" if number % 8 else b"ab") * 200
            return
        for frame in (gs.encode_sse(data), gs.encode_sse(memoryview(data))):
            assert frame.startswith(b"data: ")
            assert frame.endswith(b"\n\n")

    hammer(gs, work)


# ---- objects with a state are misused ----


def test_a_buffer_neither_loses_nor_duplicates_bytes(native: ModuleType) -> None:
    buffer = native.core.Buffer(64)
    entered = itertools.count()

    def work(number: int) -> bytes:
        choice = number % 5
        if choice < 2:
            buffer.append(b"%8d" % number * (1 + number % 200))
            next(entered)
            return b""
        if choice == 2:
            return buffer.take()
        if choice == 3:
            with buffer.view() as view:
                return bytes(view)[:0]
        room = bytearray(500_000)
        return bytes(room[: buffer.take_into(room)])

    given = b"".join([*hammer(native, work, 200), buffer.take()])
    whole = [given[at : at + 8] for at in range(0, len(given), 8)]
    runs = [(int(key), len(list(run))) for key, run in itertools.groupby(whole)]
    assert all(count == 1 + number % 200 for number, count in runs)
    assert len(runs) == next(entered)


@pytest.mark.parametrize("name", ["LineSplitter", "NDJSONDecoder", "SSEDecoder"])
def test_a_decoder_that_threads_share_gives_whole_results(native: ModuleType, name: str) -> None:
    named: dict[str, Any] = {"NDJSONDecoder": {"on_error": "skip"}}.get(name, {})
    decoder = getattr(native, name)(**named)
    text = b'\xef\xbb\xbfid: 7\r\ndata: 5\n\n[1]\r\n"\xc3\xa9"\nretry: 12\n' + b"x" * 3000 + b"\n\n"

    def work(number: int) -> Any:
        if number % 50 == 49:
            decoder.__init__(**named)
        if number % 20 == 19 and name == "SSEDecoder":
            decoder.retry, decoder.last_event_id = object(), str(number)
        return [decoder.feed(piece) for piece in pieces(text, 1 + number % 90)]

    for lists in hammer(native, work):
        for each in itertools.chain.from_iterable(lists):
            assert repr(each)
    decoder.close()


def test_a_decoder_refuses_other_threads_while_its_loads_runs(gs: ModuleType) -> None:
    entered, go_on = threading.Event(), threading.Event()

    def loads(line: bytes) -> bytes:
        entered.set()
        assert go_on.wait(30)
        return line

    decoder = gs.NDJSONDecoder(loads=loads)

    def second() -> Any:
        assert entered.wait(30)
        try:
            for call in (lambda: decoder.feed(b"2\n" * 5000), decoder.close, decoder.__init__):
                with pytest.raises(gs.errors.ClosedError, match="at work"):
                    call()
        finally:
            go_on.set()

    assert at_once(lambda: decoder.feed(b"1\n"), second) == [[b"1"], None]
    assert decoder.feed(b"3\n") == [b"3"]


@pytest.mark.parametrize("kind", ["BaseSSEEncoder", "BaseNDJSONEncoder"])
def test_an_encoder_that_threads_share_stays_whole(native: ModuleType, kind: str) -> None:
    frames = getattr(native.core, kind)(Scripted(native), 16)

    def work(number: int) -> Any:
        frames.write("text" * (number % 300))
        frames.write_many(["a", native.events.TextDelta("é" * 99)])
        try:
            frames.write(number if number % 3 else [number])
        except LookupError:
            pass
        frames.write_heartbeat()
        if number % 100 == 99:
            frames.__init__(Scripted(native), 16)
        room = bytearray(2**20)
        return frames.take(), frames.take_into(room), frames.pending

    hammer(native, work)
    frames.take()
    frames.write("x")
    assert frames.take() == b"data: x\n\n"


class Stalling:
    """A dialect whose writes wait for an event, and then fail."""

    text_template = reasoning_template = None

    def __init__(self) -> None:
        self.entered = {name: threading.Event() for name in "ab"}
        self.fails = {name: threading.Event() for name in "ab"}

    def write(self, frames: Any, item: str) -> None:
        frames.write_ready(item.encode() * 9000)
        self.entered[item].set()
        assert self.fails[item].wait(30)
        raise LookupError(item)


def test_writes_that_fail_out_of_order_leave_no_foreign_bytes(gs: ModuleType) -> None:
    dialect = Stalling()
    frames = gs.core.BaseSSEEncoder(dialect)

    def first() -> None:
        with pytest.raises(LookupError, match="a"):
            frames.write("a")
        dialect.fails["b"].set()

    def second() -> None:
        assert dialect.entered["a"].wait(30)
        with pytest.raises(LookupError, match="b"):
            frames.write("b")

    def conductor() -> None:
        assert dialect.entered["b"].wait(30)
        dialect.fails["a"].set()

    assert at_once(first, second, conductor) == [None] * 3
    assert (frames.pending, frames.take()) == (0, b"")


def test_an_event_is_read_while_it_is_changed(native: ModuleType) -> None:
    (event,) = native.SSEDecoder().feed(b"id: 1\ndata: [\"\xc3\xa9\"]\n\n")
    frames = native.SSEEncoder()

    def work(number: int) -> Any:
        if number % 3 == 0:
            event.data, event.event = f'["{number}"]', f"event{number}"
            event.id, event.comment, event.retry = f"id{number}", "c" * number, number
        seen = bytes(event), event.data_bytes, event.json(), repr(event), event == event
        frames.write_sse_event(event)
        return seen

    for frame, data, values, said, _ in hammer(native, work):
        assert frame.endswith(b"\n\n")
        assert data.startswith(b"[")
        assert len(values) == 1
        assert said.startswith("ServerSentEvent(")
