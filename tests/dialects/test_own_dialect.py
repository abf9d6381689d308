"""A dialect of a user's own, by the public interface: written, read, recognised."""

from __future__ import annotations

import asyncio
import json
from types import ModuleType
from typing import Any

import pytest
from scripted_asgi import Connection


def ticker(gs: ModuleType) -> Any:
    """A protocol whose text is `{"t":…}` and whose last event is `end`."""
    dialects, events = gs.dialects, gs.events

    class Writer(dialects.EventWriter):
        text_template = gs.FrameTemplate(b'data: {"t":"', b'"}\n\n')

        def __init__(self, retry: int | None) -> None:
            self.retry = retry
            self.texts = 0

        def write_event(self, encoder: Any, event: Any) -> None:
            if isinstance(event, events.Error):
                encoder.write_frame(json={"error": event.message}, retry=self.retry)
            elif isinstance(event, events.Done):
                encoder.write_frame("end")

    class Reader(dialects.DialectReader):
        def feed(self, event: Any) -> list[Any]:
            if event.data == "end":
                self.ended = True
                return [events.Done()]
            return [events.TextDelta(self.read(event.data)["t"])]

        def close(self) -> list[Any]:
            return [] if self.ended else [events.Error("cut", "truncated")]

    class Ticker(dialects.Dialect):
        name = "ticker"
        title = "The ticker"
        writes = reads = ("sse",)
        terminator = end_mark = "end"
        failure_kinds = frozenset({"oops"})

        def sniff(self, first: Any) -> bool:
            return "t" in first.fields

        def writer(self, format: str, *, retry: int | None = None, **_: Any) -> Any:
            return Writer(retry)

        def reader(self, format: str) -> Any:
            return Reader()

    return Ticker()


WHOLE = b'data: {"t":"a"}\n\ndata: {"t":"b"}\n\ndata: end\n\n'


def test_it_is_written_wherever_a_name_is_taken(gs: ModuleType) -> None:
    own, text, done = ticker(gs), gs.events.TextDelta, gs.events.Done
    items = [text("a"), "b", done()]
    assert gs.encode_events(items, dialect=own) == WHOLE
    encoder = gs.SSEEncoder(dialect=own)
    encoder.write_many(items)
    assert encoder.take() == WHOLE
    chunks: list[bytes] = []
    with gs.SSEWriter(chunks.append, dialect=own) as writer:
        writer.write("a")
        writer.write("b")
    assert b"".join(chunks) == WHOLE
    assert b"".join(gs.sse(["a", "b"], dialect=own)).endswith(WHOLE)


def test_it_is_streamed_and_its_failure_has_the_retry_of_the_options(gs: ModuleType) -> None:
    async def source() -> Any:
        yield "a"
        raise gs.StreamError("no")

    async def streaming() -> bytes:
        options = gs.SSEOptions(retry_ms=7)
        return b"".join([chunk async for chunk in gs.sse(source(), options, dialect=ticker(gs))])

    body = asyncio.run(streaming())
    assert body.endswith(b'data: {"t":"a"}\n\nretry: 7\ndata: {"error":"no"}\n\n')


def test_each_stream_gets_a_writer(gs: ModuleType) -> None:
    own = ticker(gs)
    assert gs.SSEEncoder(dialect=own).take() == b""
    assert own.writer("sse", retry=1) is not own.writer("sse", retry=1)


def test_it_is_read(gs: ModuleType) -> None:
    text, done, error = gs.events.TextDelta, gs.events.Done, gs.events.Error
    assert list(gs.read_events(WHOLE, dialect=ticker(gs))) == [text("a"), text("b"), done()]
    cut = list(gs.read_events(WHOLE[:17], dialect=ticker(gs)))
    assert cut == [text("a"), error("cut", "truncated")]


@pytest.mark.parametrize("mistake", ["ticker", 5, None, [], object()])
def test_an_unknown_name_is_refused_and_the_known_ones_are_listed(
    gs: ModuleType, mistake: Any
) -> None:
    refused = gs.errors.FrameError
    with pytest.raises(refused, match=r"dialect must be 'gai' or 'json' or .*a Dialect that"):
        gs.SSEEncoder(dialect=mistake)
    with pytest.raises(refused, match="is 'gai' or 'gai_events_v1' or 'ollama' or a Dialect, not"):
        list(gs.read_events(b"", "ndjson", mistake))


def test_a_format_that_it_does_not_have_is_refused(gs: ModuleType) -> None:
    with pytest.raises(gs.errors.FrameError, match="a Dialect that is written as ndjson, not <"):
        gs.NDJSONEncoder(dialect=ticker(gs))
    with pytest.raises(gs.errors.FrameError, match="or 'ollama' or a Dialect, not <"):
        list(gs.read_events(b"", "ndjson", ticker(gs)))
    with pytest.raises(gs.errors.FrameError, match=r"'json' or .*a Dialect"):
        gs.NDJSONEncoder(dialect="openai_chat")  # which has no lines


def test_its_end_is_seen_by_a_detector_that_knows_it(gs: ModuleType) -> None:
    own = gs.dialects.Detector(ticker(gs))
    known = gs.dialects.Detector()
    seen = []
    for event in gs.SSEDecoder().feed(WHOLE):
        seen.append((own.is_last(event), own.protocol, own.truncated))
        assert not known.is_last(event)
    assert seen == [(False, "The ticker", True)] * 2 + [(True, "The ticker", False)]
    assert (own.terminator, own.dialect.name) == ("end", "ticker")


def test_its_failure_is_told_from_a_cut(gs: ModuleType) -> None:
    own = gs.dialects.Detector(ticker(gs))
    for payload in ({"t": "a"}, {"type": "oops"}):
        own.see(gs.dialects.Frame("message", json.dumps(payload), payload))
    assert (own.failed, own.truncated) == (True, False)


def test_a_dialect_that_only_declares_makes_neither_writer_nor_reader(gs: ModuleType) -> None:
    bare = gs.dialects.Dialect()
    assert not bare.sniff(gs.dialects.Frame("x", ""))
    assert not bare.is_last(gs.dialects.Frame("x", ""))
    for make in (bare.writer, bare.reader):
        with pytest.raises(NotImplementedError):
            make("sse")


def test_its_content_type_and_headers_are_sent(gs: ModuleType) -> None:
    own = ticker(gs)
    own.media_type, own.headers = "text/plain", {"X-Ticker": "1"}
    headers = gs.http.headers("sse", dialect=own)
    assert (headers["Content-Type"], headers["X-Ticker"]) == ("text/plain", "1")
    assert headers["Cache-Control"] == gs.http.headers("sse")["Cache-Control"]

    served = asyncio.run(Connection().serve(gs.asgi.SSEResponse(["a"], dialect=own)))
    sent = served.headers
    assert (sent["content-type"], sent["x-ticker"]) == ("text/plain", "1")
    assert served.body.endswith(b'data: {"t":"a"}\n\ndata: end\n\n')


def test_headers_of_an_unknown_dialect_are_refused(gs: ModuleType) -> None:
    with pytest.raises(gs.errors.FrameError, match=r"dialect must be 'gai' or "):
        gs.http.headers("sse", dialect="ticker")
