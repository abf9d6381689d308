"""The migration guide's claims about the wire: both sides run, and are compared."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from importlib import resources
from typing import Any

import fastapi
import fastapi.sse
import pydantic
import pytest
import sse_starlette
from starlette.responses import StreamingResponse

import gaistream
from gaistream.frameworks import starlette as faces

GUIDE = resources.files("gaistream").joinpath("handbook/migration.md").read_text()


class Answer:
    """What an ASGI app answers to a GET."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    async def ask(self, app: Any) -> Answer:
        asked = False

        async def receive() -> Any:
            nonlocal asked
            if not asked:
                asked = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await asyncio.Event().wait()
            return None

        async def send(message: Any) -> None:
            self.sent.append(message)

        scope = {
            "type": "http", "method": "GET", "path": "/", "raw_path": b"/", "root_path": "",
            "headers": [], "query_string": b"", "http_version": "1.1", "scheme": "http",
            "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1), "asgi": {"version": "3.0"},
        }  # fmt: skip
        await app(scope, receive, send)
        return self

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def events(self) -> list[tuple[str, str, str | None]]:
        return [
            (event.event, event.data or "", event.id or None)
            for event in gaistream.SSEDecoder().feed(self.body)
        ]


def answer(app: Any) -> Answer:
    async def main() -> Answer:
        return await asyncio.wait_for(Answer().ask(app), 20)

    return asyncio.run(main())


class Item(pydantic.BaseModel):
    name: str


OURS = {
    "content-type": "text/event-stream",
    "cache-control": "no-cache, no-store, must-revalidate, no-transform",
    "x-accel-buffering": "no",
    "x-content-type-options": "nosniff",
}


def test_what_sse_starlette_sends_stays_the_same_message_by_message() -> None:
    async def numbers() -> AsyncIterator[Any]:
        yield {"data": "1", "event": "number", "id": "1"}
        yield {"data": "two\nlines", "id": "2"}
        yield "plain"

    theirs = answer(sse_starlette.EventSourceResponse(numbers()))
    ours = answer(faces.EventSourceResponse(numbers()))
    assert ours.sent == theirs.sent
    assert len(ours.sent) == 5


@pytest.mark.parametrize("field", ["event", "id"])
def test_a_line_break_in_a_name_or_id_forges_nothing_on_either_side(field: str) -> None:
    async def source() -> AsyncIterator[Any]:
        yield {"data": "a"}
        yield {"data": "b", field: "x\n\ndata: forged"}

    theirs, ours = (
        answer(response(source()))
        for response in (sse_starlette.EventSourceResponse, faces.EventSourceResponse)
    )
    assert ours.events == theirs.events
    assert [data for _, data, _ in ours.events] == ["a", "b"]


def test_the_data_of_fastapis_own_events_stays_the_same() -> None:
    async def items() -> AsyncIterator[Item]:
        yield Item(name="a")
        yield Item(name="ü")

    native, face = fastapi.FastAPI(), fastapi.FastAPI()
    native.get("/", response_class=fastapi.sse.EventSourceResponse)(items)

    @face.get("/")
    async def endpoint() -> faces.SSEResponse:
        return faces.SSEResponse(items(), dialect="json")

    theirs, ours = answer(native), answer(face)
    assert ours.events == theirs.events == [
        ("message", '{"name":"a"}', None),
        ("message", '{"name":"ü"}', None),
    ]  # fmt: skip
    assert ours.body.startswith(b":\n\n")
    assert ours.headers == OURS


def test_fastapis_data_is_json_and_ours_is_text() -> None:
    async def theirs() -> AsyncIterator[Any]:
        yield fastapi.sse.ServerSentEvent(data="hello")
        yield fastapi.sse.ServerSentEvent(raw_data="hello")

    async def ours() -> AsyncIterator[Any]:
        yield gaistream.ServerSentEvent('"hello"')
        yield gaistream.ServerSentEvent("hello")

    native = fastapi.FastAPI()
    native.get("/", response_class=fastapi.sse.EventSourceResponse)(theirs)
    end = ("done", '{"finished":true}', None)
    assert answer(faces.SSEResponse(ours())).events == [*answer(native).events, end]


def test_frames_of_ones_own_pass_unchanged_as_bytes() -> None:
    frames = [b'data: {"text": "a"}\n\n', b"data: [DONE]\n\n"]

    async def source() -> AsyncIterator[bytes]:
        for frame in frames:
            yield frame

    theirs = answer(StreamingResponse(source(), media_type="text/event-stream"))
    ours = answer(faces.EventSourceResponse(source()))
    assert ours.body == theirs.body
    with_end = answer(faces.SSEResponse(source()))
    assert with_end.events == [*theirs.events, ("done", '{"finished":true}', None)]


def of_starlette(source: Any) -> Any:
    return sse_starlette.EventSourceResponse(source())


def of_fastapi(source: Any) -> Any:
    app = fastapi.FastAPI()
    app.get("/", response_class=fastapi.sse.EventSourceResponse)(source)
    return app


async def failing() -> AsyncIterator[Any]:
    yield {"data": "a"}
    for _ in range(50):  # until the first event has been sent
        await asyncio.sleep(0)
    raise RuntimeError("no room")


async def failing_at_once() -> AsyncIterator[Any]:
    raise RuntimeError("no room")
    yield


@pytest.mark.parametrize("source", [failing, failing_at_once])
def test_a_failure_breaks_their_connection_and_is_an_answer_here(source: Any) -> None:
    for adapt in (of_starlette, of_fastapi):
        served = Answer()
        with pytest.raises(Exception):  # RuntimeError, or a group with it
            asyncio.run(served.ask(adapt(source)))
        assert served.sent[0]["status"] == 200
        looks_whole = served.sent[-1].get("more_body") is False
        assert looks_whole is (source is failing and adapt is of_fastapi)
    ours = answer(faces.SSEResponse(source(), dialect="raw"))
    if source is failing:
        assert [name for name, *_ in ours.events] == ["message", "error"]
    else:
        assert ours.sent[0]["status"] == 500


def test_onmessage_gets_json_and_no_event_of_the_default_protocol() -> None:
    async def source() -> AsyncIterator[Any]:
        yield {"type": "text_delta", "text": "a"}

    named = answer(faces.SSEResponse(source())).events
    assert [name for name, *_ in named] == ["text_delta", "done"]
    plain = answer(faces.SSEResponse(source(), dialect="json")).events
    assert [name for name, *_ in plain] == ["message"]


def test_the_guide_names_every_argument_of_sse_starlettes_response() -> None:
    import inspect

    known = set(inspect.signature(sse_starlette.EventSourceResponse.__init__).parameters)
    taken = set(inspect.signature(faces.EventSourceResponse.__init__).parameters)
    assert known == taken
    said = set(re.findall(r"`(\w+)", GUIDE))
    assert known - {"self"} <= said
