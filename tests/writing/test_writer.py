"""Writers: the bytes that reach a sink, the answers of a sink, and failures."""

from __future__ import annotations

import asyncio
import gc
import io
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from frames import DONE, said


class Broken(Exception):
    """The exception of the sinks in these tests."""


class BrokenSink:
    """A sink that takes a number of calls, then raises."""

    def __init__(self, good: int = 0, error: type[BaseException] = Broken) -> None:
        self.taken: list[bytes] = []
        self.good = good
        self.error = error

    def __call__(self, data: bytes) -> None:
        if len(self.taken) == self.good:
            raise self.error("the sink broke")
        self.taken.append(data)


# ---- sinks ----


def test_a_callable_is_a_sink_and_gets_bytes_a_write(gs: ModuleType) -> None:
    taken: list[bytes] = []
    writer = gs.SSEWriter(taken.append)
    writer.write("a")
    writer.write(gs.events.TextDelta("b"))
    writer.close()
    assert taken == [said("a"), said("b"), DONE]
    assert {type(chunk) for chunk in taken} == {bytes}


def test_an_object_with_write_is_a_sink_and_stays_open(gs: ModuleType, tmp_path: Path) -> None:
    memory = io.BytesIO()
    with (tmp_path / "stream").open("wb") as file:
        for sink in (memory, file):
            with gs.SSEWriter(sink) as writer:
                writer.write("a")
            assert not sink.closed
    assert memory.getvalue() == (tmp_path / "stream").read_bytes() == said("a") + DONE


def test_ndjson_goes_to_a_sink_as_well(gs: ModuleType) -> None:
    sink = io.BytesIO()
    with gs.NDJSONWriter(sink) as writer:
        writer.write("a")
        writer.write_event("note", {"n": 1})
    assert sink.getvalue().splitlines() == [
        b'{"type":"text_delta","text":"a"}',
        b'{"type":"note","n":1}',
        b'{"type":"done","finished":true}',
    ]


@pytest.mark.parametrize("sink", [None, 5, "file", pytest.param(object(), id="object")], ids=repr)
def test_a_sink_that_is_neither_callable_nor_writable_is_refused(gs: ModuleType, sink: Any) -> None:
    with pytest.raises(gs.errors.SinkError, match=type(sink).__name__):
        gs.SSEWriter(sink)


@pytest.mark.parametrize("portion", [1, 7, 1000])
def test_a_short_write_is_continued(gs: ModuleType, portion: int) -> None:
    taken = bytearray()

    def sink(data: bytes) -> int:
        taken.extend(data[:portion])
        return min(portion, len(data))

    with gs.SSEWriter(sink) as writer:
        writer.write("a")
        writer.write("b" * 100)
    assert taken == said("a") + said("b" * 100) + DONE


def test_a_socket_takes_everything_in_as_many_sends_as_it_needs(gs: ModuleType) -> None:
    ours, theirs = socket.socketpair()
    received = bytearray()

    def read() -> None:
        while data := theirs.recv(65536):
            received.extend(data)

    reader = threading.Thread(target=read)
    with ours, theirs:
        ours.settimeout(10)  # so that send() does not wait until everything fits
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        counts: list[int] = []

        def send(data: bytes) -> int:
            counts.append(ours.send(data))
            return counts[-1]

        reader.start()
        with gs.SSEWriter(send) as writer:
            writer.write("x" * 1_000_000)
        ours.shutdown(socket.SHUT_WR)
        reader.join(10)
    assert received == said("x" * 1_000_000) + DONE
    assert len(counts) > 2


def test_the_method_of_a_socket_is_a_sink(gs: ModuleType) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with gs.SSEWriter(ours.send) as writer:
            writer.write("a")
        assert theirs.recv(1000) == said("a") + DONE


@pytest.mark.parametrize("answer", [0, -1, True, 10_000, 1.5, "8", b"", []], ids=repr)
def test_an_impossible_answer_ends_the_writer(gs: ModuleType, answer: Any) -> None:
    writer = gs.SSEWriter(lambda _: answer)
    with pytest.raises(gs.errors.SinkError):
        writer.write("a")
    with pytest.raises(gs.errors.ClosedError):
        writer.write("b")
    writer.close()


def test_an_async_sink_is_refused_and_its_coroutine_closed(gs: ModuleType) -> None:
    async def sink(data: bytes) -> None:
        raise AssertionError(f"never to be run with {data!r}")

    writer = gs.SSEWriter(sink)
    with pytest.raises(gs.errors.SinkError, match="awaitable"):
        writer.write("a")
    gc.collect()  # a coroutine that was never awaited would warn now, and fail this test
    writer.close()


def test_a_sink_that_returns_a_future_is_refused(gs: ModuleType) -> None:
    loop = asyncio.new_event_loop()
    try:
        writer = gs.SSEWriter(lambda _: loop.create_future())
        with pytest.raises(gs.errors.SinkError, match="awaitable"):
            writer.write("a")
    finally:
        loop.close()


class FullRaw(io.RawIOBase):
    """A non-blocking file that would block."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> None:
        """Take nothing."""


@pytest.mark.parametrize("of", [lambda raw: raw, lambda raw: raw.write], ids=["file", "method"])
def test_none_from_a_non_blocking_file_means_that_it_would_block(
    gs: ModuleType, of: Callable[[Any], Any]
) -> None:
    writer = gs.SSEWriter(of(FullRaw()))
    with pytest.raises(BlockingIOError):
        writer.write("a")
    with pytest.raises(gs.errors.ClosedError):
        writer.write("b")


@pytest.mark.skipif(not hasattr(os, "set_blocking"), reason="needs non-blocking pipes")
def test_a_full_pipe_loses_nothing_silently(gs: ModuleType) -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    with open(read_end, "rb"), open(write_end, "wb", buffering=0) as pipe:  # noqa: PTH123
        writer = gs.SSEWriter(pipe.write)
        with pytest.raises(BlockingIOError):
            for _ in range(1000):
                writer.write("x" * 10_000)


# ---- sinks that fail ----


def test_an_exception_of_the_sink_reaches_the_caller_once(gs: ModuleType) -> None:
    sink = BrokenSink(good=1)
    writer = gs.SSEWriter(sink)
    writer.write("a")
    with pytest.raises(Broken) as raised:
        writer.write("b")
    for call in (lambda: writer.write("c"), writer.flush, lambda: writer.write_many(["d"])):
        with pytest.raises(gs.errors.ClosedError) as refused:
            call()
        assert refused.value.__cause__ is raised.value
    writer.close()
    writer.close()
    assert sink.taken == [said("a")]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_an_interrupt_in_the_sink_ends_the_writer_too(
    gs: ModuleType, error: type[BaseException]
) -> None:
    writer = gs.SSEWriter(BrokenSink(error=error))
    with pytest.raises(error):
        writer.write("a")
    with pytest.raises(gs.errors.ClosedError):
        writer.write("b")
    writer.close()


def test_a_sink_that_fails_at_the_close_is_reported_by_it_once(gs: ModuleType) -> None:
    writer = gs.SSEWriter(BrokenSink(good=1))
    writer.write("a")
    with pytest.raises(Broken):
        writer.close()
    writer.close()


@pytest.mark.parametrize(
    "use",
    [
        lambda writer: writer.write("b"),
        lambda writer: writer.write_many(["b"]),
        lambda writer: writer.flush(),
        lambda writer: writer.close(),
    ],
    ids=["write", "write_many", "flush", "close"],
)
def test_a_sink_that_uses_its_own_writer_is_refused(
    gs: ModuleType, use: Callable[[Any], None]
) -> None:
    inner: list[BaseException] = []

    def sink(_: bytes) -> None:
        try:
            use(writer)
        except Exception as error:
            inner.append(error)

    writer = gs.SSEWriter(sink)
    writer.write("a")
    assert [type(error) for error in inner] == [gs.errors.SinkError]
    writer.write("c")  # the sink raised nothing, so the writer is open
    assert len(inner) == 2


def test_a_sink_that_raises_that_refusal_ends_the_writer(gs: ModuleType) -> None:
    writer = gs.SSEWriter(lambda _: writer.write("b"))
    with pytest.raises(gs.errors.SinkError):
        writer.write("a")
    with pytest.raises(gs.errors.ClosedError):
        writer.write("c")


# ---- events that cannot be written ----


@pytest.mark.parametrize(
    ("use", "error"),
    [
        (lambda writer, _: writer.write(5), "EventError"),
        (lambda writer, _: writer.write({"type": "nothing"}), "EventError"),
        (lambda writer, gs: writer.write(gs.events.Raw([{"a": object()}])), "EncodeError"),
        (lambda writer, _: writer.write_event("a\nb", "c"), "FrameError"),
        (lambda writer, _: writer.write_frame(None, None), "FrameError"),
        (lambda writer, _: writer.write_frame("a", id=b"x"), "FrameTypeError"),
    ],
    ids=["no event", "unknown type", "not JSON", "bad name", "empty frame", "bad id"],
)
def test_an_event_that_cannot_be_written_leaves_nothing_and_does_not_end_the_writer(
    gs: ModuleType, use: Callable[[Any, ModuleType], None], error: str
) -> None:
    sink = io.BytesIO()
    writer = gs.SSEWriter(sink, gs.SSEOptions(include_id=True))
    writer.write("a")
    with pytest.raises(getattr(gs.errors, error)):
        use(writer, gs)
    writer.write("b")
    writer.close()
    assert sink.getvalue() == b"id: 1\n" + said("a") + b"id: 2\n" + said("b") + b"id: 3\n" + DONE


def test_a_lone_surrogate_is_replaced_or_refused_if_strict(gs: ModuleType) -> None:
    sink = io.BytesIO()
    gs.SSEWriter(sink).write("\ud800")
    strict = gs.SSEWriter(sink, gs.SSEOptions(errors="strict"))
    with pytest.raises(UnicodeEncodeError):
        strict.write("\ud800")
    strict.write("ok")
    assert sink.getvalue() == said("\ufffd") + said("ok")


def test_write_many_writes_the_events_before_the_one_that_failed(gs: ModuleType) -> None:
    taken: list[bytes] = []
    writer = gs.SSEWriter(taken.append)
    with pytest.raises(gs.errors.EventError):
        writer.write_many(["a", "b", 5, "c"])
    assert taken == [said("a") + said("b")]


def test_options_of_the_other_format_are_refused(gs: ModuleType) -> None:
    with pytest.raises(gs.errors.FrameTypeError, match="SSEOptions"):
        gs.SSEWriter(print, gs.NDJSONOptions())
    with pytest.raises(gs.errors.FrameTypeError, match="NDJSONOptions"):
        gs.NDJSONWriter(print, gs.SSEOptions())
