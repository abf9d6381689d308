"""The periodic flush of writers that hold bytes: `flush_after_write=False`."""

from __future__ import annotations

import gc
import itertools
import os
import threading
import time
import warnings
import weakref
from types import ModuleType
from typing import Any

import pytest
from frames import DONE, said

LONG = 60.0  # seconds: a flush that no test waits for
NAME = "gaistream-flush"


class Sink:
    """A sink that keeps the bytes that it takes, and for which a test can wait."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self._came = threading.Condition()

    def write(self, data: bytes) -> None:
        with self._came:
            self.taken.append(data)
            self._came.notify_all()

    def wait_for(self, count: int) -> list[bytes]:
        """Wait for `count` writes."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.taken) >= count, 10), self.taken
        return self.taken


def late(gs: ModuleType, interval: float = LONG, **settings: Any) -> Any:
    return gs.SSEOptions(flush_after_write=False, flush_interval=interval, **settings)


def flush_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == NAME}


def test_the_first_event_is_sent_at_once_and_the_next_is_held(gs: ModuleType) -> None:
    sink = Sink()
    writer = gs.SSEWriter(sink, late(gs))
    writer.write("a")
    assert sink.taken == [said("a")]
    writer.write("b")
    writer.write("c")
    assert sink.taken == [said("a")]
    writer.flush()
    assert sink.taken == [said("a"), said("b") + said("c")]
    writer.close()


def test_held_bytes_are_sent_at_the_buffer_size(gs: ModuleType) -> None:
    sink = Sink()
    frame = said("b")
    writer = gs.SSEWriter(sink, late(gs, buffer_size=3 * len(frame)))
    writer.write("a")
    writer.write("b")
    writer.write("b")
    assert len(sink.taken) == 1
    writer.write("b")
    assert sink.taken == [said("a"), 3 * frame]
    writer.close()


def test_done_and_close_send_held_bytes(gs: ModuleType) -> None:
    for end in (lambda writer: writer.write(gs.events.Done()), lambda writer: writer.close()):
        sink = Sink()
        writer = gs.SSEWriter(sink, late(gs))
        writer.write("a")
        writer.write("b")
        end(writer)
        assert b"".join(sink.taken) == said("a") + said("b") + DONE


def test_held_bytes_are_sent_after_the_interval(gs: ModuleType) -> None:
    sink = Sink()
    interval = 0.05
    writer = gs.SSEWriter(sink, late(gs, interval))
    writer.write("a")
    for count in range(2, 5):  # again and again
        before = time.monotonic()
        writer.write("b")
        assert sink.wait_for(count)[-1] == said("b")
        assert time.monotonic() - before >= interval * 0.9
    writer.close()


def test_a_short_interval_is_kept_to_beside_a_long_one(gs: ModuleType) -> None:
    slow, fast = Sink(), Sink()
    writers = [gs.SSEWriter(slow, late(gs)), gs.SSEWriter(fast, late(gs, 0.02))]
    for writer in writers:
        writer.write("a")
        writer.write("b")
    fast.wait_for(2)
    assert len(slow.taken) == 1
    for writer in writers:
        writer.close()


def test_one_thread_flushes_many_writers(gs: ModuleType) -> None:
    before = flush_threads()
    sinks = [Sink() for _ in range(50)]
    writers = [gs.SSEWriter(sink, late(gs, 0.02)) for sink in sinks]
    for writer in writers:
        writer.write("a")
        writer.write("b")
    started = flush_threads() - before
    for sink in sinks:
        sink.wait_for(2)
    assert len(started) <= 1
    assert all(thread.daemon for thread in flush_threads())
    for writer in writers:
        writer.close()


def test_a_writer_that_always_flushes_needs_no_thread(gs: ModuleType) -> None:
    before = flush_threads()
    with gs.SSEWriter(Sink()) as writer:
        writer.write("a")
        writer.write("b")
    assert flush_threads() <= before


def test_an_idle_thread_ends_and_another_starts(
    gs: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gs.writing.flush_timer, "_LINGER", 0.01)
    monkeypatch.setattr(gs.writing.flush_timer, "_timer", gs.writing.flush_timer._FlushTimer())
    sink = Sink()
    writer = gs.SSEWriter(sink, late(gs, 0.01))
    writer.write("a")
    for count in (2, 3):
        before = flush_threads()
        writer.write("b")
        (thread,) = flush_threads() - before
        sink.wait_for(count)
        thread.join(10)
        assert not thread.is_alive()
    writer.close()


def test_a_writer_that_is_dropped_is_not_kept_alive(gs: ModuleType) -> None:
    writer = gs.SSEWriter(Sink(), late(gs))
    writer.write("a")
    writer.write("b")  # the timer knows it now
    known = weakref.ref(writer)
    del writer
    gc.collect()
    assert known() is None


def test_the_timer_skips_a_writer_that_is_gone(gs: ModuleType) -> None:
    dropped, kept = gs.SSEWriter(Sink(), late(gs, 0.01)), Sink()
    writer = gs.SSEWriter(kept, late(gs, 0.02))
    for each in (dropped, writer):
        each.write("a")
        each.write("b")
    del dropped, each
    gc.collect()
    kept.wait_for(2)
    writer.close()


def test_a_sink_that_fails_at_the_periodic_flush_is_reported_once_at_the_next_call(
    gs: ModuleType,
) -> None:
    failed = threading.Event()
    taken: list[bytes] = []

    def sink(data: bytes) -> None:
        if taken:
            failed.set()
            raise OSError("gone")
        taken.append(data)

    writer = gs.SSEWriter(sink, late(gs, 0.01))
    writer.write("a")
    writer.write("b")
    assert failed.wait(10)
    with pytest.raises(OSError, match="gone") as raised:
        writer.write("c")
    with pytest.raises(gs.errors.ClosedError) as refused:
        writer.write("d")
    assert refused.value.__cause__ is raised.value
    writer.close()
    assert taken == [said("a")]


def test_a_failure_at_the_periodic_flush_is_reported_by_close_too(gs: ModuleType) -> None:
    failed = threading.Event()
    taken: list[bytes] = []

    def sink(data: bytes) -> None:
        if taken:
            failed.set()
            raise OSError("gone")
        taken.append(data)

    with pytest.raises(OSError, match="gone"), gs.SSEWriter(sink, late(gs, 0.01)) as writer:
        writer.write("a")
        writer.write("b")
        assert failed.wait(10)
    writer.close()


def test_a_sink_that_uses_its_writer_in_the_periodic_flush_is_refused(
    gs: ModuleType,
) -> None:
    inner: list[BaseException] = []
    tried = threading.Event()

    def sink(_: bytes) -> None:
        try:
            writer.write("c")
        except Exception as error:
            inner.append(error)
        if len(inner) == 2:
            tried.set()

    writer = gs.SSEWriter(sink, late(gs, 0.01))
    writer.write("a")
    writer.write("b")
    assert tried.wait(10)
    assert [type(error) for error in inner] == [gs.errors.SinkError] * 2
    writer.close()


def test_a_busy_writer_is_tried_again_soon_but_not_all_the_time(gs: ModuleType) -> None:
    done = threading.Event()
    tries: list[float] = []
    interval = 0.08

    class Busy:
        def flush_if_due(self) -> bool:
            tries.append(time.monotonic())
            if len(tries) == 5:
                done.set()
            return len(tries) == 5

    busy = Busy()  # which the timer holds weakly
    gs.writing.flush_timer.flush_later(busy, interval)
    assert done.wait(10)
    assert len(tries) == 5
    for before, after in itertools.pairwise(tries):
        assert after - before >= interval / 8 * 0.9


def test_the_timer_does_not_wait_for_a_blocked_writer(gs: ModuleType) -> None:
    blocked, go_on = threading.Event(), threading.Event()
    other = Sink()

    def sink(data: bytes) -> None:
        if b"slow" in data:
            blocked.set()
            assert go_on.wait(10)

    writer = gs.SSEWriter(sink, late(gs, 0.01, buffer_size=10))
    quick = gs.SSEWriter(other, late(gs, 0.02))
    writer.write("a")
    thread = threading.Thread(target=writer.write, args=("slow",))
    thread.start()
    assert blocked.wait(10)
    quick.write("a")
    quick.write("b")
    other.wait_for(2)
    go_on.set()
    thread.join(10)
    writer.close()
    quick.close()


def test_a_timer_that_cannot_start_its_thread_tries_again(
    gs: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gs.writing.flush_timer, "_timer", gs.writing.flush_timer._FlushTimer())
    sink = Sink()
    writer = gs.SSEWriter(sink, late(gs, 0.01))
    writer.write("a")
    with monkeypatch.context() as patch:

        def refuse(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            writer.write("b")
    writer.write("c")
    assert sink.wait_for(2)[1] == said("b") + said("c")
    writer.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_flushes_too_and_also_the_writers_it_inherits(gs: ModuleType) -> None:
    read_end, write_end = os.pipe()
    came = threading.Semaphore(0)

    def sink(data: bytes) -> int:
        try:
            return os.write(write_end, data)
        finally:
            came.release()

    inherited = gs.SSEWriter(sink, late(gs, 0.5))
    inherited.write("parent")
    inherited.write("parent, late")  # scheduled in this process, and not in the child
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a process with threads forks
        child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(read_end)
            while came.acquire(blocking=False):
                pass  # the parent sends the earlier ones
            own = gs.SSEWriter(sink, late(gs, 0.01))
            own.write("child")
            own.write("child, late")
            inherited.write("inherited, late")
            arrived = [came.acquire(timeout=10) for _ in range(3)]
            status = 0 if all(arrived) else 2
        finally:
            os._exit(status)
    inherited.close()
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        taken = pipe.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    for text in ("child", "child, late", "inherited, late"):
        assert said(text) in taken
