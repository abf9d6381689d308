"""The headers of streams: constant ones, CORS, and the caller's own."""

from __future__ import annotations

import re
from typing import Any

import pytest

from gaistream.errors import FrameError
from gaistream.http import CORS, headers
from gaistream.http.headers import merge_headers, stream_headers

A, B = "https://a.example", "https://b.example"
METHODS = "GET, POST, QUERY, OPTIONS"
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
def test_the_headers_of_a_stream(format_: str, media_type: str) -> None:
    assert headers(format_) == {"Content-Type": media_type, **STREAM}
    assert headers(format_, None, "json") == headers(format_, cors=None, dialect="gai")


def test_the_media_type_and_incremental_may_be_chosen() -> None:
    chosen = headers("ndjson", media_type="application/jsonl", incremental=True)
    expected = {"Content-Type": "application/jsonl", **STREAM, "Incremental": "?1"}
    assert chosen == expected
    more = {"content-type": "text/plain"}
    sent = stream_headers(
        "ndjson", None, "json", more, media_type="application/jsonl", incremental=True
    )
    assert sent.for_origin(None) == {**expected, "Content-Type": "text/plain"}


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"media_type": "jsonl"}, "media_type must be a type such as text/plain, not 'jsonl'"),
        ({"media_type": "text/plain\n"}, "media_type must be a type"),
        ({"media_type": "text/plain; "}, "media_type must be a type"),
        ({"media_type": "text/plain; a=\0"}, "media_type must be a type"),
        ({"media_type": "text/plain; a=€"}, "media_type must be a type"),
        ({"media_type": 5}, "media_type must be str, not int"),
        ({"incremental": "?1"}, "incremental must be bool, not str"),
        ({"incremental": 1}, "incremental must be bool, not int"),
    ],
)
def test_what_cannot_be_chosen_is_refused(chosen: Any, message: str) -> None:
    with pytest.raises(FrameError, match=re.escape(message)):
        headers("sse", **chosen)
    with pytest.raises(FrameError, match=re.escape(message)):
        stream_headers("sse", "*", "gai", None, **chosen)


@pytest.mark.parametrize("format_", ["sse", "ndjson"])
@pytest.mark.parametrize("cors", [None, "*", A, (A, B), CORS((A,), credentials=True)])
def test_headers_of_the_server_are_never_among_them(format_: str, cors: Any) -> None:
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
def test_only_an_allowed_origin_is_echoed_and_caches_learn_that(
    cors: Any, origin: str | None, expected: dict[str, str]
) -> None:
    assert headers("sse", cors, origin=origin) == {
        "Content-Type": "text/event-stream",
        **STREAM,
        **expected,
    }


@pytest.mark.parametrize("origins", [("*",), (A, "*")])
def test_credentials_need_named_origins(origins: tuple[str, ...]) -> None:
    with pytest.raises(FrameError, match="name the origins"):
        CORS(origins, credentials=True)


MALFORMED_ORIGINS = [
    "",
    ["https://a.example\r\nX: y"],
    [None],
    b"ab",
    [A, ""],
    f"{A}/",
    "a.example",
    "HTTPS://A.EXAMPLE",
    True,
    5,
]


@pytest.mark.parametrize("origins", MALFORMED_ORIGINS)
def test_a_malformed_origin_is_refused(origins: Any) -> None:
    with pytest.raises(FrameError, match=r"^cors must be '\*' or origins"):
        CORS.of(origins)


def test_an_origin_is_compared_whole() -> None:
    allowed = CORS("https://app.example.com", credentials=True)
    assert allowed == CORS(("https://app.example.com",), credentials=True)
    assert allowed.headers("https://app.example.co") == VARIES


def test_a_preflight_gets_methods_headers_and_a_maximum_age() -> None:
    permitted = {
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": (
            "Content-Type, Authorization, Last-Event-ID, Idempotency-Key, X-Idempotency-Key"
        ),
        "Access-Control-Max-Age": "600",
    }
    assert CORS(("*",)).preflight(A) == ANYONE | permitted
    assert CORS((A,), credentials=True).preflight(A) == A_MAY_WITH_COOKIES | permitted
    assert CORS((A,)).preflight(B) == VARIES | permitted


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
def test_a_header_stands_once_whatever_its_case(
    base: dict[str, str], more: dict[str, str], merged: dict[str, str]
) -> None:
    before = dict(base)
    assert merge_headers(base, more) == merged
    assert base == before


# ---- shared and encoded headers ----


def lines(given: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in given.items()]


@pytest.mark.parametrize("cors", [None, "*", A, (A, B), CORS((A, "*"))])
@pytest.mark.parametrize("origin", [None, A, "https://c.example"])
@pytest.mark.parametrize("more", [None, {"X-Mine": "1", "vary": "Cookie", "content-type": "x/y"}])
def test_the_headers_of_a_response(cors: Any, origin: str | None, more: Any) -> None:
    expected = merge_headers(headers("sse", cors, origin=origin), more or {})
    for shared in (stream_headers("sse", cors, "gai", more) for _ in range(2)):
        assert shared.for_origin(origin) == expected
        assert shared.lines(origin) == lines(expected)
        assert shared.depend_on_origin is (cors is not None and "*" not in CORS.of(cors).origins)


def test_headers_of_equal_settings_are_shared_and_those_of_the_caller_are_not() -> None:
    shared = stream_headers("sse", "*", "gai", None)
    assert stream_headers("sse", "*", "gai", {}) is shared
    assert stream_headers("sse", CORS(A), "gai", None) is stream_headers(
        "sse", CORS([A]), "gai", None
    )
    different: list[tuple[str, Any, str, Any]] = [
        ("ndjson", "*", "gai", None),
        ("sse", None, "gai", None),
        ("sse", "*", "json", None),
        ("sse", "*", "gai", {"X-Mine": "1"}),
    ]
    assert all(stream_headers(*each) is not shared for each in different)


def test_a_response_may_change_the_headers_that_it_got() -> None:
    shared = stream_headers("sse", "*", "gai", None)
    shared.for_origin(None)["X-Mine"] = "1"
    shared.lines(None).append((b"x-mine", b"1"))
    assert shared.for_origin(None) == headers("sse", "*")
    assert shared.lines(None) == lines(headers("sse", "*"))


def test_origins_of_strangers_take_no_memory() -> None:
    shared = stream_headers("sse", (A, B), "gai", None)
    for number in range(100):
        shared.for_origin(f"https://{number}.example")
        shared.for_origin(A)
    assert len(shared._known) <= 3  # those of A, of B if it was asked for, and of all others
