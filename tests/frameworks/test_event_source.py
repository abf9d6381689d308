"""What stands in for sse-starlette: its bytes, its events, and how its streams fail."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import AsyncIterator
from typing import Any

import pytest
from scripted_asgi import END, PRELUDE, Connection, Source, asynchronous, run, text

import gaistream
from gaistream import StreamError
from gaistream.errors import FrameError

pytest.importorskip("starlette", reason="Starlette is not installed")


from starlette.background import BackgroundTask

from gaistream.frameworks import sse_starlette as stand_in
from gaistream.frameworks.sse_starlette.event import ensure_bytes
from gaistream.frameworks.starlette import (
    EventSourceResponse,
    JSONServerSentEvent,
    ServerSentEvent,
    SSEResponse,
)


async def body_of(*items: Any, **settings: Any) -> bytes:
    served = await Connection().serve(EventSourceResponse(asynchronous(*items), **settings))
    assert served.sent[-1] == END
    return served.body


# ---- frames ----

LF = {"data": "d", "event": "e", "id": "i", "retry": 5, "comment": "c", "sep": "\n"}
ITEMS: list[Any] = [
    "text", "two\r\nlines\rand\nmore\n", "", 7, 1.5, None, [1], "\u2028\0ä",
    b"event: raw\n\n", memoryview(b"data: view\n\n"), b"",
    {"data": "d"}, {"data": {"a": 1}}, {"data": b"bytes"}, {"data": 0, "event": "message"}, LF,
    {"event": "a\r\nb", "id": "c\nd\0"}, {"comment": "one\ntwo"}, {"retry": 5}, {"event": ""}, {},
]  # fmt: skip
FIELDS = [
    {}, {"data": 0, "event": "e", "sep": "\r"}, {"data": "d", "id": "3"}, {"comment": "hush"},
    {"data": "a\nb", "event": "message", "id": "1", "retry": 3, "comment": "c\rd"},
]  # fmt: skip
PAYLOADS: list[Any] = [{"ä": [1, None, 1.0]}, {1: 2, None: True}, [], 0, "s\n\u2028", None]


@pytest.mark.parametrize("sep", [None, "\r\n", "\r", "\n"])
def test_the_bytes_of_a_stream_are_the_originals(sep: str | None) -> None:
    theirs = pytest.importorskip("sse_starlette", reason="sse-starlette is not installed")

    def items(face: Any) -> list[Any]:
        return [
            *ITEMS,
            *(face.ServerSentEvent(**fields) for fields in FIELDS),
            *(face.JSONServerSentEvent(payload, event="json") for payload in PAYLOADS),
        ]

    def stream(face: Any) -> list[dict[str, Any]]:
        async def source() -> AsyncIterator[Any]:
            for item in items(face):
                yield item

        async def test() -> None:
            response = face.EventSourceResponse(source(), sep=sep, status_code=201)
            sent.extend((await Connection().serve(response)).sent)

        sent: list[dict[str, Any]] = []
        asyncio.run(test())
        return [each for each in sent if each.get("body") != b"" or not each["more_body"]]

    assert stream(stand_in) == stream(theirs)


@pytest.mark.parametrize("item", [*ITEMS, *(ServerSentEvent(**fields) for fields in FIELDS)])
def test_ensure_bytes_is_the_originals(item: Any) -> None:
    theirs = pytest.importorskip("sse_starlette.event", reason="sse-starlette is not installed")
    given = item
    if isinstance(item, ServerSentEvent):
        fields = (item.event, item.id, item.retry, item.comment, item._sep)
        names = ("event", "id", "retry", "comment", "sep")
        given = theirs.ServerSentEvent(item.data, **dict(zip(names, fields, strict=True)))
        assert bytes(item) == item.encode()
    assert ensure_bytes(item, "\n") == theirs.ensure_bytes(given, "\n")


def test_what_the_original_refuses_or_spoils_is_an_event() -> None:
    assert ensure_bytes(bytearray(b"x"), "\n") == b"x"
    assert ServerSentEvent("d", id=3, sep="\n").encode() == b"id: 3\ndata: d\n\n"
    assert ensure_bytes(gaistream.ServerSentEvent("d", "e"), "\r") == b"event: e\rdata: d\r\r"
    assert ensure_bytes("\ud83d\ude00 \ud800", "\n").decode() == "data: \U0001f600 \ufffd\n\n"


def test_a_subclass_has_its_own_line_end_and_encoding() -> None:
    class Lines(ServerSentEvent):
        DEFAULT_SEPARATOR = "\n"

    class Shouted(ServerSentEvent):
        def encode(self) -> bytes:
            return super().encode().upper()

    async def test() -> None:
        body = await body_of(Lines("a"), Shouted("b", sep="\n"), {"data": "c"})
        assert body == b"data: a\n\nDATA: B\n\ndata: c\r\n\r\n"

    run(test())


def test_events_are_what_sses_own_response_takes_too() -> None:
    async def test() -> None:
        served = await Connection().serve(SSEResponse([ServerSentEvent("1", event="e"), "a"]))
        assert served.body.startswith(PRELUDE + b"event: e\ndata: 1\n\n" + text("a"))

    run(test())


def test_events_are_copied_and_pickled() -> None:
    event = JSONServerSentEvent({"a": 1}, id="1", sep="\n")
    for other in (copy.copy(event), pickle.loads(pickle.dumps(event))):
        assert other.encode() == event.encode()
    event.data = ["changed"]
    assert b"data: ['changed']" in event.encode()


def test_events_are_hashable_and_themselves() -> None:
    one, other = ServerSentEvent("a"), ServerSentEvent("a")
    assert len({one, other, one}) == 2
    assert (one.data, one.event, one.id, one.retry, one.comment) == ("a", None, None, None, None)


@pytest.mark.parametrize("fields", [{"event": 5}, {"id": 1.5}, {"id": True}])
def test_names_that_are_no_text_are_refused_when_they_are_encoded(fields: dict[str, Any]) -> None:
    event = ServerSentEvent("d", **fields)
    with pytest.raises(TypeError, match="must be str"):
        event.encode()


def test_a_payload_that_json_does_not_know_is_refused_when_it_is_given() -> None:
    with pytest.raises(ValueError, match="JSON"):
        JSONServerSentEvent(float("nan"))
    with pytest.raises(TypeError):
        JSONServerSentEvent({1, 2})


@pytest.mark.parametrize("retry", ["5", 1.5])
def test_a_retry_that_is_no_int_is_refused_when_it_is_encoded(retry: Any) -> None:
    with pytest.raises(TypeError):
        ServerSentEvent("d", retry=retry).encode()


# ---- what goes wrong ----


@pytest.mark.parametrize("item", [{"unknown": 1}, {"data": "d", "retry": "5"}])
def test_an_item_that_cannot_be_written_is_raised_and_breaks_the_connection(item: Any) -> None:
    async def test() -> None:
        source, connection = Source("one", item, "two"), Connection()
        with pytest.raises(TypeError):
            await connection.serve(EventSourceResponse(source))
        assert connection.body == b"data: one\r\n\r\n"
        assert not connection.is_complete
        assert source.closed == 1

    run(test())


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (StreamError("busy", code="busy"), b'{"error":{"code":"busy","message":"busy"}}'),
        (ValueError("secret"), b'{"error":{"code":"internal","message":"internal error"}}'),
    ],
)
def test_an_error_of_the_source_is_sent_and_then_raised(
    error: Exception, told: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        connection = Connection()
        ran: list[int] = []
        background = BackgroundTask(ran.append, 1)
        response = EventSourceResponse(asynchronous("one", error), background=background)
        with pytest.raises(type(error)) as raised:
            await connection.serve(response)
        assert raised.value is error
        frame = b"event: error\r\ndata: " + told
        assert connection.body == b"data: one\r\n\r\n" + frame + b"\r\n\r\n"
        assert connection.is_complete
        assert not ran

    run(test())
    assert not caplog.records  # who catches it reports it


@pytest.mark.parametrize("late", [False, True], ids=["before the first item", "after it"])
def test_the_only_error_of_a_task_group_is_raised_without_its_group(late: bool) -> None:
    async def test() -> None:
        error = ValueError("secret")
        group = ExceptionGroup("outer", [ExceptionGroup("inner", [error])])
        items = ("one", group) if late else (group,)
        with pytest.raises(ValueError, match="secret") as raised:
            await Connection().serve(EventSourceResponse(asynchronous(*items)))
        assert raised.value is error

    run(test())


def test_an_error_before_the_first_item_is_a_status() -> None:
    async def test() -> None:
        connection = Connection()
        with pytest.raises(RuntimeError, match="secret"):
            await connection.serve(EventSourceResponse(asynchronous(RuntimeError("secret"))))
        assert connection.status == 500
        assert b"secret" not in connection.body
        busy = asynchronous(StreamError("busy", status=429))  # that is said to the client only
        assert (await Connection().serve(EventSourceResponse(busy))).status == 429

    run(test())


def test_wrong_arguments_are_refused_when_it_is_made() -> None:
    for wrong in (
        {"sep": "\n\n"},
        {"ping": -1},
        {"send_timeout": -1},
        {"cleanup_timeout": -1},
        {"status_code": 199},
        {"shutdown_grace_period": -1},
        {"shutdown_grace_period": float("nan")},
    ):
        with pytest.raises(FrameError, match=next(iter(wrong)).removesuffix("_code")):
            EventSourceResponse([], **wrong)
    for wrong in ({"ping": "1"}, {"shutdown_grace_period": None}, {"shutdown_event": object()}):
        with pytest.raises(TypeError, match=next(iter(wrong))):
            EventSourceResponse([], **wrong)
    with pytest.raises(NotImplementedError):
        EventSourceResponse([]).enable_compression()


def test_content_that_is_not_iterable_fails_when_it_is_sent() -> None:
    async def test() -> None:
        for content in (None, 5):
            connection = Connection()
            with pytest.raises(TypeError, match="iterable"):
                await connection.serve(EventSourceResponse(content))
            assert connection.status == 500

    run(test())
