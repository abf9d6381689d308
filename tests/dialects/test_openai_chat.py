"""The reader of OpenAI's Chat Completions, on tables of streams."""

from __future__ import annotations

import pytest
from openai_streams import DONE, END, START, STOP, STREAMS, body_of

from gaistream import SSEDecoder, events
from gaistream.dialects.openai_chat.reader import ChatCompletionsReader


def read(body: bytes) -> list[events.Event]:
    decoder, reader = SSEDecoder(), ChatCompletionsReader()
    found = [event for frame in decoder.feed(body) for event in reader.feed(frame)]
    return found + reader.close() + reader.close()


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_is_read_as_these_events(name: str) -> None:
    frames, expected = STREAMS[name]
    assert read(body_of(*frames)) == expected


def test_comments_and_heartbeats_are_skipped_and_nothing_is_read_after_the_end() -> None:
    heartbeats = b": keep-alive\n\nevent: heartbeat\ndata: {}\n\n"
    assert read(heartbeats + body_of(STOP, DONE, STOP, {"error": "late"})) == [START, *END]
    assert read(b"event: error\ndata: {}\n\n") == [events.Error("the provider failed")]
