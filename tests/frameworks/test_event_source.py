"""What stands in for sse-starlette: its frames, its arguments, and where it is different."""

from __future__ import annotations

import json
from typing import Any

import pytest
from scripted_asgi import END, PRELUDE, Connection, Source, asynchronous, run, text

import gaistream
from gaistream import SSEDecoder, StreamError
from gaistream.errors import EventError, FrameError

pytest.importorskip("starlette", reason="Starlette is not installed")


from gaistream.frameworks.starlette import (
    EventSourceResponse,
    JSONServerSentEvent,
    ServerSentEvent,
    SSEResponse,
)


async def body_of(*items: Any, **settings: Any) -> bytes:
    served = await Connection().serve(EventSourceResponse(asynchronous(*items), **settings))
    assert served.sent[-1] == END
    assert served.body.startswith(PRELUDE)
    return served.body.removeprefix(PRELUDE)


# ---- frames ----

FRAMES = [
    ("text", b"data: text\n\n"),
    ("two\r\nlines", b"data: two\ndata: lines\n\n"),
    ("", b"data: \n\n"),
    (7, b"data: 7\n\n"),
    (1.5, b"data: 1.5\n\n"),
    (None, b"data: None\n\n"),
    ([1], b"data: [1]\n\n"),
    (b"event: raw\r\n\r\n", b"event: raw\r\n\r\n"),
    (memoryview(b"data: view\n\n"), b"data: view\n\n"),
    ({"data": "d"}, b"data: d\n\n"),
    ({"data": {"a": 1}}, b"data: {'a': 1}\n\n"),
    (
        {"data": "d", "event": "e", "id": "i", "retry": 5, "comment": "c", "sep": "\n"},
        b": c\nid: i\nevent: e\nretry: 5\ndata: d\n\n",
    ),
    ({"event": "a\r\nb", "id": "c\nd\0"}, b"id: cd\nevent: ab\n\n"),
    ({"comment": "hush"}, b": hush\n\n"),
    ({"retry": 5}, b"retry: 5\n"),
    ({}, b""),
    (ServerSentEvent(0, event="e", sep="\r"), b"event: e\ndata: 0\n\n"),
    (ServerSentEvent(), b""),
    (ServerSentEvent("d", id=3), b"id: 3\ndata: d\n\n"),
    (gaistream.ServerSentEvent("d", "e"), b"event: e\ndata: d\n\n"),
    (JSONServerSentEvent({"ä": [1, None]}, id="1"), 'id: 1\ndata: {"ä":[1,null]}\n\n'.encode()),
    (JSONServerSentEvent(), b""),
    (JSONServerSentEvent(float("nan")), b"data: null\n\n"),
]


@pytest.mark.parametrize(("item", "frame"), FRAMES)
def test_an_item_is_framed_as_there_in_our_bytes(item: Any, frame: bytes) -> None:
    async def test() -> None:
        assert await body_of(item) == frame
        if isinstance(item, ServerSentEvent):
            assert item.encode() == frame

    run(test())


def test_clients_read_what_sse_starlette_would_have_them_read() -> None:
    theirs = pytest.importorskip("sse_starlette.event", reason="sse-starlette is not installed")
    dicts = [
        {"data": "d", "event": "e", "id": "i", "retry": 5, "comment": "c"},
        {"data": "two\rlines\r\n", "id": "line\nend"},
        {"data": 0, "event": "\u2028"},
        {"event": "only"},
        {"comment": "one\ntwo"},
        {"data": "after"},
        {},
    ]
    payloads = [{"a": "ä\u2028"}, [], 0, "s", None]

    def items(event: Any, json_event: Any) -> list[Any]:
        return [
            *dicts,
            *(event(**fields) for fields in dicts),
            *(json_event(payload, event="json") for payload in payloads),
            "s", 1, None, b"data: raw\n\n",
        ]

    def read(frames: bytes) -> list[Any]:
        return [
            json.loads(each.data) if each.event == "json" and each.data else each
            for each in SSEDecoder().feed(frames)
        ]

    async def test() -> None:
        ours = await body_of(*items(ServerSentEvent, JSONServerSentEvent))
        expected = items(theirs.ServerSentEvent, theirs.JSONServerSentEvent)
        expected = b"".join(theirs.ensure_bytes(each, "\r\n") for each in expected)
        assert read(ours) == read(expected)

    run(test())


def test_events_are_what_sses_own_response_takes_too() -> None:
    async def test() -> None:
        served = await Connection().serve(SSEResponse([ServerSentEvent(1, event="e"), "a"]))
        assert served.body.startswith(PRELUDE + b"event: e\ndata: 1\n\n" + text("a"))

    run(test())


def test_events_are_hashable_and_themselves() -> None:
    one, other = ServerSentEvent("a"), ServerSentEvent("a")
    assert len({one, other, one}) == 2
    assert (one.data, one.event, one.id, one.retry, one.comment) == ("a", None, None, None, None)


@pytest.mark.parametrize("fields", [{"event": 5}, {"id": 1.5}, {"id": True}])
def test_names_that_are_no_text_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        ServerSentEvent("d", **fields)


@pytest.mark.parametrize("retry", ["5", True, 1.5])
def test_a_retry_that_is_no_int_is_refused_when_it_is_encoded(retry: Any) -> None:
    with pytest.raises(TypeError):
        ServerSentEvent("d", retry=retry).encode()


# ---- what goes wrong ----


@pytest.mark.parametrize("item", [{"unknown": 1}, {"data": "d", "retry": "5"}])
def test_an_item_that_cannot_be_written_ends_the_stream_and_closes_the_source(item: Any) -> None:
    async def test() -> None:
        source = Source("one", item, "two")
        served = await Connection().serve(EventSourceResponse(source))
        assert served.body.startswith(PRELUDE + b"data: one\n\nevent: error\n")
        assert b"internal error" in served.body
        assert b"two" not in served.body
        assert source.closed == 1

    run(test())


def test_an_error_after_the_first_event_is_said_and_before_it_is_a_status() -> None:
    async def test() -> None:
        body = await body_of("one", StreamError("busy", code="busy"))
        frame = b'event: error\nretry: 5000\ndata: {"error":{"code":"busy","message":"busy"}}\n\n'
        assert body == b"data: one\n\n" + frame
        response = EventSourceResponse(asynchronous(RuntimeError("secret")))
        served = await Connection().serve(response)
        assert served.status == 500
        assert b"secret" not in served.body

    run(test())


def test_wrong_arguments_are_refused_when_it_is_made() -> None:
    for wrong in (
        {"sep": "\n\n"},
        {"ping": -1},
        {"send_timeout": -1},
        {"cleanup_timeout": -1},
        {"status_code": 199},
        {"shutdown_grace_period": -1},
        {"shutdown_grace_period": float("inf")},
    ):
        with pytest.raises(FrameError, match=next(iter(wrong)).removesuffix("_code")):
            EventSourceResponse([], **wrong)
    for wrong in ({"ping": "1"}, {"shutdown_grace_period": None}, {"shutdown_event": object()}):
        with pytest.raises(TypeError, match=next(iter(wrong))):
            EventSourceResponse([], **wrong)
    with pytest.raises(EventError):
        EventSourceResponse(None)
    with pytest.raises(NotImplementedError):
        EventSourceResponse([]).enable_compression()


def test_json_data_is_text() -> None:
    event = JSONServerSentEvent({"a": 1}, event="e")
    assert json.loads(event.data) == {"a": 1}
