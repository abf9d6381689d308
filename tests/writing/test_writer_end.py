"""The end of a writer: `done`, an error in its place, or a recognisable cut."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from frames import DONE, INTERNAL, said


def ended_by(gs: ModuleType, error: BaseException, options: Any = None) -> bytes:
    """Return the bytes that a writer wrote after its block raised `error`, which it re-raised."""
    sink = io.BytesIO()
    with (
        pytest.raises(type(error)) as raised,
        gs.SSEWriter(sink, options) as writer,
    ):
        writer.write("a")
        raise error
    assert raised.value is error
    assert sink.getvalue().startswith(said("a"))
    return sink.getvalue()[len(said("a")) :]


def test_a_block_that_ends_well_ends_with_done(gs: ModuleType) -> None:
    sink = io.BytesIO()
    with gs.SSEWriter(sink) as writer:
        writer.write("a")
    assert sink.getvalue() == said("a") + DONE


def test_a_block_that_raises_ends_with_an_error_without_its_text(
    gs: ModuleType,
) -> None:
    assert ended_by(gs, ValueError("the password is 1234")) == INTERNAL


def test_the_text_of_a_stream_error_is_written(gs: ModuleType) -> None:
    error = gs.StreamError("try later", code="busy", retry_after=3)
    assert ended_by(gs, error) == (
        b'event: error\nretry: 5000\ndata: {"error":"try later","code":"busy","retry_after":3}\n\n'
    )


def test_an_error_whose_text_cannot_be_written_is_an_internal_error(
    gs: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    strict = gs.SSEOptions(errors="strict", flush_after_write=False)
    assert ended_by(gs, gs.StreamError("\ud800"), strict) == INTERNAL
    assert len(caplog.records) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_an_interrupt_cuts_the_stream_without_a_frame(
    gs: ModuleType, error: type[BaseException]
) -> None:
    assert ended_by(gs, error()) == b""


def test_a_closed_generator_cuts_the_stream_without_a_frame(gs: ModuleType) -> None:
    sink = io.BytesIO()

    def run() -> Iterator[None]:
        with gs.SSEWriter(sink) as writer:
            writer.write("a")
            yield

    running = run()
    next(running)
    running.close()  # type: ignore[attr-defined]
    assert sink.getvalue() == said("a")


def test_held_bytes_are_sent_before_a_cut(gs: ModuleType) -> None:
    sink = io.BytesIO()
    late = gs.SSEOptions(flush_after_write=False, flush_interval=60)
    with pytest.raises(KeyboardInterrupt), gs.SSEWriter(sink, late) as writer:
        writer.write("a")
        writer.write("b")
        raise KeyboardInterrupt
    assert sink.getvalue() == said("a") + said("b")


def test_a_sink_that_fails_at_the_end_of_a_block_that_raised_is_only_noted(
    gs: ModuleType,
) -> None:
    def sink(data: bytes) -> None:
        if b"error" in data:
            raise OSError("gone")

    error = ValueError("first")
    with pytest.raises(ValueError, match="first") as raised, gs.SSEWriter(sink) as writer:
        writer.write("a")
        raise error
    assert raised.value is error
    assert "gone" in str(error.__notes__)


def test_a_sink_that_failed_within_the_block_raises_through_it_and_nothing_is_added(
    gs: ModuleType,
) -> None:
    taken: list[bytes] = []

    def sink(data: bytes) -> None:
        if taken:
            raise OSError("gone")
        taken.append(data)

    with pytest.raises(OSError, match="gone") as raised, gs.SSEWriter(sink) as writer:
        writer.write("a")
        writer.write("b")
    assert not hasattr(raised.value, "__notes__")
    assert taken == [said("a")]


def test_closing_twice_writes_one_done(gs: ModuleType) -> None:
    sink = io.BytesIO()
    with gs.SSEWriter(sink) as writer:
        writer.write("a")
        writer.close()
        writer.close()
    assert sink.getvalue() == said("a") + DONE


def test_an_empty_stream_is_only_done(gs: ModuleType) -> None:
    sink = io.BytesIO()
    gs.SSEWriter(sink).close()
    assert sink.getvalue() == DONE


def test_an_error_at_the_end_takes_the_place_of_done(gs: ModuleType) -> None:
    sink = io.BytesIO()
    with gs.SSEWriter(sink) as writer:
        writer.write(gs.events.Error("no"))
    assert sink.getvalue() == b'event: error\nretry: 5000\ndata: {"error":"no"}\n\n'


def test_an_error_in_the_middle_is_a_report(gs: ModuleType) -> None:
    sink = io.BytesIO()
    with gs.SSEWriter(sink) as writer:
        writer.write(gs.events.Error("no"))
        writer.write("a")
    assert sink.getvalue().endswith(said("a") + DONE)


@pytest.mark.parametrize("kind", ["SSEWriter", "NDJSONWriter"])
def test_done_written_by_hand_is_not_written_twice(gs: ModuleType, kind: str) -> None:
    sink = io.BytesIO()
    with getattr(gs, kind)(sink) as writer:
        writer.write("a")
        writer.write(gs.events.Done())
    assert sink.getvalue().count(b"done") == 1


def test_nothing_can_be_written_after_done(gs: ModuleType) -> None:
    sink = io.BytesIO()
    writer = gs.SSEWriter(sink)
    writer.write(gs.events.Done())
    for use in (
        lambda: writer.write("b"),
        lambda: writer.write_many(["b"]),
        lambda: writer.write_event("b", "c"),
        lambda: writer.write_comment("b"),
        lambda: writer.write(gs.events.Done()),
    ):
        with pytest.raises(gs.errors.ClosedError):
            use()
    writer.close()
    assert sink.getvalue() == DONE


def test_nothing_can_be_written_after_close(gs: ModuleType) -> None:
    writer = gs.SSEWriter(io.BytesIO())
    writer.close()
    for use in (lambda: writer.write("b"), writer.flush, lambda: writer.write_many([])):
        with pytest.raises(gs.errors.ClosedError):
            use()


def test_write_many_stops_at_done(gs: ModuleType) -> None:
    sink = io.BytesIO()
    with gs.SSEWriter(sink) as writer:
        writer.write_many(["a", gs.events.Done(), "b"])
    assert sink.getvalue() == said("a") + DONE


def test_a_writer_of_the_json_dialect_adds_no_end(gs: ModuleType) -> None:
    sink = io.BytesIO()
    with gs.SSEWriter(sink, dialect="json") as writer:
        writer.write({"a": 1})
    assert sink.getvalue() == b'data: {"a":1}\n\n'
    with pytest.raises(ValueError, match="x"), gs.NDJSONWriter(sink, dialect="json"):
        raise ValueError("x")
    assert sink.getvalue().endswith(b'{"error":{"code":"internal","message":"internal error"}}\n')


def test_an_error_that_was_followed_by_more_is_a_report(gs):
    for kind, write in (
        ("SSEWriter", lambda writer: writer.write_frame("more", "note")),
        ("SSEWriter", lambda writer: writer.write_event("note", {"more": 1})),
        ("NDJSONWriter", lambda writer: writer.write_event("note", {"more": 1})),
        ("NDJSONWriter", lambda writer: writer.write_frame('{"more":1}')),
    ):
        sent = []
        with getattr(gs, kind)(sent.append) as writer:
            writer.write(gs.events.Error("a part failed"))
            write(writer)
        assert b"done" in sent[-1]


def test_a_retry_time_that_was_set_is_sent_once_with_the_first_event(gs):
    sent = []
    with gs.SSEWriter(sent.append, gs.SSEOptions(retry_ms=1500)) as writer:
        writer.write("a")
        writer.write("b")
    assert sent[0].startswith(b"retry: 1500\nevent: text_delta\n")
    assert b"".join(sent).count(b"retry:") == 1
