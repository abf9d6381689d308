"""Both event sources over real sockets: their requests, their events, and their ends."""

from __future__ import annotations

import asyncio
import ssl
import threading

import pytest
from real_servers import SECONDS, open_files
from required import need_package
from scripted_http import HEAD, cut, reset, scripted, stalled

from gaistream.client import (
    ConnectionLost,
    ContentTypeError,
    Reconnecting,
    ReconnectPolicy,
    StatusError,
    aconnect_sse,
    connect_sse,
)
from gaistream.errors import EventTooLarge

pytestmark = pytest.mark.usefixtures("http_library")
FAST = ReconnectPolicy(initial_delay=0.001, max_delay=0.002, max_attempts=3)
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
ONE, TWO = b"id: 1\ndata: a\n\n", b"id: 2\ndata: b\n\n"
DONE = b"id: 3\nevent: done\ndata: {}\n\n"


def read(url, **named):
    with connect_sse(url, **{"reconnect": FAST, **named}) as events:
        return [(event.id, event.data) for event in events]


def aread(url, **named):
    async def reading():
        async with aconnect_sse(url, **{"reconnect": FAST, **named}) as events:
            return [(event.id, event.data) async for event in events]

    return asyncio.run(reading())


faces = pytest.mark.parametrize("face", [read, aread])


@faces
@pytest.mark.parametrize("lose", [cut, lambda data: HEAD + data, lambda data: reset(HEAD + data)])
def test_it_resumes_after_a_cut_an_end_and_a_reset(face, lose):
    notices = []
    with scripted(lose(ONE), lose(TWO), HEAD + DONE) as server:
        received = face(server.url, on_reconnect=notices.append)
    assert received == [("1", "a"), ("2", "b"), ("3", "{}")]
    assert server.ids == [None, "1", "2"]
    assert [(type(each), each.last_event_id) for each in notices] == [
        (Reconnecting, "1"),
        (Reconnecting, "2"),
    ]


@faces
@pytest.mark.parametrize("data", [TWO[:2], TWO[:-2], TWO[:-1]])
def test_an_incomplete_frame_before_a_reset_is_dropped(face, data):
    with scripted(reset(HEAD + ONE + data), HEAD + TWO + DONE) as server:
        assert face(server.url) == [("1", "a"), ("2", "b"), ("3", "{}")]
    assert server.ids == [None, "1"]


@faces
def test_a_cut_is_retried_even_while_the_caller_handles_a_certificate_error(face):
    with scripted(cut(ONE), HEAD + DONE) as server:
        try:
            raise ssl.SSLCertVerificationError
        except ssl.SSLCertVerificationError:
            assert face(server.url) == [("1", "a"), ("3", "{}")]


@faces
def test_status_204_ends_the_stream_without_an_error(face):
    with scripted(HEAD + ONE, NO_CONTENT) as server:
        assert face(server.url) == [("1", "a")]


@faces
def test_a_post_is_repeated_with_its_body_after_an_id_was_read(face):
    with scripted(cut(ONE), HEAD + DONE) as server:
        face(server.url, json={"ask": "why"}, headers={"X-Key": "k"}, auth=("me", "secret"))
    assert {(first, body) for first, _, body in server.requests} == {
        ("POST / HTTP/1.1", b'{"ask":"why"}')
    }
    assert {(headers["x-key"], headers["authorization"]) for _, headers, _ in server.requests} == {
        ("k", "Basic bWU6c2VjcmV0")
    }


@faces
def test_a_post_without_an_id_is_not_repeated(face):
    with scripted(cut(b"data: a\n\n")) as server:
        with pytest.raises(ConnectionLost, match="a POST is not repeated"):
            face(server.url, content=b"pay")


@faces
def test_errors_of_refusals_have_status_type_and_body(face):
    busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\nRetry-After: 0\r\n\r\nbusy"
    with scripted(busy, HEAD + DONE) as server:
        assert face(server.url) == [("3", "{}")]
    with scripted(b"HTTP/1.1 401 No\r\nContent-Length: 3\r\n\r\nwho") as server:
        with pytest.raises(StatusError, match=r"HTTP 401 Unauthorized.*'who'") as caught:
            face(server.url)
    assert caught.value.status == 401
    with scripted(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n"
    ) as server:
        with pytest.raises(ContentTypeError, match="text/html, not text/event-stream"):
            face(server.url)


@faces
def test_it_gives_up_if_no_server_listens(face):
    with scripted() as server:
        pass
    with pytest.raises(ConnectionLost, match="gave up after max_attempts=3"):
        face(server.url)


@faces
def test_a_silent_stream_is_lost_and_resumed(face):
    with scripted(stalled(HEAD + ONE), HEAD + DONE) as server:
        assert face(server.url, read_timeout=0.2) == [("1", "a"), ("3", "{}")]
    assert server.ids == [None, "1"]


def test_another_thread_closes_a_read_that_blocks():
    before = open_files()
    with scripted(stalled(HEAD + ONE)) as server:
        with connect_sse(server.url, read_timeout=None) as events:
            assert (next(events).data, events.state) == ("a", "open")
            closing = threading.Timer(0.05, events.close)
            closing.start()
            assert list(events) == []
            assert events.state == "closed"
            closing.join(SECONDS)
    assert open_files() == before


def test_another_thread_ends_the_wait_for_the_next_attempt():
    waits, received = threading.Event(), []
    slow = ReconnectPolicy(initial_delay=10_000, max_elapsed=None)
    with scripted(HEAD + ONE) as server:
        events = connect_sse(server.url, reconnect=slow, on_reconnect=lambda _: waits.set())
        reading = threading.Thread(target=lambda: received.extend(events), daemon=True)
        reading.start()
        assert waits.wait(SECONDS)
        events.close()
        reading.join(SECONDS)
        assert not reading.is_alive()
    assert [event.data for event in received] == ["a"]


def test_a_cancelled_read_leaves_nothing_and_can_be_resumed(run):
    async def reading(url):
        async with aconnect_sse(url, reconnect=FAST) as events:
            await anext(events)
            task = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return [event.data async for event in events]

    with scripted(stalled(HEAD + ONE), HEAD + DONE) as server:
        assert run(reading(server.url)) == ["{}"]
    assert server.ids == [None, "1"]


def test_aclose_by_another_task_ends_the_iteration(run):
    async def reading(url):
        async with aconnect_sse(url) as events:
            await anext(events)
            task = asyncio.ensure_future(anext(events, None))
            await asyncio.sleep(0)
            await events.aclose()
            assert await task is None
            return events.state

    with scripted(stalled(HEAD + ONE)) as server:
        assert run(reading(server.url)) == "closed"


def test_on_trio_a_scope_that_is_cancelled_leaves_nothing_and_the_stream_is_resumed():
    need_package("trio")
    import trio

    async def reading(url):
        async with aconnect_sse(url, reconnect=FAST) as events:
            await anext(events)
            with trio.move_on_after(0.05) as scope:
                await anext(events)
            assert scope.cancelled_caught
            return [event.data async for event in events]

    with scripted(stalled(HEAD + ONE), HEAD + DONE) as server:
        assert trio.run(reading, server.url) == ["{}"]
    assert server.ids == [None, "1"]


@pytest.mark.parametrize("wrong", [{"client": 1}, {"content": iter([b"a"])}, {"last_event_id": 1}])
def test_an_argument_of_the_wrong_kind_is_refused_at_once(wrong):
    with pytest.raises(TypeError, match=f"{next(iter(wrong))} must be"):
        connect_sse("http://here/", **wrong)


@pytest.mark.parametrize("url", ["here", "ftp://me:secret@a/?secret", "http://", "http://a:b/", 1])
def test_a_url_that_cannot_be_requested_is_refused_without_showing_its_secrets(url):
    with pytest.raises(ValueError, match=r"^url must be (a|an http or https) URL") as caught:
        connect_sse(url)
    assert "secret" not in str(caught.value)


def test_a_callers_client_is_used_and_stays_open(http_library):
    with http_library.Client(headers={"X-Own": "1"}) as client:
        with scripted(cut(ONE), HEAD + DONE) as server:
            assert read(server.url, client=client) == [("1", "a"), ("3", "{}")]
        assert not client.is_closed
    assert {headers["x-own"] for _, headers, _ in server.requests} == {"1"}


@faces
def test_a_redirect_is_followed_to_the_same_origin_only(face):
    here = (
        b"HTTP/1.1 307 There\r\nLocation: /there\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    with scripted(here, HEAD + DONE) as server:
        assert face(server.url, content=b"body", repeatable=True) == [("3", "{}")]
    assert [(first, body) for first, _, body in server.requests] == [
        ("POST / HTTP/1.1", b"body"),
        ("POST /there HTTP/1.1", b"body"),
    ]
    with scripted(here.replace(b"/there", b"http://elsewhere.example/")) as server:
        with pytest.raises(StatusError, match="a redirect to another origin"):
            face(server.url)


@faces
def test_an_event_beyond_the_limit_is_an_error_after_the_events_before_it(face):
    received = []
    with scripted(HEAD + ONE + b"data: " + b"x" * 100) as server:
        with pytest.raises(EventTooLarge):
            face(server.url, max_event_bytes=50, is_last=lambda event: received.append(event.data))
    assert received == ["a"]
