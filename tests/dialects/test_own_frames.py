"""People's own frames: the dialects "raw" and "json", and None, wherever a source goes."""

from __future__ import annotations

import asyncio
import re
from types import ModuleType
from typing import Any

import pytest
from frames import DONE, PRELUDE, said
from scripted_asgi import Connection

ERROR_SSE = b'event: error\nretry: 5000\ndata: {"error":"internal error","code":"internal"}\n\n'
ERROR_NDJSON = b'{"type":"error","error":"internal error","code":"internal"}\n'

# What a source yields with dialect="raw", and the SSE and NDJSON of it.
RAW = {
    "str": (lambda gs: '{"a":1}', b'data: {"a":1}\n\n', b'{"a":1}\n'),
    "a word": (lambda gs: "[DONE]", b"data: [DONE]\n\n", b"[DONE]\n"),
    "a str with its line end": (lambda gs: "1\r\n", b"data: 1\ndata: \n\n", b"1\n"),
    "bytes": (lambda gs: b": x\n\n", b": x\n\n", b": x\n\n"),
    "bytes without their line end": (lambda gs: b"1\n2", b"1\n2", b"1\n2\n"),
    "no bytes": (lambda gs: b"", b"", b""),
    "an event": (lambda gs: gs.ServerSentEvent("1", id=7), b"id: 7\ndata: 1\n\n", b"1\n"),
    "a named event": (
        lambda gs: gs.ServerSentEvent("1", "tick"),
        b"event: tick\ndata: 1\n\n",
        b'{"type":"tick","data":"1"}\n',
    ),
    "a named event of a payload": (
        lambda gs: gs.ServerSentEvent(json={"a": [1]}, event="tick", retry=5),
        b'event: tick\nretry: 5\ndata: {"a":[1]}\n\n',
        b'{"type":"tick","a":[1]}\n',
    ),
    "an event of a payload": (
        lambda gs: gs.ServerSentEvent(json=[None]), b"data: [null]\n\n", b"[null]\n"
    ),
    "an event without data": (
        lambda gs: gs.ServerSentEvent(event="end"),
        b"event: end\n\n",
        b'{"type":"end","data":null}\n',
    ),
    "a comment": (lambda gs: gs.ServerSentEvent(comment="c"), b": c\n\n", b""),
    "None": (lambda gs: None, b"", b""),
}  # fmt: skip
DICTS = {
    "fields": (
        {"data": "a\nb", "event": "e", "id": 1, "retry": 2, "comment": "c"},
        b": c\nid: 1\nevent: e\nretry: 2\ndata: a\ndata: b\n\n",
    ),
    "data": ({"data": b"a"}, b"data: a\n\n"),
    "a payload": ({"json": None, "event": "e"}, b"event: e\ndata: null\n\n"),
}


@pytest.mark.parametrize("case", RAW.values(), ids=RAW.keys())
def test_an_item_of_a_raw_source_is_a_frame(gs: ModuleType, case: Any) -> None:
    make, sse, ndjson = case
    for kind, expected in ((gs.SSEEncoder, sse), (gs.NDJSONEncoder, ndjson)):
        encoder = kind(dialect="raw")
        encoder.write(make(gs))
        assert encoder.take() == expected
        encoder.finish()
        assert (encoder.ended, encoder.failed, encoder.take()) == (True, False, b"")


@pytest.mark.parametrize("case", DICTS.values(), ids=DICTS.keys())
def test_a_raw_dict_holds_the_fields_of_a_frame_and_is_one_value_in_ndjson(
    gs: ModuleType, case: Any
) -> None:
    fields, frame = case
    assert gs.encode_events([fields], dialect="raw") == frame
    values = [{"data": 1, "any": [None]}, {"type": "done"}]
    lines = b'{"data":1,"any":[null]}\n{"type":"done"}\n'
    assert gs.encode_events(values, "ndjson", "raw") == lines


OWN = '; for your own JSON objects pass dialect="json"'
WRONG = {
    "a payload": ({"text": "a"}, "EventError", f"json), not 'text'{OWN}"),
    "no name": ({5: "a"}, "EventError", f"json), not 5{OWN}"),
    "an object as data": (
        {"data": {"a": 1}},
        "FrameTypeError",
        "data must be str or bytes, not dict: a payload is the field json",
    ),
    "no field": ({}, "FrameError", "a frame needs data, json, event, id, retry or comment"),
    "a number": (5, "EventError", f"str, dicts of fields, ServerSentEvent or bytes{OWN}"),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG.keys())
def test_an_item_that_is_not_a_frame_is_named_with_the_mend(gs: ModuleType, case: Any) -> None:
    item, kind, message = case
    encoder = gs.SSEEncoder(dialect="raw")
    with pytest.raises(getattr(gs.errors, kind), match=f"{re.escape(message)}$"):
        encoder.write(item)
    assert encoder.pending == 0


def test_raw_lines_are_lines(gs: ModuleType) -> None:
    for item, kind in (("a\nb", "FrameError"), (5, "EventError"), (["a"], "EventError")):
        with pytest.raises(getattr(gs.errors, kind)):
            gs.encode_events([item], "ndjson", "raw")
    for event in (gs.events.TextDelta("a"), gs.events.Done()):
        for form in ("sse", "ndjson"):
            with pytest.raises(gs.errors.EventError, match="is no frame"):
                gs.encode_events([event], form, "raw")


def test_the_json_dialect_passes_frames(gs: ModuleType) -> None:
    items = [{"a": 1}, gs.ServerSentEvent("[DONE]", id="x"), b": ready\n\n", None]
    items.append(gs.ServerSentEvent(json={"b": 2}, event="tick"))
    assert gs.encode_events(items, dialect="json") == (
        b'data: {"a":1}\n\nid: x\ndata: [DONE]\n\n: ready\n\ndata: null\n\n'
        b'event: tick\ndata: {"b":2}\n\n'
    )
    lines = gs.encode_events([{"a": 1}, b"2\n", None, *items[-1:]], "ndjson", "json")
    assert lines == b'{"a":1}\n2\nnull\n{"type":"tick","b":2}\n'


def test_a_payload_in_an_event_is_the_line_of_the_default_protocol_too(gs: ModuleType) -> None:
    event = gs.ServerSentEvent(json={"b": 2}, event="tick")
    assert gs.encode_events([event], "ndjson") == b'{"type":"tick","b":2}\n'


# ---- None ----


def test_none_is_a_payload_and_not_an_event(gs: ModuleType) -> None:
    for form in ("sse", "ndjson"):
        assert gs.encode_events([None, "a", None], form) == gs.encode_events(["a"], form)
        assert gs.encode_events([None], form, "raw") == b""
    assert gs.encode_events([None], dialect="json") == b"data: null\n\n"


def test_an_error_is_still_the_last_event_when_none_follows(gs: ModuleType) -> None:
    encoder = gs.SSEEncoder()
    encoder.write_many([gs.events.Error("e"), None])
    assert encoder.failed
    encoder.write("a")
    assert not encoder.failed


def last_delta_is_none(gs: ModuleType) -> Any:
    yield None
    yield "a"
    yield None


def test_none_is_skipped_and_not_counted(gs: ModuleType) -> None:
    async def source() -> Any:
        for item in last_delta_is_none(gs):
            yield item

    async def whole() -> bytes:
        return b"".join([chunk async for chunk in gs.sse(source())])

    assert asyncio.run(whole()) == PRELUDE + said("a") + DONE
    assert list(gs.sse(last_delta_is_none(gs))) == [PRELUDE + said("a"), DONE]
    outcomes: list[Any] = []
    response = gs.asgi.SSEResponse(source(), on_close=outcomes.append)
    asyncio.run(Connection().serve(response))
    assert [outcome.events for outcome in outcomes] == [1]


# ---- everywhere ----


def failing_frames(gs: ModuleType) -> Any:
    yield gs.ServerSentEvent(json={"a": 1}, event="tick")
    yield "[DONE]"
    raise ValueError("hidden")


SSE = b'event: tick\ndata: {"a":1}\n\ndata: [DONE]\n\n' + ERROR_SSE
NDJSON = b'{"type":"tick","a":1}\n[DONE]\n' + ERROR_NDJSON


def test_iterators_responses_and_writers_take_raw_frames(gs: ModuleType) -> None:
    async def source() -> Any:
        for item in failing_frames(gs):
            yield item

    async def whole(chunks: Any) -> bytes:
        return b"".join([chunk async for chunk in chunks])

    for name, prelude, expected in (("sse", PRELUDE, SSE), ("ndjson", b"", NDJSON)):
        stream = getattr(gs, name)
        assert asyncio.run(whole(stream(source(), dialect="raw"))) == prelude + expected
        assert b"".join(stream(failing_frames(gs), dialect="raw")) == prelude + expected
    for interface in ("SSEResponse", "NDJSONResponse"):
        expected = PRELUDE + SSE if interface == "SSEResponse" else NDJSON
        response = getattr(gs.asgi, interface)(source(), dialect="raw")
        served = asyncio.run(Connection().serve(response))
        assert (served.status, served.body) == (200, expected)
        body = getattr(gs.wsgi, interface)(failing_frames(gs), dialect="raw")
        assert b"".join(body({"REQUEST_METHOD": "GET"}, lambda *_: None)) == expected
    for writer, expected in (("SSEWriter", SSE), ("NDJSONWriter", NDJSON)):
        out: list[bytes] = []
        with (
            pytest.raises(ValueError, match="hidden"),
            getattr(gs, writer)(out.append, dialect="raw") as into,
        ):
            into.write_many(failing_frames(gs))
        assert b"".join(out) == expected


def test_the_faces_take_raw_frames() -> None:
    import gaistream
    from gaistream.frameworks.starlette import NDJSONResponse, SSEResponse

    async def source() -> Any:
        for item in failing_frames(gaistream):
            yield item

    for face, expected in ((SSEResponse, PRELUDE + SSE), (NDJSONResponse, NDJSON)):
        served = asyncio.run(Connection().serve(face(source(), dialect="raw")))
        assert (served.status, served.body) == (200, expected)


def test_a_handler_streams_raw_frames(gs: ModuleType) -> None:
    class Provider:
        async def stream_text(self, _: Any) -> Any:
            yield {"event": "tick", "data": "1"}

    handler = gs.asgi.sse_handler(Provider(), lambda request: request, dialect="raw")
    served = asyncio.run(Connection().serve(handler))
    assert served.body == PRELUDE + b"id: 1\nevent: tick\ndata: 1\n\n"
    with pytest.raises(gs.errors.FrameError, match="dialect must be 'gai' or 'json' or 'raw'"):
        gs.asgi.sse_handler(Provider(), lambda request: request, dialect="own")
