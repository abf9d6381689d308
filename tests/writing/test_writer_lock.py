"""The lock of a writer, its allocations, and the fast path of a named frame."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest
from frames import DONE, said
from hypothesis import given
from hypothesis import strategies as st
from real_servers import SECONDS
from required import need_counted_allocations, need_package
from twin_input import examples, outcome

import gaistream

GREEN = Path(__file__).parents[1] / "support" / "green_writers.py"
TEXTS = st.one_of(st.text(max_size=30), st.sampled_from(["", "a\nb", "a\rb", "\ud800", "\u2028"]))


@pytest.mark.parametrize("kind", ["SSEWriter", "NDJSONWriter"])
def test_a_steady_writer_allocates_only_the_bytes_that_it_sends(gs, kind):
    need_counted_allocations(gs)
    sent = []
    writer = getattr(gs, kind)(sent.append)
    token = gs.events.TextDelta("token ")
    writer.write(token)
    blocks, objects = gs.core._core.allocations()
    for _ in range(500):
        writer.write(token)
        writer.write("another")
    assert gs.core._core.allocations() == (blocks, objects + 1000)
    assert len(sent) == 1001
    if kind == "SSEWriter":
        for _ in range(500):
            writer.write_event("name", "data")
        assert gs.core._core.allocations() == (blocks, objects + 1500)


@given(event=st.one_of(st.none(), TEXTS), data=TEXTS)
@examples(200)
def test_a_frame_is_that_of_the_encoder_on_the_fast_path_too(both, event, data):
    for gs in both:
        sent, encoder = [], gs.SSEEncoder()
        writer = gs.SSEWriter(sent.append)
        expected = outcome(encoder.write_event, event, data)
        assert outcome(writer.write_event, event, data) == expected
        assert b"".join(sent) == encoder.take()


def test_a_named_frame_ends_a_failure_and_a_retry_block_like_every_write(gs):
    for use in (lambda writer: writer.write_event("name", "x"), lambda writer: writer.write("x")):
        sent = []
        writer = gs.SSEWriter(sent.append)
        writer.write(gs.events.Error("it broke"))
        use(writer)  # an event after the Error, which was a report then
        writer.write_frame(retry=5)
        use(writer)
        writer.write_comment("behind content")
        writer.close()
        assert sent[-2:] == [b": behind content\n\n", DONE]


def test_a_sink_that_fails_at_a_named_frame_ends_the_writer(gs):
    def sink(_):
        raise OSError("gone")

    writer = gs.SSEWriter(sink)
    with pytest.raises(OSError, match="gone") as raised:
        writer.write_event("name", "x")
    with pytest.raises(gs.errors.ClosedError) as refused:
        writer.write_event("name", "y")
    assert refused.value.__cause__ is raised.value


def test_a_named_frame_follows_held_bytes_and_is_continued_after_a_short_write(gs):
    taken = bytearray()

    def sink(data):
        taken.extend(data[:5])
        return min(5, len(data))

    with gs.SSEWriter(sink, gs.SSEOptions(retry_ms=7)) as writer:  # the retry field is held
        writer.write_event("name", "x")
        writer.write_event("name", "y")
    assert taken == b"retry: 7\nevent: name\ndata: x\n\nevent: name\ndata: y\n\n" + DONE


class Signal(BaseException):
    """The exception of a signal handler."""


def interrupted(call, number):
    """Call with an exception where the interpreter may run a signal's handler for the n-th time.

    That is where a function begins or has returned. False: there were fewer such places.
    """
    left = number

    def strike(_, event, __):
        nonlocal left
        if event in ("call", "c_return"):
            left -= 1
            if left == 0:
                raise Signal

    gc.disable()  # the collector swallows what is raised in its callbacks
    sys.setprofile(strike)
    try:
        call()
    except Signal:
        return True
    finally:
        sys.setprofile(None)
        gc.enable()
    return left <= 0


CALLS = {
    "write": lambda writer: writer.write("a"),
    "write_many": lambda writer: writer.write_many(["a", "b"]),
    "write_frame": lambda writer: writer.write_frame("a", "b"),
    "flush": lambda writer: writer.flush(),
    "close": lambda writer: writer.close(),
}


@pytest.mark.parametrize("delayed", [False, True])
@pytest.mark.parametrize("name", CALLS)
def test_an_exception_of_a_signal_handler_never_leaves_the_lock_taken(gs, name, delayed):
    options = gs.SSEOptions(flush_after_write=not delayed, flush_interval=30)
    other = gs.SSEWriter(lambda _: None, options)
    other.write_many(["first", "later"])  # which starts the timer
    for number in range(1, 1000):
        writer = gs.SSEWriter(lambda _: None, options)
        writer.write("first")
        struck = interrupted(lambda writer=writer: CALLS[name](writer), number)

        def use(writer=writer):
            for each in (writer, other):
                with contextlib.suppress(gs.errors.ClosedError):
                    each.write("z")

        thread = threading.Thread(target=use, daemon=True)
        thread.start()
        thread.join(SECONDS)
        assert not thread.is_alive(), number
        use()  # the writer does not mistake this thread for its sink
        if not struck:
            break
    assert 2 < number < 999
    other.close()


def status_of_child(call):
    """Fork, make the call in the child, and return its status: -SIGALRM if it hangs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a process with threads forks
        child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.alarm(20)
            status = 0 if call() else 2
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("waiting", [0, 2])
def test_a_forked_child_does_not_wait_for_a_thread_of_its_parent(gs, waiting):
    within, go_on = threading.Event(), threading.Event()
    sent = []

    def sink(data):
        if threading.current_thread().name == "slow":
            within.set()
            go_on.wait(SECONDS)
        sent.append(data)

    writer = gs.SSEWriter(sink)
    slow = threading.Thread(target=writer.write, args=("slow",), name="slow")
    others = [threading.Thread(target=writer.write, args=("other",)) for _ in range(waiting)]
    slow.start()
    assert within.wait(SECONDS)
    for each in others:
        each.start()

    def in_the_child():
        writer.write("child")
        writer.close()
        return sent == [said("child"), DONE]

    try:
        assert status_of_child(in_the_child) == 0
    finally:
        go_on.set()
        for each in (slow, *others):
            each.join(SECONDS)
    writer.write("parent")
    assert sent == [said("slow"), *[said("other")] * waiting, said("parent")]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_sink_may_fork(gs):
    sent, statuses = [], []

    def in_the_child():
        with pytest.raises(gs.errors.SinkError):
            writer.write("from within")
        return True

    def sink(data):
        if not sent:
            statuses.append(status_of_child(in_the_child))
        sent.append(data)

    writer = gs.SSEWriter(sink)
    writer.write("a")
    writer.write("b")
    assert (statuses, sent) == ([0], [said("a"), said("b")])


@pytest.mark.skipif(sys.platform == "win32", reason="signals to a thread that waits")
def test_an_interrupt_ends_the_wait_for_the_sink_of_another_thread(gs):
    within, done = threading.Event(), threading.Event()
    sent = []

    def sink(data):
        within.set()
        done.wait(SECONDS)
        sent.append(data)

    writer = gs.SSEWriter(sink)
    slow = threading.Thread(target=writer.write, args=("a",))

    def interrupt():
        os.kill(os.getpid(), signal.SIGINT)

    slow.start()
    try:
        assert within.wait(SECONDS)
        threading.Timer(0.2, interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            writer.write("b")
    finally:
        done.set()
        slow.join(SECONDS)
    writer.write("c")  # the lock is free
    assert len(sent) == 2


def test_greenlets_wait_for_each_other_and_not_for_ever():
    need_package("gevent")
    done = subprocess.run(
        [sys.executable, GREEN], capture_output=True, text=True, timeout=SECONDS,
        env={**os.environ, "GAISTREAM_BACKEND": gaistream.backend},
    )  # fmt: skip
    assert (done.stdout, done.returncode) == ("well\n", 0), done.stderr
