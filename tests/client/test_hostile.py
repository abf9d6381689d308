"""Hostile servers: the cost to the client is bounded, and every failure is a ClientError."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import threading
import tracemalloc

import pytest
from real_servers import SECONDS
from scripted_http import HEAD, scripted

from gaistream.client import (
    ClientError,
    ConnectionLost,
    ContentEncodingError,
    ReconnectPolicy,
    StatusError,
    aconnect_sse,
    connect_sse,
)

pytestmark = pytest.mark.usefixtures("http_library")
FAST = ReconnectPolicy(initial_delay=0.001, max_delay=0.002, max_attempts=1)
ONCE = ReconnectPolicy(max_attempts=0)
DONE = b"event: done\ndata: {}\n\n"
WHOLE = [("done", "{}")]


def read(url, **named):
    with connect_sse(url, **{"reconnect": FAST, **named}) as events:
        return [(event.event, event.data) for event in events]


def aread(url, **named):
    async def reading():
        async with aconnect_sse(url, **{"reconnect": FAST, **named}) as events:
            return [(event.event, event.data) async for event in events]

    return asyncio.run(reading())


faces = pytest.mark.parametrize("face", [read, aread])


# ---- compressed bodies ----


def coded(coding, body, head=HEAD):
    return head.replace(b"\r\n\r\n", b"\r\nContent-Encoding: %b\r\n\r\n" % coding) + body


BOMB = gzip.compress((b":" + b"x" * 65534 + b"\n") * 512)  # 32 MiB of comments
REFUSAL = HEAD.replace(b"200 OK", b"400 Bad Request")


@contextlib.contextmanager
def bounded():
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


@faces
@pytest.mark.parametrize("coding", [b"gzip", b"gzip, gzip", b"br", b"unheard-of"])
def test_a_coding_that_was_not_requested_is_refused_and_not_decompressed(face, coding):
    body = gzip.compress(BOMB)
    with scripted(coded(coding, body), coded(coding, body, REFUSAL)) as server, bounded():
        with pytest.raises(ContentEncodingError, match="was not asked for") as caught:
            face(server.url)
        assert (caught.value.status, caught.value.body) == (200, b"")
        with pytest.raises(StatusError, match="HTTP 400 Bad Request") as caught:
            face(server.url)
        assert caught.value.body == b""


@faces
def test_a_requested_coding_is_decompressed_in_bounded_memory(face):
    accepts_gzip = {"headers": {"accept-encoding": "gzip"}}
    with (
        scripted(
            coded(b"gzip", gzip.compress(DONE)),
            coded(b"gzip, gzip", gzip.compress(BOMB + gzip.compress(DONE))),
            coded(b"gzip", gzip.compress(b"why"), REFUSAL),
            coded(b"gzip, gzip", gzip.compress(BOMB), REFUSAL),
        ) as server,
        bounded(),
    ):
        assert face(server.url, **accepts_gzip) == WHOLE
        assert face(server.url, **accepts_gzip) == WHOLE
        with pytest.raises(StatusError, match="'why'"):
            face(server.url, **accepts_gzip)
        with pytest.raises(StatusError, match="':xxxx") as caught:
            face(server.url, **accepts_gzip)
        assert len(caught.value.body) == 2048
    assert {headers["accept-encoding"] for _, headers, _ in server.requests} == {"gzip"}


@faces
def test_a_compressed_body_that_is_cut_or_broken_is_a_cut(face):
    accepts_gzip = {"headers": {"accept-encoding": "gzip"}}
    one = gzip.compress(b"data: one\n\n" * 100)
    with scripted(coded(b"gzip", one[:-9]), coded(b"gzip", gzip.compress(DONE))) as server:
        assert face(server.url, **accepts_gzip)[-1:] == WHOLE
    with scripted(coded(b"gzip", b"oops" * 9)) as server:
        with pytest.raises(ConnectionLost, match="cannot be decompressed"):
            face(server.url, **accepts_gzip, reconnect=ONCE)


# ---- responses that never begin ----


def continues(connection):
    with contextlib.suppress(OSError):
        while True:
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


def stays_silent(connection):
    connection.recv(1)


@faces
@pytest.mark.parametrize("step", [continues, stays_silent])
def test_a_response_must_begin_in_time(face, step):
    with scripted(step) as server:
        with pytest.raises(ConnectionLost, match=r"no answer came within open_timeout=0\.5 s"):
            face(server.url, open_timeout=0.5, reconnect=ONCE)


def test_the_connection_of_a_late_response_is_reset():
    """A server that fills the client's receive window would wait for a minute otherwise."""
    client_done = threading.Event()
    resets = []

    def step(connection):
        try:
            connection.recv(1)  # until the client ends the connection
            assert client_done.wait(SECONDS)
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        except ConnectionError as error:
            resets.append(error)

    with scripted(step) as server:
        with pytest.raises(ConnectionLost, match="no answer came within"):
            read(server.url, open_timeout=0.1, reconnect=ONCE)
        client_done.set()
    assert len(resets) == 1


def test_a_response_to_a_callers_client_must_begin_in_time_too(http_library):
    with scripted(continues) as server, http_library.Client() as client:
        with pytest.raises(ConnectionLost, match="no answer came within"):
            read(server.url, client=client, open_timeout=0.5, reconnect=ONCE)
        assert not client.is_closed


@faces
def test_a_response_that_has_begun_is_not_limited_by_open_timeout(face):
    def step(connection):
        connection.sendall(HEAD)
        connection.settimeout(0.3)
        with contextlib.suppress(TimeoutError):
            connection.recv(1)
        connection.sendall(DONE)

    with scripted(step) as server:
        assert face(server.url, open_timeout=0.2) == WHOLE
    with scripted(HEAD + DONE) as server:
        assert face(server.url, open_timeout=None) == WHOLE


# ---- headers ----

TO_COME_BACK = [
    b"Mon, 01 Jan 2024 00:00:00 +99999999999999999999",
    b"Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
    b"9" * 400,
    b"nan",
]


@faces
@pytest.mark.parametrize("value", TO_COME_BACK)
def test_a_retry_after_beyond_every_clock_is_a_client_error(face, value):
    busy = b"HTTP/1.1 503 No\r\nRetry-After: %b\r\nContent-Length: 0\r\n\r\n" % value
    with scripted(busy) as server:
        with pytest.raises(StatusError, match="HTTP 503"):
            face(server.url, reconnect=ONCE)


@faces
@pytest.mark.parametrize(
    "location",
    [b"http://[", b"http://\xe2\x98\x83/", b"http://.../", b"http://xn--/", b"x" * 70_000,
     b"file:///etc/passwd", b"http://a:99999999/"],
)  # fmt: skip
def test_a_redirect_to_an_invalid_url_is_a_client_error(face, location):
    there = b"HTTP/1.1 302 F\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % location
    with scripted(there) as server:
        with pytest.raises(ClientError):
            face(server.url, redirects="any", reconnect=ONCE)


@faces
def test_a_cookie_that_no_header_can_carry_is_a_client_error(face):
    with scripted(HEAD.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=\xe9\r\n\r\n")) as server:
        with pytest.raises(ConnectionLost, match="UnicodeEncodeError"):
            face(server.url)


# ---- redirects to another origin ----

SECRETS = {
    "X-Api-Key": "secret", "Authorization": "Bearer secret", "Cookie": "session=secret",
    "User-Agent": "secret", "Accept": "text/event-stream;q=0.9",
}  # fmt: skip


def redirected(to, more=b""):
    return b"HTTP/1.1 307 T\r\nLocation: %b\r\n%bContent-Length: 0\r\n\r\n" % (to.encode(), more)


@faces
@pytest.mark.parametrize("own", [True, False])
def test_only_accept_body_and_the_responses_cookies_are_sent_to_another_origin(
    face, own, http_library
):
    named = {
        "headers": SECRETS,
        "params": {"key": "secret"},
        "json": {"a": 1},
        "auth": ("me", "secret"),
    }
    kind = http_library.Client if face is read else http_library.AsyncClient
    if not own:
        named["client"] = kind(cookies={"jar": "secret"}, headers={"X-Default": "secret"})
    with scripted(HEAD + DONE) as other:
        cookie = b"Set-Cookie: from=answer\r\n"
        with scripted(redirected(other.url, cookie)) as server:
            assert face(server.url, redirects="any", **named) == WHOLE
    ((first, headers, body),) = other.requests
    assert (first, body) == ("POST / HTTP/1.1", server.requests[0][2])
    assert "secret" not in str(other.requests)
    assert headers == {
        "host": other.url.split("/")[2], "accept": "text/event-stream;q=0.9",
        "accept-encoding": "identity", "content-type": "application/json",
        "content-length": str(len(body)), "cookie": "from=answer",
    }  # fmt: skip
    assert "secret" in str(server.requests)


@faces
def test_a_second_redirect_to_another_origin_sends_no_secrets_either(face):
    with scripted(HEAD + DONE) as last, scripted(redirected(last.url)) as middle:
        with scripted(redirected(middle.url)) as server:
            assert face(server.url, redirects="any", headers=SECRETS) == WHOLE
    assert "secret" not in str(middle.requests + last.requests)


@faces
def test_everything_is_sent_to_the_same_origin(face):
    here = redirected("/there").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with scripted(here, HEAD + DONE) as server:
        assert face(server.url, headers=SECRETS) == WHOLE
    assert {headers["x-api-key"] for _, headers, _ in server.requests} == {"secret"}


@faces
def test_a_resumed_stream_is_not_redirected_to_another_origin(face):
    with scripted(redirected("http://127.0.0.1:1/")) as server:
        with pytest.raises(StatusError, match="to which Last-Event-ID is not sent"):
            face(server.url, redirects="any", last_event_id="7")


# ---- ids ----


@faces
@pytest.mark.parametrize(("size", "again"), [(1024, True), (1025, False), (4_000_000, False)])
def test_an_id_above_1_kib_is_not_sent_back(face, size, again):
    id = b"i" * size
    first = HEAD + b"id: %b\ndata: x\n\n" % id
    if again:
        with scripted(first, HEAD + DONE) as server:
            assert face(server.url) == [("message", "x"), *WHOLE]
        assert server.ids == [None, id.decode()]
        return
    with scripted(first) as server:
        with pytest.raises(
            ConnectionLost, match=f"the last id has {size} bytes, and more than 1024"
        ):
            face(server.url)


def test_a_callers_id_above_1_kib_is_refused_at_once():
    connect_sse("http://here/", last_event_id="é" * 512)
    with pytest.raises(ValueError, match="last_event_id must have at most 1024 bytes, not 1026"):
        connect_sse("http://here/", last_event_id="é" * 513)
    with pytest.raises(ValueError, match="last_event_id must have"):
        connect_sse("http://here/", headers={"Last-Event-ID": "i" * 1025})


@faces
@pytest.mark.parametrize("empty", [b"id\ndata: b\n\n", b"id:\ndata: b\n\n", b"id: \n\n"])
def test_an_empty_id_clears_the_cursor_as_the_standard_says(face, empty):
    """HTML, 9.2.6: the buffer is set to the value, and an empty string is sent in no header."""
    with scripted(HEAD + b"id: 7\ndata: a\n\n" + empty, HEAD + DONE) as server:
        assert face(server.url)[-1:] == WHOLE
    assert server.ids == [None, None]


@faces
def test_a_post_is_not_repeated_once_its_id_was_cleared(face):
    with scripted(HEAD.replace(b"Connection: close", b"Content-Length: 99") + (
        b"id: 7\ndata: a\n\nid:\ndata: b\n\n"
    )) as server:  # fmt: skip
        with pytest.raises(ConnectionLost, match="a POST is not repeated"):
            face(server.url, json={})
