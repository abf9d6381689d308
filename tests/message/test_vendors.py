"""A message equals those that the clients of OpenAI and Anthropic build from the same answer.

Each random answer is finished, failed or cut at any event; the clients' messages are those at the
end. The packages are those of the dependency group `clients`.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from typing import Any

import pytest
from random_answers import AnthropicFrames, chat_chunks, random_answer
from required import need_package

import gaistream
from gaistream.events import Done, Error, Start, TextDelta, Usage

STREAMS = int(os.environ.get("GAISTREAM_RANDOM_ANSWERS", "40"))
KEPT_BY_OPENAI = ("redacted", "server_call", "citations")


def openai_message(events: list[Any]) -> Any:
    """Return the completion that OpenAI's client builds, or None."""
    from openai.lib.streaming.chat import ChatCompletionStreamState
    from openai.types.chat import ChatCompletionChunk

    state = ChatCompletionStreamState()
    chunks = list(chat_chunks(events))
    for chunk in chunks:
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    return state.current_completion_snapshot if chunks else None


def set_only(value: Any) -> Any:
    """Return a value without fields that are None: a client adds some."""
    if isinstance(value, list):
        return [set_only(each) for each in value]
    if isinstance(value, dict):
        return {name: set_only(each) for name, each in value.items() if each is not None}
    return value


def without_index(call: dict[str, Any]) -> dict[str, Any]:
    function = call["function"]
    arguments = {"name": function["name"], "arguments": function["arguments"]}
    return {"id": call["id"], "type": call["type"], "function": arguments}


@pytest.mark.parametrize("seed", range(STREAMS))
def test_the_message_of_openais_client(seed: int) -> None:
    need_package("openai", "clients")
    events = random_answer(seed, leave_out=KEPT_BY_OPENAI)
    theirs = openai_message(events)
    message = gaistream.collect(events)
    expected = theirs.choices[0].message.to_dict()
    calls = [without_index(call) for call in expected.pop("tool_calls", None) or ()]
    ours = message.to_openai()
    assert ours.pop("tool_calls", []) == calls
    expected["content"] = expected["content"] or None
    assert set_only(ours) == set_only(expected)
    assert message.finish_reason == theirs.choices[0].finish_reason
    if message.usage is not None:
        assert message.usage == Usage(
            theirs.usage.prompt_tokens,
            theirs.usage.completion_tokens,
            theirs.usage.total_tokens,
            theirs.usage.prompt_tokens_details.cached_tokens,
            None,
            theirs.usage.completion_tokens_details.reasoning_tokens,
        )


def anthropic_message(frames: Iterable[Any]) -> Any:
    """Return the message that Anthropic's client builds of these frames."""
    from anthropic import NOT_GIVEN
    from anthropic.lib.streaming._messages import accumulate_event
    from anthropic.types import RawMessageStreamEvent
    from pydantic import TypeAdapter

    adapter = TypeAdapter(RawMessageStreamEvent)
    message = None
    texts: dict[int, bytes] = {}
    for frame in frames:
        message = accumulate_event(
            event=adapter.validate_python(frame),
            current_snapshot=message,
            json_bufs=texts,
            output_format=NOT_GIVEN,
        )
    return message


def specified_frames(events: list[Any]) -> Iterable[Any]:
    """Return the frames by tests/support/random_answers.py, which knows cut streams too."""
    frames = AnthropicFrames()
    return itertools.chain.from_iterable(map(frames.frames, events))


def written_frames(events: list[Any]) -> Iterable[Any]:
    """Return the frames that the dialect writes."""
    body = gaistream.encode_events(events, dialect="anthropic")
    return [event.json() for event in gaistream.SSEDecoder().feed(body)]


WHOLE = [seed for seed in range(STREAMS) if type(random_answer(seed)[-1]) is Done]
ANTHROPIC = [
    *((specified_frames, seed) for seed in range(STREAMS)),
    *((written_frames, seed) for seed in WHOLE),  # the others end in an error frame
]


@pytest.mark.parametrize(("frames", "seed"), ANTHROPIC)
def test_the_message_of_anthropics_client(frames: Any, seed: int) -> None:
    need_package("anthropic", "clients")
    events = random_answer(seed)
    theirs = anthropic_message(frames(events))
    message = gaistream.collect(events)
    ours = message.to_anthropic()
    assert len(ours) == len(theirs.content)
    for block, expected in zip(ours, theirs.content, strict=True):
        their_block = expected.to_dict()
        if block["type"] in ("tool_use", "server_tool_use"):
            assert block.pop("input") == their_block.pop("input")
        assert set_only(block) == set_only(their_block)
    if message.usage is not None:
        cached = theirs.usage.cache_read_input_tokens or 0
        assert message.usage.input_tokens == theirs.usage.input_tokens + cached
        assert message.usage.output_tokens == theirs.usage.output_tokens
        reasons = {"end_turn": "stop", "max_tokens": "length"}
        assert message.finish_reason == reasons[theirs.stop_reason]


def test_an_answer_that_lost_a_delta_is_not_the_same() -> None:
    """The comparison notices: a message without one delta differs from the client's."""
    need_package("openai", "clients")
    events = [Start(), TextDelta("a"), TextDelta("b")]
    theirs = openai_message(events).choices[0].message.content
    del events[1]
    assert gaistream.collect(events).to_openai()["content"] != theirs


def test_the_random_answers_end_in_each_way() -> None:
    answers = [random_answer(seed) for seed in range(40)]
    assert {type(events[-1]).__name__ for events in answers} >= {"Done", "Error", "TextDelta"}
    assert sum(isinstance(events[-1], Error) for events in answers) > 3
