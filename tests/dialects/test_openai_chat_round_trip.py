"""OpenAI's Chat Completions, written and read again: each field that the protocol has is kept."""

from __future__ import annotations

import asyncio

import pytest


def call(events, identity, *pieces, value=None, **fields):
    return [
        events.ToolCallStart(identity, "f"),
        *(events.ToolCallDelta(identity, piece) for piece in pieces),
        events.ToolCall(identity, "f", value, **fields),
    ]


def round_trip(gs, *items):
    dialect = gs.dialects.openai_chat(include_usage=True)
    written = gs.encode_events(items, dialect=dialect)
    found = list(gs.read_events(written, dialect="openai_chat"))
    assert list(gs.read_events([written[at : at + 1] for at in range(len(written))],
                               dialect="openai_chat")) == found  # fmt: skip
    return found


def test_a_conversation_is_read_as_it_was_written(gs):
    events = gs.events
    reasoning = [events.ReasoningDelta("hm"), events.ReasoningEnd("i", "sig")]
    redacted = [events.ReasoningEnd(None, "sig", "data")]
    unsigned = [events.ReasoningDelta("so"), events.ReasoningEnd()]
    texts = [events.TextDelta("Hé \u2028\u0085"), events.TextDelta("\n\n")]
    sound = [events.AudioDelta(b"abc"), events.AudioDelta(b"de")]
    sources = [events.Citations([events.Citation("u", 1, 2, "t"), events.Citation("v")])]
    first = call(events, "a", '{"x":', "1}", value={"x": 1}, signature="s")
    second = call(events, "b", "{}", value={})
    finish = events.Finish(events.Usage(11, 7, 18, 5, 0, 4), "tool_calls")
    items = [events.Start("id", "m"), *reasoning, *redacted, *unsigned, *texts, *sources, *sound,
             *first[:2], texts[0], *second[:2], first[2], second[2], first[3], finish,
             events.Done()]  # fmt: skip
    found = round_trip(gs, *items)
    # the calls end together, in the order in which they began; the last sound comes at the end
    last = [first[3], second[2]]
    moved = [event for event in items if event not in (*last, sound[1])]
    assert [event for event in found if event not in (*last, sound[1])] == moved
    assert [event for event in found if type(event) is events.ToolCall] == last
    assert sound[1] in found


@pytest.mark.parametrize("reason", ["stop", "length", "content_filter"])
def test_finish_reasons(gs, reason):
    events = gs.events
    found = round_trip(gs, events.Start("i", "m"), "a", events.Finish(None, reason), events.Done())
    assert found[-2:] == [events.Finish(None, reason), events.Done()]
    assert (events.Safety("content_filter", "block") in found) == (reason == "content_filter")


def test_what_is_lost_or_changed(gs):
    events = gs.events
    done = events.Done()
    assert round_trip(gs, *call(events, "a")[:1], events.ToolCall("a", "f"), done)[-3:-1] == [
        events.ToolCall("a", "f", {}), events.Finish(None, "tool_calls")
    ]  # fmt: skip
    assert round_trip(gs, "a", events.Finish(None, "pause"), done)[-2].finish_reason == "stop"
    assert round_trip(gs, events.Error("no", None, 3), done) == [events.Error("no", "server_error")]


def test_a_piece_of_arguments_is_sent_before_the_next_one_comes(gs):
    events = gs.events
    upstream = gs.encode_events(
        [*call(events, "a", '{"x":', "1}", value={"x": 1}), events.Done()], dialect="openai_chat"
    )
    frames = [frame + b"\n\n" for frame in upstream.split(b"\n\n") if frame]

    async def passing():
        passed = asyncio.Queue()

        async def body():
            for frame in frames:
                yield frame
                fragment = frame.partition(b'"delta":{"tool_calls"')[2]  # no id
                while fragment and fragment not in await passed.get():
                    pass

        source = gs.read_events(body(), dialect="openai_chat")
        whole = b""
        async for piece in gs.sse(source, dialect="openai_chat"):
            passed.put_nowait(piece)
            whole += piece
        return whole

    written = asyncio.run(asyncio.wait_for(passing(), 10))
    assert list(gs.read_events(written, dialect="openai_chat")) == list(
        gs.read_events(upstream, dialect="openai_chat")
    )
