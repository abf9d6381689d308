"""gaistream.client.httpx_sse beside httpx-sse: the same names, events and errors."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from required import need_package
from scripted_http import HEAD, scripted

from gaistream.client import httpx_sse, iter_events
from gaistream.errors import EventTooLarge

VECTORS = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "data" / "sse_cases.jsonl").read_text().splitlines()
]
LIBRARIES = pytest.mark.parametrize("library", [httpx, httpx2], ids=lambda each: each.__name__)
BODY = b"event: e\nid: 1\nretry: 5\ndata: a\ndata: b\n\n: ping\n\ndata: {}\n\ndata: cut"
EVENTS = [("e", "a\nb", "1", 5), ("message", "{}", "1", None)]


def fields(event: Any) -> tuple[str, str, str, int | None]:
    return event.event, event.data, event.id, event.retry


class Body(httpx.SyncByteStream):
    """A body in chunks of so many bytes."""

    def __init__(self, body: bytes, size: int) -> None:
        self._chunks = [body[at : at + size] for at in range(0, len(body), size)]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._chunks)


def read(package: Any, body: bytes, size: int = 4096) -> list[tuple[Any, ...]]:
    headers = {"content-type": "text/event-stream"}
    response = httpx.Response(200, headers=headers, stream=Body(body, size))
    return [fields(each) for each in package.EventSource(response).iter_sse()]


@LIBRARIES
def test_a_stream_is_read_over_a_connection(library: Any) -> None:
    with scripted(HEAD + BODY) as server, library.Client() as client:
        headers = {"X-Key": "k", "Accept": "*/*"}
        with httpx_sse.connect_sse(client, "POST", server.url, headers=headers, json={}) as source:
            assert source.response.status_code == 200
            events = list(source.iter_sse())
    assert [fields(each) for each in events] == EVENTS
    assert events[1].json() == {}
    line, received, body = server.requests[0]
    assert (line.split()[0], received["accept"]) == ("POST", "text/event-stream")
    assert (received["cache-control"], received["x-key"], body) == ("no-store", "k", b"{}")
    assert headers == {"X-Key": "k", "Accept": "*/*"}


@LIBRARIES
def test_a_stream_is_read_by_an_async_client(library: Any) -> None:
    async def main() -> list[Any]:
        async with library.AsyncClient() as client:
            async with httpx_sse.aconnect_sse(client, "GET", server.url) as source:
                return [fields(each) async for each in source.aiter_sse()]

    with scripted(HEAD + BODY) as server:
        assert asyncio.run(main()) == EVENTS


@LIBRARIES
def test_another_content_type_is_refused_as_an_error_of_the_clients_library(library: Any) -> None:
    page = HEAD.replace(b"text/event-stream", b"text/html") + b"<p>"
    with scripted(page) as server, library.Client() as client:
        with httpx_sse.connect_sse(client, "GET", server.url) as source:
            with pytest.raises(httpx_sse.SSEError, match="'text/event-stream', got 'text/html'"):
                next(source.iter_sse())
    assert issubclass(httpx_sse.SSEError, library.TransportError)


@pytest.mark.parametrize("size", [1, 4096])
@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case["name"])
def test_every_event_of_the_vectors_is_read(case: dict[str, Any], size: int) -> None:
    expected = [(each["event"], each["data"], each["id"]) for each in case["events"]]
    found = [event[:3] for event in read(httpx_sse, base64.b64decode(case["input_b64"]), size)]
    for each in expected:
        while found[0] != each:  # httpx-sse gives frames without data too
            assert found.pop(0)[1] == ""
        found.pop(0)
    assert all(data == "" for _, data, _ in found)


def test_more_of_the_vectors_than_by_httpx_sse_and_none_less() -> None:
    need_package("httpx_sse")
    import httpx_sse as peer

    def conforms(package: Any, case: dict[str, Any]) -> bool:
        expected = [(each["event"], each["data"], each["id"]) for each in case["events"]]
        body = base64.b64decode(case["input_b64"])
        with_data = {each[1] for each in expected}
        found = [each[:3] for each in read(package, body) if each[1] in with_data]
        return found == expected

    ours, theirs = ({c["name"] for c in VECTORS if conforms(p, c)} for p in (httpx_sse, peer))
    assert ours > theirs


@pytest.mark.parametrize(
    "body",
    [
        BODY,
        b"event: ping\n\n",
        b"retry: 10\n\n",
        b"id: 7\n\n",
        b"id: 7\ndata: a\n\nid\ndata: b\n\n",
        b"event:\n\n",
        b"id: a\0b\ndata: a\n\n",
        b"retry: x\n\ndata\ndata\n\n",
        "data: a\u2028b\r\n\r\ndata: ä\r\r".encode(),
        b": comment\n\n: comment\n\n",
    ],
)
def test_what_is_read_as_by_httpx_sse(body: bytes) -> None:
    need_package("httpx_sse")
    import httpx_sse as peer

    without_phantoms = [each for each in read(peer, body) if each != ("message", "", "1", None)]
    assert read(httpx_sse, body) == without_phantoms


@pytest.mark.parametrize(
    ("body", "theirs", "here"),
    [
        (b"\xef\xbb\xbfdata: a\n\n", [], [("message", "a", "", None)]),
        (
            b"id: 1\ndata: a\n\n: ping\n\n",
            [("message", "a", "1", None), ("message", "", "1", None)],
            [("message", "a", "1", None)],
        ),
        (b"retry: 1_0\ndata: a\n\n", [("message", "a", "", 10)], [("message", "a", "", None)]),
    ],
)
def test_what_is_read_otherwise(body: bytes, theirs: list[Any], here: list[Any]) -> None:
    need_package("httpx_sse")
    import httpx_sse as peer

    assert read(peer, body) == theirs
    assert read(httpx_sse, body) == here


def test_an_event_has_the_fields_and_the_repr_of_httpx_sses() -> None:
    event = httpx_sse.ServerSentEvent("e", "d", "i", 3)
    assert repr(event) == "ServerSentEvent(event='e', data='d', id='i', retry=3)"
    assert fields(httpx_sse.ServerSentEvent()) == ("message", "", "", None)
    with pytest.raises(json.JSONDecodeError):
        httpx_sse.ServerSentEvent().json()


@pytest.mark.parametrize(
    "make", [lambda n: b"data: " + b"x" * n, lambda n: b"data: x\n" * (n // 2)]
)
def test_an_event_beyond_the_limit_is_refused(
    make: Callable[[int], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(httpx_sse, "MAX_BYTES", 1000)
    with pytest.raises(EventTooLarge, match="1000"):
        read(httpx_sse, make(2000), 64)


def test_an_iteration_that_is_left_early_closes_the_body() -> None:
    closed = []

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"data: a\n\n"
            finally:
                closed.append(True)

    async def main() -> None:
        headers = {"content-type": "text/event-stream"}
        response = httpx.Response(200, headers=headers, stream=Endless())
        events = httpx_sse.EventSource(response).aiter_sse()
        assert (await anext(events)).data == "a"
        await events.aclose()
        await response.aclose()

    asyncio.run(main())
    assert closed


def test_sseclient_pys_events_are_read_by_iter_events_and_our_streams_by_sseclient_py() -> None:
    need_package("requests")
    need_package("sseclient")
    import requests
    import sseclient

    with scripted(HEAD + BODY) as server:
        response = requests.get(server.url, stream=True)
        theirs = [(each.event, each.data) for each in sseclient.SSEClient(response).events()]
        response.close()
    with scripted(HEAD + BODY) as server:
        with iter_events(requests.get(server.url, stream=True)) as events:
            ours = [(each.event, each.data) for each in events]
    assert ours == [each[:2] for each in EVENTS]
    assert theirs[: len(ours)] == ours  # then a frame that was cut
