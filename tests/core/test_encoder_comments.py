"""Comments never make a decoder emit an extra event, after an id or after a retry.

The decoders of httpx-sse, openai and anthropic emit an event at a blank line if any field was set
since the last one, and an id stays set.
"""

from __future__ import annotations

import asyncio
from types import ModuleType

import pytest


def emitted(stream: bytes) -> list[str]:
    """Return the data of the events that such a decoder emits."""
    data: list[str] = []
    name = last_id = ""
    retry = None
    events = []
    for line in stream.decode().split("\n")[:-1]:
        field, _, value = line.partition(": ")
        if line == "":
            if name or data or last_id or retry is not None:
                events.append("\n".join(data))
            data, name, retry = [], "", None
        elif field == "data":
            data.append(value)
        elif field == "event":
            name = value
        elif field == "id":
            last_id = value
        elif field == "retry":
            retry = value
    return events


STEPS = {
    "a heartbeat": lambda frames: frames.write_heartbeat(),
    "a comment": lambda frames: frames.write_comment("hi\nthere"),
    "a frame of a comment": lambda frames: frames.write_frame(comment=""),
    "a prelude": lambda frames: frames.write_prelude(),
    "a prelude with a hint": lambda frames: frames.write_prelude(5),
    "a hint": lambda frames: frames.write_frame(retry=7),
    "a ready hint": lambda frames: frames.write_ready(b"retry: 9\n"),
}


@pytest.mark.parametrize("first", STEPS)
@pytest.mark.parametrize("second", STEPS)
@pytest.mark.parametrize("include_id", [False, True])
def test_only_events_are_emitted(
    gs: ModuleType, first: str, second: str, include_id: bool
) -> None:
    frames = gs.SSEEncoder(gs.SSEOptions(include_id=include_id))
    for number in range(2):
        STEPS[first](frames)
        STEPS[second](frames)
        frames.write(f"text {number}")
    STEPS[first](frames)
    STEPS[second](frames)
    stream = frames.take()
    assert emitted(stream) == ['{"text":"text 0"}', '{"text":"text 1"}']
    assert [each.data for each in gs.SSEDecoder().feed(stream)] == emitted(stream)


def test_before_the_first_id_a_heartbeat_ends_in_a_blank_line(gs: ModuleType) -> None:
    frames = gs.SSEEncoder()
    frames.write("a")
    frames.take()
    frames.write_heartbeat()
    assert frames.take() == b": keep-alive\n\n"
    frames.write_frame("b", id="1")
    frames.take()
    frames.write_heartbeat()
    assert frames.take() == b": keep-alive\n"


def test_a_stream_with_a_retry_and_heartbeats_emits_only_its_events(gs: ModuleType) -> None:
    async def slow() -> object:
        for word in ("a", "b"):
            await asyncio.sleep(0.12)
            yield word

    async def main() -> bytes:
        options = gs.SSEOptions(retry_ms=3000, heartbeat_interval=0.05)
        return b"".join([chunk async for chunk in gs.sse(slow(), options)])

    stream = asyncio.run(main())
    assert stream.count(b": keep-alive\n") >= 2
    assert emitted(stream) == ['{"text":"a"}', '{"text":"b"}', '{"finished":true}']
