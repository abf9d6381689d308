"""The request that a handler prepares from: Last-Event-ID, query, body."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gaistream.errors import StreamError
from gaistream.http import IncomingRequest, last_event_id
from gaistream.http.request import MAX_BODY_BYTES, body_too_large

# ---- Last-Event-ID ----

LONGEST = "x" * 64
EVENT_IDS = {
    "missing": (None, "", None),
    "in the header": ("7", "", "7"),
    "in the query": (None, "a=b&last_event_id=8", "8"),
    "the header wins": ("7", "last_event_id=8", "7"),
    "a header that is refused wins too": ("\x80", "last_event_id=8", None),
    "the last of several in the query": (None, "last_event_id=1&last_event_id=2", "2"),
    "64 bytes": (LONGEST, "", LONGEST),
    "65 bytes": (LONGEST + "x", "", None),
    "64 bytes in the query": (None, "last_event_id=" + LONGEST, LONGEST),
    "65 bytes in the query": (None, "last_event_id=x" + LONGEST, None),
    "empty": ("", "", None),
    "empty in the query": (None, "last_event_id=", None),
    "a space within": ("a b", "", "a b"),
    "not ASCII": ("é", "", None),
    "not ASCII in the query": (None, "last_event_id=%C3%A9", None),
    "malformed UTF-8 in the query": (None, "last_event_id=%FF", None),
    "a tab": ("a\tb", "", None),
    "a line end in the query": (None, "last_event_id=a%0Ab", None),
    "NUL in the query": (None, "last_event_id=%00", None),
    "DEL": ("\x7f", "", None),
    "a plus is a space": (None, "last_event_id=a+b", "a b"),
}


@pytest.mark.parametrize(("header", "query", "found"), EVENT_IDS.values(), ids=EVENT_IDS.keys())
def test_the_last_event_id_of_an_asgi_scope(
    header: str | None, query: str, found: str | None
) -> None:
    lines = [(b"host", b"x"), (b"Last-Event-ID", (header or "").encode("latin-1"))]
    scope = {
        "type": "http",
        "headers": lines if header is not None else lines[:1],
        "query_string": query.encode(),
    }
    assert last_event_id(scope) == found


@pytest.mark.parametrize(("header", "query", "found"), EVENT_IDS.values(), ids=EVENT_IDS.keys())
def test_the_last_event_id_of_a_wsgi_environ(
    header: str | None, query: str, found: str | None
) -> None:
    environ = {"REQUEST_METHOD": "GET", "wsgi.version": (1, 0), "QUERY_STRING": query}
    if header is not None:
        environ["HTTP_LAST_EVENT_ID"] = header
    assert last_event_id(environ) == found


def test_an_empty_scope_or_environ_has_no_last_event_id() -> None:
    assert last_event_id({"type": "http"}) is None
    assert last_event_id({"REQUEST_METHOD": "GET"}) is None


# ---- the request to prepare from ----


def incoming(query: str = "", body: bytes = b"") -> IncomingRequest:
    async def read() -> bytes:
        if len(body) > MAX_BODY_BYTES:
            raise body_too_large()
        return body

    return request_reading(read, query)


def request_reading(read: Callable[[], Awaitable[bytes]], query: str = "") -> IncomingRequest:
    return IncomingRequest("POST", "/chat", query, {"accept": "*/*"}, "7", read)


def test_the_parts_of_a_request() -> None:
    request = incoming("q=caf%C3%A9+au+lait&empty=&q=tea")
    assert (request.method, request.path, request.last_event_id) == ("POST", "/chat", "7")
    assert request.headers == {"accept": "*/*"}
    assert request.query == {"q": "tea", "empty": ""}
    assert incoming("q=caf%C3%A9+au+lait").query["q"] == "café au lait"


def test_a_missing_parameter_is_400_and_named() -> None:
    request = incoming("a=b")
    with pytest.raises(StreamError, match="the query needs 'q'") as caught:
        request.query["q"]
    assert (caught.value.status, caught.value.code) == (400, "missing_input")
    assert request.query.get("q") is None
    assert "q" not in request.query


def test_a_body_is_read_once() -> None:
    reads = []

    async def read() -> bytes:
        reads.append(True)
        return b'{"a": [1, "\xc3\xa9"]}'

    async def use() -> None:
        request = request_reading(read)
        assert await request.body() == b'{"a": [1, "\xc3\xa9"]}'
        assert await request.json() == {"a": [1, "é"]}

    asyncio.run(use())
    assert reads == [True]


def test_a_body_beyond_the_limit_is_413() -> None:
    at_the_limit = incoming(body=b"x" * MAX_BODY_BYTES)
    assert len(asyncio.run(at_the_limit.body())) == MAX_BODY_BYTES
    with pytest.raises(StreamError, match="16777216 bytes") as caught:
        asyncio.run(incoming(body=b"x" * (MAX_BODY_BYTES + 1)).body())
    assert (caught.value.status, caught.value.code) == (413, "body_too_large")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"{]", b"NaN", b"1 2", b"\xff", b'"\xff"', b"{'a': 1}", b"[" * 100_000]
)
def test_a_malformed_body_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError):
        asyncio.run(incoming(body=body).json())
