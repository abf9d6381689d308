"""Many threads, one writer: frames are whole, and ids contiguous in the order written."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

THREADS = 8
EVENTS = 2000  # a thread
FRAME = re.compile(rb'id: (\d+)\nevent: text_delta\ndata: \{"text":"(\d+)-(\d+)x*"\}\n\n')
END = re.compile(rb'id: (\d+)\nevent: done\ndata: \{"finished":true\}\n\n')


class Sink:
    """A sink that takes portions, and records if two threads called it at once."""

    def __init__(self, portion: int | None = None) -> None:
        self.taken = bytearray()
        self.portion = portion
        self.called_by_two = False
        self._calling = threading.Lock()

    def write(self, data: bytes) -> int:
        if not self._calling.acquire(blocking=False):
            self.called_by_two = True
            return len(data)
        try:
            count = len(data) if self.portion is None else min(len(data), self.portion)
            self.taken += data[:count]
            return count
        finally:
            self._calling.release()


def frames(taken: bytearray) -> Iterator[tuple[int, int, int]]:
    """Yield id, thread and number of every frame; fail if a frame is not whole."""
    place, count = 0, 0
    while found := FRAME.match(taken, place):
        place, count = found.end(), count + 1
        yield int(found[1]), int(found[2]), int(found[3])
    end = END.fullmatch(taken, place)
    assert end, bytes(taken[place : place + 100])
    assert int(end[1]) == count + 1


def hammer(write: Callable[[int], None]) -> None:
    """Run `write(number of the thread)` in eight threads at once."""
    failures: list[BaseException] = []
    gate = threading.Barrier(THREADS)

    def run(number: int) -> None:
        try:
            gate.wait(10)
            write(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert not failures


def text(number: int, count: int) -> str:
    return f"{number}-{count}" + "x" * (count % 50)


@pytest.mark.parametrize(
    ("portion", "settings"),
    [
        (None, {}),
        (33, {}),
        (None, {"flush_after_write": False}),
        (1000, {"flush_after_write": False, "flush_interval": 0.001, "buffer_size": 2000}),
    ],
    ids=["at once", "short writes", "late", "late, short writes, fast timer"],
)
def test_frames_are_whole_and_ids_contiguous_in_the_order_written(
    gs: ModuleType, portion: int | None, settings: dict[str, Any]
) -> None:
    sink = Sink(portion)
    writer = gs.SSEWriter(sink, gs.SSEOptions(include_id=True, **settings))

    def write(number: int) -> None:
        for count in range(EVENTS):
            writer.write(text(number, count))

    hammer(write)
    writer.close()
    assert not sink.called_by_two
    written = list(frames(sink.taken))
    assert [id_ for id_, _, _ in written] == list(range(1, THREADS * EVENTS + 1))
    for number in range(THREADS):
        assert [count for _, by, count in written if by == number] == list(range(EVENTS))


def test_write_many_is_one_block_without_frames_of_other_threads(gs: ModuleType) -> None:
    block, blocks = 50, 40
    sink = Sink(portion=500)
    writer = gs.SSEWriter(sink, gs.SSEOptions(include_id=True))

    def write(number: int) -> None:
        for each in range(blocks):
            start = each * block
            writer.write_many(text(number, start + count) for count in range(block))

    hammer(write)
    writer.close()
    written = list(frames(sink.taken))
    assert len(written) == THREADS * blocks * block
    for start in range(0, len(written), block):
        _, owner, first = written[start]
        assert first % block == 0
        assert [(by, count) for _, by, count in written[start : start + block]] == [
            (owner, first + count) for count in range(block)
        ]


def test_a_failure_reaches_one_thread_and_the_others_get_a_closed_error(
    gs: ModuleType,
) -> None:
    left = [1000]

    def sink(_: bytes) -> None:
        left[0] -= 1
        if left[0] <= 0:
            raise OSError("gone")

    writer = gs.SSEWriter(sink)
    raised: list[type[BaseException]] = []

    def write(_: int) -> None:
        try:
            while True:
                writer.write("a")
        except Exception as error:
            raised.append(type(error))

    hammer(write)
    assert left == [0]
    assert sorted(raised, key=str) == sorted(
        [OSError] + [gs.errors.ClosedError] * (THREADS - 1), key=str
    )


def test_closing_from_one_thread_ends_the_others_after_a_whole_frame(gs: ModuleType) -> None:
    sink = Sink()
    writer = gs.SSEWriter(sink, gs.SSEOptions(include_id=True))

    def write(number: int) -> None:
        for count in itertools.count():
            if number == 0 and count == 500:
                writer.close()
            try:
                writer.write(text(number, count))
            except gs.errors.ClosedError:
                return

    hammer(write)
    ids = [id_ for id_, _, _ in frames(sink.taken)]
    assert ids == list(range(1, len(ids) + 1))
