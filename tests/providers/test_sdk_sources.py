"""Sources of SDKs' streams without an SDK: dicts, strangers, and who closes what."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from openai_streams import STOP, chunk

from gaistream import encode_events, events, sse
from gaistream.errors import FrameTypeError
from gaistream.providers import from_anthropic, from_openai

READ = [
    events.Start("chatcmpl-1", "m"),
    events.TextDelta("a"),
    events.Finish(None, "stop"),
]


class Stream:
    """A stream of items; an exception among them is raised."""

    def __init__(self, *items: Any) -> None:
        self.items = items
        self.closed = 0

    def __iter__(self) -> Any:
        for item in self.items:
            if isinstance(item, Exception):
                raise item
            yield item

    def close(self) -> None:
        self.closed += 1


class AsyncStream(Stream):
    """The same for `async for`."""

    __iter__ = None  # type: ignore[assignment]

    async def __aiter__(self) -> Any:
        for item in Stream.__iter__(self):
            yield item

    async def close(self) -> None:  # type: ignore[override]
        self.closed += 1


async def read_async(source: Any) -> list[Any]:
    return [event async for event in source]


def test_items_may_be_dicts() -> None:
    stream = Stream(chunk(content="a"), STOP)
    assert list(from_openai(stream)) == READ
    assert stream.closed
    later = AsyncStream(chunk(content="a"), STOP)
    assert asyncio.run(read_async(from_openai(later))) == READ
    assert later.closed


def test_a_response_takes_the_source_and_closes_the_stream() -> None:
    stream = Stream(chunk(content="a"), STOP)
    body = b"".join(sse(from_openai(stream)))
    assert body.removeprefix(b":\n\n") == encode_events([*READ, events.Done()])
    assert stream.closed


def test_the_callers_own_exception_passes_and_the_stream_is_closed() -> None:
    stream = Stream(chunk(content="a"), KeyError("mine"))
    received: list[Any] = []
    with pytest.raises(KeyError, match="mine"):
        received.extend(from_openai(stream))
    assert stream.closed
    later = AsyncStream(KeyError("mine"))
    with pytest.raises(KeyError, match="mine"):
        asyncio.run(read_async(from_anthropic(later)))
    assert later.closed


@pytest.mark.parametrize("stream", ["text", b"bytes", {"a": 1}, 5, None])
def test_what_is_no_stream_is_refused(stream: Any) -> None:
    with pytest.raises(FrameTypeError, match="stream must be a stream of anthropic's SDK, not"):
        from_anthropic(stream)


def test_an_item_that_is_no_object_is_refused() -> None:
    stream = Stream(5)
    with pytest.raises(FrameTypeError, match="an item of the stream is int, not an SDK's object"):
        list(from_openai(stream))
    assert stream.closed


@pytest.mark.parametrize("source_of", [from_openai, from_anthropic])
def test_a_stream_of_nothing_was_cut(source_of: Any) -> None:
    assert list(source_of(Stream())) == [events.Error("the stream was cut", "truncated")]
