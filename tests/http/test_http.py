"""What HTTP adds around a stream: headers, CORS, Last-Event-ID, the request to prepare from."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gaistream.errors import FrameError, StreamError
from gaistream.http import (
    CORS,
    MAX_BODY_BYTES,
    IncomingRequest,
    headers,
    last_event_id,
    merge_headers,
    too_large,
)

A, B = "https://a.example", "https://b.example"
METHODS = "GET, POST, OPTIONS"
STREAM = {
    "Cache-Control": "no-cache, no-store, must-revalidate, no-transform",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
}
ANYONE = {"Access-Control-Allow-Origin": "*"}
VARIES = {"Vary": "Origin"}
A_MAY = VARIES | {"Access-Control-Allow-Origin": A}
A_MAY_WITH_COOKIES = A_MAY | {"Access-Control-Allow-Credentials": "true"}


# ---- headers ----


@pytest.mark.parametrize(
    ("format_", "media_type"), [("sse", "text/event-stream"), ("ndjson", "application/x-ndjson")]
)
def test_a_stream_has_exactly_these_headers(format_: str, media_type: str) -> None:
    assert headers(format_) == {"Content-Type": media_type, **STREAM}
    assert headers(format_, None, "json") == headers(format_, cors=None, dialect="gai")


@pytest.mark.parametrize("format_", ["sse", "ndjson"])
@pytest.mark.parametrize("cors", [None, "*", A, (A, B), CORS((A,), credentials=True)])
def test_what_is_the_servers_business_is_never_among_them(format_: str, cors: Any) -> None:
    names = {name.lower() for name in headers(format_, cors, origin=A)}
    assert not names & {"connection", "transfer-encoding", "keep-alive", "content-length"}


@pytest.mark.parametrize("format_", ["", "SSE", "json", None])
def test_an_unknown_format_is_refused(format_: Any) -> None:
    with pytest.raises(FrameError, match="format must be 'sse' or 'ndjson'"):
        headers(format_)


@pytest.mark.parametrize(
    ("cors", "origin", "expected"),
    [
        (None, A, {}),
        ("*", None, ANYONE),
        ("*", A, ANYONE),
        (["*", A], A, ANYONE),
        (A, A, A_MAY),
        (A, B, VARIES),
        (A, None, VARIES),
        (A, A.upper(), VARIES),
        (A, "", VARIES),
        ([A, B], A, A_MAY),
        ((each for each in (B, A)), A, A_MAY),
        ({A}, "null", VARIES),
        ((), A, VARIES),
        (CORS((A, B)), A, A_MAY),
        (CORS((A, B), credentials=True), A, A_MAY_WITH_COOKIES),
        (CORS((A, B), credentials=True), "https://c.example", VARIES),
    ],
)
def test_only_an_allowed_origin_is_echoed_and_caches_are_told(
    cors: Any, origin: str | None, expected: dict[str, str]
) -> None:
    said = headers("sse", cors, origin=origin)
    assert said == {"Content-Type": "text/event-stream", **STREAM, **expected}


@pytest.mark.parametrize("origins", [("*",), (A, "*")])
def test_credentials_and_every_origin_exclude_each_other(origins: tuple[str, ...]) -> None:
    with pytest.raises(FrameError, match="name the origins"):
        CORS(origins, credentials=True)


NO_ORIGINS = ["", ["https://a.example\r\nX: y"], [None], b"ab", [A, ""], f"{A}/", "a.example",
              "HTTPS://A.EXAMPLE", True, 5]


@pytest.mark.parametrize("origins", NO_ORIGINS)
def test_what_is_no_origin_is_refused(origins: Any) -> None:
    with pytest.raises(FrameError, match=r"^cors must be '\*' or origins"):
        CORS.of(origins)


def test_an_origin_is_compared_whole() -> None:
    allowed = CORS("https://app.example.com", credentials=True)
    assert allowed == CORS(("https://app.example.com",), credentials=True)
    assert allowed.headers("https://app.example.co") == VARIES


def test_a_preflight_is_told_methods_and_headers_and_how_long_that_holds() -> None:
    told = {
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": (
            "Content-Type, Authorization, Last-Event-ID, Idempotency-Key, X-Idempotency-Key"
        ),
        "Access-Control-Max-Age": "600",
    }
    assert CORS(("*",)).preflight(A) == ANYONE | told
    assert CORS((A,), credentials=True).preflight(A) == A_MAY_WITH_COOKIES | told
    assert CORS((A,)).preflight(B) == VARIES | told


@pytest.mark.parametrize(
    ("base", "more", "merged"),
    [
        ({"A": "1"}, {}, {"A": "1"}),
        ({"A": "1"}, {"B": "2"}, {"A": "1", "B": "2"}),
        ({"Content-Type": "a"}, {"content-type": "b"}, {"Content-Type": "b"}),
        ({"Vary": "Origin"}, {"vary": "Cookie"}, {"Vary": "Origin, Cookie"}),
        ({}, {"Vary": "Cookie"}, {"Vary": "Cookie"}),
        ({}, {"X-A": "1", "x-a": "2"}, {"X-A": "2"}),
        ({}, {"Vary": "Accept", "vary": "Cookie"}, {"Vary": "Accept, Cookie"}),
    ],
)
def test_a_header_stands_once_however_it_is_written(
    base: dict[str, str], more: dict[str, str], merged: dict[str, str]
) -> None:
    before = dict(base)
    assert merge_headers(base, more) == merged
    assert base == before


# ---- Last-Event-ID ----

LONGEST = "x" * 64
EVENT_IDS = {
    "none": (None, "", None),
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
    "no UTF-8 in the query": (None, "last_event_id=%FF", None),
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
    said = [(b"host", b"x"), (b"Last-Event-ID", (header or "").encode("latin-1"))]
    scope = {
        "type": "http",
        "headers": said if header is not None else said[:1],
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


def test_a_scope_and_an_environ_without_anything_have_no_last_event_id() -> None:
    assert last_event_id({"type": "http"}) is None
    assert last_event_id({"REQUEST_METHOD": "GET"}) is None


# ---- the request to prepare from ----


def incoming(query: str = "", body: bytes = b"") -> IncomingRequest:
    async def read() -> bytes:
        if len(body) > MAX_BODY_BYTES:
            raise too_large()
        return body

    return request_reading(read, query)


def request_reading(read: Callable[[], Awaitable[bytes]], query: str = "") -> IncomingRequest:
    return IncomingRequest("POST", "/chat", query, {"accept": "*/*"}, "7", read)


def test_a_request_has_its_parts() -> None:
    request = incoming("q=caf%C3%A9+au+lait&empty=&q=tea")
    assert (request.method, request.path, request.last_event_id) == ("POST", "/chat", "7")
    assert request.headers == {"accept": "*/*"}
    assert request.query == {"q": "tea", "empty": ""}
    assert incoming("q=caf%C3%A9+au+lait").query["q"] == "café au lait"


def test_a_missing_parameter_is_the_clients_mistake_and_is_named() -> None:
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
def test_a_body_that_is_no_json_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError):
        asyncio.run(incoming(body=body).json())
