"""An answer that is passed on: what comes from upstream leaves in the same turn of the loop."""

from __future__ import annotations

import asyncio
import itertools
from types import ModuleType
from typing import Any

import pytest
from scripted_asgi import Connection, run

DIALECTS = ["gai", "openai_chat", "anthropic", "ai_sdk", "ag_ui"]


class Turns:
    """Counts the turns of the running loop.

    Attributes:
        now: the number of this turn.
    """

    def __init__(self) -> None:
        self.now = 0
        self._loop = asyncio.get_running_loop()
        self._handle = self._loop.call_soon(self._count)

    def _count(self) -> None:
        self.now += 1
        self._handle = self._loop.call_soon(self._count)

    def stop(self) -> None:
        self._handle.cancel()


def pieces(gs: ModuleType, dialect: str) -> list[tuple[bytes, bytes]]:
    """Return the bytes of an answer as an upstream sends them, each with what it says."""
    e = gs.events
    encoder = gs.SSEEncoder(dialect=dialect)
    said = []
    for event, mark in [
        (e.Start("i", "m"), b""),
        (e.TextDelta("first"), b"first"),
        (e.ToolCallStart("call_1", "weather"), b"weather"),
        (e.ToolCallDelta("call_1", '{"city'), b"city"),
        (e.ToolCallDelta("call_1", '":"Ro'), b":"),
        (e.ToolCallDelta("call_1", 'me"}'), b"me"),
    ]:
        encoder.write(event)
        said.append((encoder.take(), mark))
    return said


@pytest.mark.parametrize(("reader", "writer"), list(itertools.product(DIALECTS, repeat=2)))
def test_a_delta_is_sent_in_the_turn_in_which_it_came(
    gs: ModuleType, reader: str, writer: str
) -> None:
    async def passes() -> None:
        turns = Turns()
        fed: asyncio.Queue[bytes] = asyncio.Queue()
        came: list[int] = []
        went: list[int] = []

        async def upstream() -> Any:
            while chunk := await fed.get():
                came.append(turns.now)
                yield chunk

        connection = Connection().hear()
        connection.before_send = lambda _: went.append(turns.now)
        source = gs.read_events(upstream(), dialect=reader)
        serving = connection.begin(gs.asgi.SSEResponse(source, dialect=writer))
        (opening, _), *rest = pieces(gs, reader)
        fed.put_nowait(opening)
        await connection.until(lambda: len(connection.sent) > 1)
        for chunk, mark in rest:
            sends = len(connection.sent)
            fed.put_nowait(chunk)
            await connection.until(lambda sends=sends: len(connection.sent) > sends)
            assert len(connection.sent) == sends + 1
            assert mark in connection.chunks[-1]
            assert went[-1] == came[-1]
        turns.stop()
        connection.leave()
        await serving

    run(passes())
