"""`sse()` and `ndjson()` on sync sources: a chunk an item, in the caller's own thread."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from frames import DONE, INTERNAL, PRELUDE, said


class Source:
    """Yields its items, then raises; knows how far it was read, and whether it was closed."""

    def __init__(self, *items: Any, error: BaseException | None = None) -> None:
        self.items = iter(items)
        self.error = error
        self.produced = 0
        self.closings = 0

    def __iter__(self) -> Source:
        return self

    def __next__(self) -> Any:
        for item in self.items:
            self.produced += 1
            return item
        raise self.error or StopIteration

    def close(self) -> None:
        self.closings += 1


def test_a_chunk_comes_for_each_item_before_the_next_is_asked_for(gs: ModuleType) -> None:
    source = Source("a", "b", "c")
    chunks = gs.sse(source)
    assert source.produced == 0
    for number, expected in enumerate([PRELUDE + said("a"), said("b"), said("c")], 1):
        assert next(chunks) == expected
        assert source.produced == number
    assert list(chunks) == [DONE]
    assert source.closings == 1


def test_a_sync_source_runs_in_the_callers_thread(gs: ModuleType) -> None:
    threads: set[int] = set()

    def source() -> Iterator[str]:
        threads.add(threading.get_ident())
        yield "a"

    assert list(gs.ndjson(source())) == [
        b'{"type":"text_delta","text":"a"}\n',
        b'{"type":"done","finished":true}\n',
    ]
    assert threads == {threading.get_ident()}


@pytest.mark.parametrize("make", [list, tuple, set, iter, lambda items: (x for x in items)])
def test_any_iterable_is_a_source(gs: ModuleType, make: Any) -> None:
    assert b"".join(gs.sse(make(["a"]))) == PRELUDE + said("a") + DONE


def test_an_empty_source_is_only_done(gs: ModuleType) -> None:
    assert list(gs.sse([])) == [PRELUDE + DONE]
    assert list(gs.ndjson([])) == [b'{"type":"done","finished":true}\n']


def test_what_follows_done_is_left_out_and_the_source_closed(gs: ModuleType) -> None:
    source = Source("a", gs.events.Done(), "b")
    assert b"".join(gs.sse(source)) == PRELUDE + said("a") + DONE
    assert source.produced == 2
    assert source.closings == 1


def test_a_failure_ends_with_the_error_and_no_done_and_is_logged(
    gs: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    source = Source("a", error=ValueError("the password is 1234"))
    assert list(gs.sse(source)) == [PRELUDE + said("a"), INTERNAL]
    assert source.closings == 1
    assert len(caplog.records) == 1


def test_the_text_of_a_stream_error_is_told_and_not_logged(
    gs: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    source = Source("a", error=gs.StreamError("try later"))
    assert b"".join(gs.ndjson(source)).splitlines()[1:] == [
        b'{"type":"error","error":"try later","code":"error"}'
    ]
    assert not caplog.records


def test_an_error_whose_text_cannot_be_written_is_told_in_general_words(gs: ModuleType) -> None:
    strict = gs.SSEOptions(errors="strict")
    source = Source(error=gs.StreamError("\ud800"))
    assert b"".join(gs.sse(source, strict)) == PRELUDE + INTERNAL


def test_sources_with_anything_else_than_events_fail_with_the_error_event(gs: ModuleType) -> None:
    for item in (5, {"no": "type"}, gs.events.Raw({"deep": [{"er": {object()}}]})):
        source = Source("a", item, "b")
        assert b"".join(gs.sse(source)) == PRELUDE + said("a") + INTERNAL
        assert source.closings == 1


def test_an_error_at_the_end_takes_the_place_of_done_and_one_in_the_middle_does_not(
    gs: ModuleType,
) -> None:
    error = b'event: error\nretry: 5000\ndata: {"error":"no"}\n\n'
    assert b"".join(gs.sse([gs.events.Error("no")])) == PRELUDE + error
    stream = b"".join(gs.sse([gs.events.Error("no"), "a"]))
    assert stream == PRELUDE + error + said("a") + DONE


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_goes_through_and_closes_the_source(
    gs: ModuleType, error: type[BaseException]
) -> None:
    source = Source("a", error=error())
    chunks = gs.sse(source)
    next(chunks)
    with pytest.raises(error):
        next(chunks)
    assert source.closings == 1


def test_an_iterator_that_is_closed_early_closes_the_source(gs: ModuleType) -> None:
    source = Source("a", "b")
    chunks = gs.sse(source)
    next(chunks)
    chunks.close()
    chunks.close()
    assert source.closings == 1
    assert list(chunks) == []


def test_an_iterator_that_was_never_begun_closes_the_source_too(gs: ModuleType) -> None:
    source = Source("a", "b")
    with contextlib.closing(gs.sse(source)) as chunks:
        pass
    assert source.closings == 1
    assert list(chunks) == []
    assert source.produced == 0


def test_an_iterator_that_is_dropped_closes_the_source(gs: ModuleType) -> None:
    source = Source("a", "b")
    chunks = gs.sse(source)
    next(chunks)
    del chunks
    gc.collect()
    assert source.closings == 1


def test_a_source_that_raises_in_its_own_cleanup_is_logged_and_changes_nothing(
    gs: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    def source() -> Iterator[Any]:
        try:
            yield gs.events.Done()
            yield "b"
        finally:
            raise ValueError("in the cleanup")

    assert b"".join(gs.sse(source())) == PRELUDE + DONE
    (record,) = caplog.records
    assert "closed" in record.message


def test_a_reconnection_time_that_was_set_is_sent_once_at_the_start(gs: ModuleType) -> None:
    options = gs.SSEOptions(retry_ms=1234)
    assert b"".join(gs.sse(["a", "b"], options)) == (
        b":\n\nretry: 1234\n" + said("a") + said("b") + DONE
    )
    assert b"retry" not in b"".join(gs.sse(["a"]))
