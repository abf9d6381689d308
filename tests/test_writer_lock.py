"""The lock of a writer, what each event takes, and the quick way of a named frame."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from frames import DONE
from hypothesis import given
from hypothesis import strategies as st
from real_servers import SECONDS
from required import need_package
from twin_input import examples, outcome

import gaistream

GREEN = Path(__file__).parent / "support" / "green_writers.py"
TEXTS = st.one_of(st.text(max_size=30), st.sampled_from(["", "a\nb", "a\rb", "\ud800", "\u2028"]))


@pytest.mark.parametrize("kind", ["SSEWriter", "NDJSONWriter"])
def test_a_steady_writer_takes_no_memory_but_the_bytes_that_it_gives(gs, kind):
    if gs.backend != "native":
        pytest.skip("the pure twin does not count")
    sent = []
    writer = getattr(gs, kind)(sent.append)
    token = gs.events.TextDelta("token ")
    writer.write(token)
    blocks, objects = gs._core.allocations()
    for _ in range(500):
        writer.write(token)
        writer.write("another")
    assert gs._core.allocations() == (blocks, objects + 1000)
    assert len(sent) == 1001
    if kind == "SSEWriter":
        for _ in range(500):
            writer.write_event("name", "data")
        assert gs._core.allocations() == (blocks, objects + 1500)


@given(event=st.one_of(st.none(), TEXTS), data=TEXTS)
@examples(200)
def test_a_frame_is_the_encoders_whichever_way_it_went(both, event, data):
    for gs in both:
        sent, encoder = [], gs.SSEEncoder()
        writer = gs.SSEWriter(sent.append)
        expected = outcome(encoder.write_event, event, data)
        assert outcome(writer.write_event, event, data) == expected
        assert b"".join(sent) == encoder.take()


def test_a_named_frame_is_a_success_and_ends_a_hint_as_every_write(gs):
    for use in (lambda writer: writer.write_event("name", "x"), lambda writer: writer.write("x")):
        sent = []
        writer = gs.SSEWriter(sent.append)
        writer.write(gs.events.Error("it broke"))
        use(writer)  # so that the error was a report
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


def test_a_named_frame_goes_behind_what_waits_and_is_continued_when_short(gs):
    taken = bytearray()

    def sink(data):
        taken.extend(data[:5])
        return min(5, len(data))

    with gs.SSEWriter(sink, gs.SSEOptions(retry_ms=7)) as writer:  # whose hint waits
        writer.write_event("name", "x")
        writer.write_event("name", "y")
    assert taken == b"retry: 7\nevent: name\ndata: x\n\nevent: name\ndata: y\n\n" + DONE


@pytest.mark.skipif(sys.platform == "win32", reason="signals to a thread that waits")
def test_an_interrupt_breaks_off_the_wait_for_another_threads_sink(gs):
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
    writer.write("c")  # nobody holds the lock
    assert len(sent) == 2


def test_greenlets_wait_for_each_other_and_not_for_ever():
    need_package("gevent")
    done = subprocess.run(
        [sys.executable, GREEN], capture_output=True, text=True, timeout=SECONDS,
        env={**os.environ, "GAISTREAM_BACKEND": gaistream.backend},
    )  # fmt: skip
    assert (done.stdout, done.returncode) == ("well\n", 0), done.stderr
