"""A stream whose end its dialect does not write is cut: it neither hangs nor looks whole."""

from __future__ import annotations

import asyncio
import logging
from wsgiref.util import setup_testing_defaults

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


SOURCES = ["async", "sync", "thread"]


def served_by_wsgi(gs, kind, error, *, first):
    """Serve a stream under WSGI; return the status, the chunks, the exception and the outcome."""

    async def later():
        if not first:
            yield "a"
            await asyncio.sleep(0)
        raise error

    def now():
        if not first:
            yield "a"
        raise error

    statuses, outcomes, chunks = [], [], []
    response = gs.wsgi.SSEResponse(
        later() if kind == "async" else now(),
        dialect=broken(gs, gs.errors.UnsayableError("no frame")),
        on_close=outcomes.append,
        helper_thread=kind == "thread",
    )
    environ = {}
    setup_testing_defaults(environ)
    raised = None
    try:
        body = response(environ, lambda status, headers: statuses.append(status))
        try:
            for chunk in body:
                chunks.append(chunk)
        finally:
            getattr(body, "close", lambda: None)()
    except Exception as caught:
        raised = caught
    return statuses, chunks, raised, outcomes


@pytest.mark.parametrize("kind", SOURCES)
def test_under_wsgi_the_body_does_not_end_as_if_it_were_whole(gs, caplog, kind):
    statuses, chunks, raised, outcomes = served_by_wsgi(
        gs, kind, gs.StreamError("no"), first=False
    )
    assert raised is not None
    # bytes that were not taken before the stream was cut are dropped
    assert (statuses, b"".join(chunks)) in (([], b""), (["200 OK"], b":\n\ndata: a\n\n"))
    assert [each.kind for each in outcomes] == ["failed"]


@pytest.mark.parametrize("kind", SOURCES)
def test_under_wsgi_a_failure_before_the_first_event_is_answered(gs, caplog, kind):
    error = gs.StreamError("busy", status=503)
    statuses, chunks, raised, outcomes = served_by_wsgi(gs, kind, error, first=True)
    assert (statuses, raised) == (["503 Service Unavailable"], None)
    assert b"busy" in b"".join(chunks)
    assert [each.kind for each in outcomes] == ["failed"]
