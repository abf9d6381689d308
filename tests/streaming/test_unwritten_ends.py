"""A stream whose end its dialect does not write is cut: it neither hangs nor looks whole."""

from __future__ import annotations

import asyncio
import logging

import pytest
from scripted_asgi import Connection


def broken(gs, error):
    """Return a dialect whose streams have no end: writing it raises this."""

    class Writer(gs.dialects.EventWriter):
        def write_event(self, encoder, event):
            if isinstance(event, gs.events.TextDelta):
                encoder.write_frame(event.text)
            else:
                raise error

    class Broken(gs.dialects.Dialect):
        name = "broken"
        writes = ("sse",)

        def writer(self, format, **_):
            return Writer()

    return Broken()


async def source(failure=None):
    yield "a"
    await asyncio.sleep(0)
    if failure is not None:
        raise failure


@pytest.mark.parametrize("fails", [True, False])
@pytest.mark.parametrize("quiet", [True, False])
def test_the_response_is_not_completed(gs, caplog, fails, quiet):
    error = gs.errors.UnsayableError("no frame") if quiet else KeyError("a fault of the dialect")
    outcomes = []
    connection = Connection()

    async def run():
        response = gs.asgi.SSEResponse(
            source(gs.StreamError("no") if fails else None),
            dialect=broken(gs, error),
            on_close=outcomes.append,
        )
        await asyncio.wait_for(response(connection.scope, connection.receive, connection.send), 5)

    with caplog.at_level(logging.ERROR):
        asyncio.run(run())
    assert all(message.get("more_body", True) for message in connection.sent)
    assert [each.kind for each in outcomes] == ["failed"]
    assert bool(caplog.records) != quiet


def test_an_iterator_raises(gs):
    async def run():
        stream = gs.sse(source(), dialect=broken(gs, gs.errors.UnsayableError("no frame")))
        async for _ in stream:
            pass

    with pytest.raises(gs.errors.UnsayableError):
        asyncio.run(run())
