"""Streams over real servers and real sockets: when bytes arrive, how streams end, what is left."""

from __future__ import annotations

import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import served_app
from real_servers import Controls, Server, until
from server_table import KINDS, Kind, browse, on

from gaistream import SSEDecoder

PRELUDE = b":\n\n"
SEEN_GONE = 0.2  # seconds in which a server with heartbeats sees that a client has gone
OURS = {
    "cache-control": "no-cache, no-store, must-revalidate, no-transform",
    "x-accel-buffering": "no",
    "x-content-type-options": "nosniff",
    "access-control-allow-origin": "*",
}


def with_sources(kinds: list[Kind] = KINDS, blocking: bool = True) -> pytest.MarkDecorator:
    """Run a test on each server with each format and each kind of source that it has.

    Args:
        kinds: the servers.
        blocking: also with sources that block a WSGI server's own thread.
    """
    cases = []
    for server in kinds:
        own = {"async", "sync"} | ({"channel"} if server.interface == "asgi" else {"thread"})
        if not blocking and server.interface == "wsgi":
            own.remove("sync")
        cases += [
            pytest.param(server, format_, kind, id=f"{server.name}-{format_}-{kind}")
            for format_ in ("sse", "ndjson")
            for kind in sorted(own)
        ]
    # of this scope, so that the tests of one server run together
    return pytest.mark.parametrize(
        ("server", "format_", "kind"), cases, indirect=["server"], scope="module"
    )


def said(format_: str, number: int) -> bytes:
    line = b'"text":"event %d"}\n' % number
    return line + b"\n" if format_ == "sse" else line


# ---- every server, every kind of source ----


@with_sources()
def test_events_arrive_one_by_one_and_the_headers_once(
    server: Server, controls: Controls, format_: str, kind: str
) -> None:
    client = server.kind.client(server.address).ask(f"/{format_}/{kind}")
    control = controls.accept()
    assert control.path == f"/{format_}/{kind}"
    control.say("g")
    status, headers = client.head()
    assert status == 200
    names = [name for name, _ in headers]
    assert len(set(names)) == len(names)
    media_type = {"sse": "text/event-stream", "ndjson": "application/x-ndjson"}[format_]
    expected = {"content-type": media_type, **OURS}
    if not server.kind.keeps_accel:
        del expected["x-accel-buffering"]
    assert dict(headers).items() >= expected.items()
    chunked = {"transfer-encoding": "chunked"}.items() <= dict(headers).items()
    assert chunked is (server.kind.framing == "chunked")
    assert "content-length" not in names
    if server.kind.framing == "frames":
        assert not {"connection", "keep-alive", "transfer-encoding"} & set(names)
    for number in (1, 2, 3):
        client.until(said(format_, number))
        assert said(format_, number + 1) not in client.body
        control.say("g" if number < 3 else "e")
    body = client.rest()
    if format_ == "sse":
        assert body.startswith(PRELUDE)
        assert body.endswith(b'event: done\ndata: {"finished":true}\n\n')
        assert body.count(b"data:") == 4
    else:
        types = [json.loads(line)["type"] for line in body.splitlines()]
        assert types == ["text_delta"] * 3 + ["done"]
    assert control.outcome() == ("completed", 3)
    client.close()


@on()
def test_the_headers_arrive_while_an_async_source_has_nothing_to_say_yet(
    server: Server, controls: Controls
) -> None:
    client = server.kind.client(server.address).ask("/sse/async")
    control = controls.accept()
    assert client.head()[0] == 200
    client.until(PRELUDE)
    control.say("e")
    assert client.rest() == PRELUDE + b'event: done\ndata: {"finished":true}\n\n'
    assert control.outcome() == ("completed", 0)
    client.close()


@with_sources()
def test_a_source_that_fails_ends_with_the_error_and_without_done(
    server: Server, controls: Controls, format_: str, kind: str
) -> None:
    client = server.kind.client(server.address).ask(f"/{format_}/{kind}")
    control = controls.accept()
    control.say("g")
    control.say("f")
    assert client.head()[0] == 200
    body = client.rest()
    error = b'"error":"internal error","code":"internal"}\n'
    if format_ == "sse":
        assert body.endswith(said("sse", 1) + b"event: error\nretry: 5000\ndata: {" + error + b"\n")
    else:
        assert body.endswith(said("ndjson", 1) + b'{"type":"error",' + error)
    assert served_app.SECRET.encode() not in body
    assert control.outcome() == ("failed", 1)
    client.close()


@with_sources()
def test_a_source_that_fails_first_is_a_status_where_nothing_was_sent(
    server: Server, controls: Controls, format_: str, kind: str
) -> None:
    client = server.kind.client(server.address).ask(f"/{format_}/{kind}")
    control = controls.accept()
    # WSGI sends headers with the first bytes: SSE has some at once, unless its thread is blocked
    sent = server.interface == "asgi" or (format_ == "sse" and kind != "sync")
    early = sent and (server.kind.early_headers or format_ == "sse")
    if not early:
        control.say("p")
    status, headers = client.head()
    if early:
        control.say("p")
    elif server.interface == "asgi":
        sent = status == 200  # which of the two was first cannot be told from outside
    body = client.rest() if sent else b""
    assert status == (200 if sent else 503)
    assert dict(headers).get("retry-after") == (None if sent else "1")
    assert (b'"error":"busy","code":"busy","retry_after":1' in body) is sent
    assert control.outcome() == ("failed", 0)
    client.close()


@with_sources()
def test_a_client_that_vanishes_has_the_source_closed(
    server: Server, controls: Controls, format_: str, kind: str
) -> None:
    client = server.kind.client(server.address).ask(f"/{format_}/{kind}")
    control = controls.accept()
    control.say("g")
    client.head()
    client.until(said(format_, 1))
    client.vanish()
    at_once = server.interface == "asgi" and kind != "sync"
    outcome, events = control.outcome(goes_on=not at_once)
    assert outcome == "client_gone"
    assert events == 1 if at_once else events >= 1
    until(lambda: server.tasks() == 0)


@on()
def test_an_answer_is_finished_although_its_client_vanishes(
    server: Server, controls: Controls
) -> None:
    kind = "async" if server.interface == "asgi" else "thread"
    client = server.kind.client(server.address).ask(f"/sse/{kind}?heartbeats&continue")
    control = controls.accept()
    control.say("g")
    client.head()
    client.until(b'"event 1"')
    client.vanish()
    count, end = 1, time.monotonic() + SEEN_GONE
    while time.monotonic() < end:
        control.say("g")
        count += 1
        time.sleep(0.005)
    control.say("e")
    *_, first, second, nothing = [control.hear() for _ in range(3)]
    assert nothing == ""
    outcome = first if second == "closed" else second
    text = "".join(f"event {number}" for number in range(1, count + 1))
    assert outcome in {f"{each} {count} {text!r} True" for each in ("client_gone", "cancelled")}
    control.close()


@on()
def test_a_client_that_only_closes_has_the_source_closed_too(
    server: Server, controls: Controls
) -> None:
    client = server.kind.client(server.address).ask("/sse/async")
    control = controls.accept()
    control.say("g")
    client.head()
    client.until(said("sse", 1))
    client.close()
    outcome, _ = control.outcome(goes_on=server.interface == "wsgi")
    assert outcome == "client_gone"
    until(lambda: server.tasks() == 0)


@on([kind for kind in KINDS if kind.framing == "frames"])
def test_a_stream_that_is_reset_has_its_source_closed_and_the_connection_goes_on(
    server: Server, controls: Controls
) -> None:
    client = server.kind.client(server.address)
    for _ in range(2):
        client.ask("/sse/async")
        control = controls.accept()
        control.say("g")
        client.head()
        client.until(said("sse", 1))
        client.cancel()
        assert control.outcome() == ("client_gone", 1)
    client.ask("/chat", "OPTIONS")
    assert client.head()[0] == 204
    client.close()


@on()
def test_an_event_arrives_within_20_milliseconds_of_being_yielded(
    server: Server, controls: Controls
) -> None:
    """The one test that looks at a clock: the median of twenty, from before each is let go."""
    client = server.kind.client(server.address).ask("/ndjson/async")
    control = controls.accept()
    seconds = []
    for number in range(1, 21):
        begun = control.say("g")
        if number == 1:
            client.head()
        client.until(said("ndjson", number))
        seconds.append(time.perf_counter() - begun)
    control.say("e")
    client.rest()
    assert control.outcome() == ("completed", 20)
    client.close()
    assert statistics.median(seconds) < 0.02


@with_sources(blocking=False)
def test_a_source_that_waits_has_heartbeats(
    server: Server, controls: Controls, format_: str, kind: str
) -> None:
    client = server.kind.client(server.address).ask(f"/{format_}/{kind}?heartbeats")
    control = controls.accept()
    control.say("g")
    client.head()
    client.until(said(format_, 1))
    heartbeat = b": keep-alive\n\n" if format_ == "sse" else b'{"type":"ping"}\n'
    client.until(heartbeat * 2)
    control.say("g")
    client.until(said(format_, 2))
    control.say("e")
    client.rest()
    assert control.outcome() == ("completed", 2)
    client.close()


@with_sources()
def test_httpx_reads_the_stream_as_it_comes(
    server: Server, controls: Controls, format_: str, kind: str
) -> None:
    def begin() -> Any:
        control = controls.accept()
        control.say("g")
        return control

    decoder = SSEDecoder()
    with ThreadPoolExecutor(1) as pool, browse(server) as client:
        accepted = pool.submit(begin)
        with client.stream("GET", f"/{format_}/{kind}") as response:
            control, texts = accepted.result(), []
            for chunk in response.iter_bytes():
                if format_ == "sse":
                    payloads = [event.json() for event in decoder.feed(chunk)]
                else:
                    payloads = [json.loads(line) for line in chunk.splitlines()]
                for payload in payloads:
                    texts.append(payload.get("text", "done"))
                    if texts[-1] != "done":
                        control.say("g" if len(texts) < 3 else "e")
    assert texts == ["event 1", "event 2", "event 3", "done"]
    assert control.outcome() == ("completed", 3)


# ---- servers that do several things at once, or one after the other ----


@on([kind for kind in KINDS if kind.keep_alive])
def test_a_connection_serves_the_next_request_after_a_stream(
    server: Server, controls: Controls
) -> None:
    client = server.kind.client(server.address)
    for kind in ("async", "sync", "async"):
        client.ask(f"/ndjson/{kind}")
        control = controls.accept()
        control.say("g")
        control.say("e")
        assert client.head()[0] == 200
        assert client.rest().count(b"\n") == 2
        assert control.outcome() == ("completed", 1)
    client.close()


@on([kind for kind in KINDS if kind.several])
def test_streams_at_once_do_not_mix(server: Server, controls: Controls) -> None:
    open_ = []
    for format_, kind in (("sse", "async"), ("ndjson", "sync"), ("ndjson", "async")):
        client = server.kind.client(server.address).ask(f"/{format_}/{kind}")
        open_.append((format_, client, controls.accept()))
    for number in (1, 2, 3):
        for format_, client, control in open_:
            control.say("g")
            if number == 1:
                client.head()
            client.until(said(format_, number))
    for _, client, control in reversed(open_):
        control.say("e")
        assert client.rest().count(b"event 2") == 1
        assert control.outcome() == ("completed", 3)
        client.close()
