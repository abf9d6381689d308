"""A stream has failed, or not, for its message, for each protocol and for the server alike.

It has failed if an Error was the last event; a Done after it adds nothing. An Error that other
events follow is a report.
"""

from __future__ import annotations

import asyncio
from typing import Any

import field_table
import pytest
from scripted_asgi import Connection

NAMES = field_table.columns()
FORMATS = [(name, format) for name in NAMES
           for format in field_table.dialects.find(name).writes]  # fmt: skip
# the events after a text, and whether they are the end of a stream that failed
ENDS: dict[str, tuple[Any, bool]] = {
    "nothing": (lambda e: [], False),
    "done": (lambda e: [e.Done()], False),
    "a done dict": (lambda e: [{"type": "done"}], False),
    "finish": (lambda e: [e.Finish(), e.Done()], False),
    "error": (lambda e: [e.Error("no")], True),
    "error, done": (lambda e: [e.Error("no"), e.Done()], True),
    "error, None, done": (lambda e: [e.Error("no"), None, e.Done()], True),
    "error dict, done dict": (lambda e: [{"type": "error", "error": "no"}, {"type": "done"}], True),
    "error, done dict": (lambda e: [e.Error("no"), {"type": "done"}], True),
    "two errors": (lambda e: [e.Error("a"), e.Error("no")], True),
    "finish, error, done": (lambda e: [e.Finish(), e.Error("no"), e.Done()], True),
    "error, text": (lambda e: [e.Error("no"), "b"], False),
    "error, text, done": (lambda e: [e.Error("no"), "b", e.Done()], False),
    "error, finish, done": (lambda e: [e.Error("no"), e.Finish(), e.Done()], False),
}
EACH_END = pytest.mark.parametrize("end", ENDS)


def stream(gs: Any, end: str) -> list[Any]:
    return ["a", *ENDS[end][0](gs.events)]


@pytest.mark.parametrize("end", [end for end in ENDS if "dict" not in end])
def test_the_message(gs, end):
    message = gs.collect(stream(gs, end))
    assert (message.error is not None) == ENDS[end][1]
    assert not (message.complete and message.error)


@EACH_END
@pytest.mark.parametrize(("name", "format"), FORMATS)
def test_the_encoder(gs, name, format, end):
    encoder = getattr(gs, "SSEEncoder" if format == "sse" else "NDJSONEncoder")(dialect=name)
    try:
        encoder.write_many(stream(gs, end))
        encoder.end()
        failed = encoder.failed
    except gs.errors.GaistreamError:  # plain text can't say it
        failed = True
    assert failed == ENDS[end][1]


@EACH_END
@pytest.mark.parametrize(("name", "format"), FORMATS)
def test_the_outcome(gs, name, format, end):
    kinds = []

    def response(room: Any, source: Any) -> Any:
        kind = getattr(room, "SSEResponse" if format == "sse" else "NDJSONResponse")
        return kind(source, dialect=name, on_close=lambda outcome: kinds.append(outcome.kind))

    async def source():
        for item in stream(gs, end):
            yield item

    async def ask():
        connection = Connection()
        try:
            await response(gs.asgi, source())(
                connection.scope, connection.receive, connection.send
            )
        except gs.errors.GaistreamError:
            assert name == "ai_sdk_text"

    asyncio.run(ask())
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/"}
    chunks = response(gs.wsgi, iter(stream(gs, end)))(environ, lambda status, headers: None)
    try:
        b"".join(chunks)
    except gs.errors.GaistreamError:
        assert name == "ai_sdk_text"
    finally:
        chunks.close()
    assert kinds == ["failed" if ENDS[end][1] else "completed"] * 2
