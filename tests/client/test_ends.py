"""Where an answer ends, as the dialects declare it: for the client and the commands."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from command_line import run as command
from real_servers import SECONDS
from scripted_http import HEAD, scripted, stalled

from gaistream import ServerSentEvent
from gaistream.client import ReconnectPolicy, aconnect_sse, connect_sse, ends_answer
from gaistream.dialects import Frame
from gaistream.dialects.detect import DIALECTS, Detector

FAST = ReconnectPolicy(initial_delay=0.001, max_attempts=1)


def read(url, **named):
    with connect_sse(url, **{"reconnect": FAST, "read_timeout": SECONDS, **named}) as events:
        return [event.data for event in events]


def aread(url, **named):
    async def reading():
        given = {"reconnect": FAST, "read_timeout": SECONDS, **named}
        async with aconnect_sse(url, **given) as events:
            return [event.data async for event in events]

    return asyncio.run(reading())


faces = pytest.mark.parametrize("face", [read, aread])


def event_of(payload, event=None):
    return ServerSentEvent(json.dumps(payload), event)


def typed(*kinds):
    return [event_of({"type": kind}) for kind in kinds]


def named(*kinds):
    return [ServerSentEvent("{}", kind) for kind in kinds]


CHUNK = event_of({"object": "chat.completion.chunk"})
TEXT = event_of({"text": "a"}, "text_delta")
WHOLE = {
    "gai": [TEXT, *named("done")],
    "gai.events.v1": [
        event_of({"schema": "gai.events.v1", "type": kind}) for kind in ("start", "done")
    ],
    "OpenAI Chat Completions": [CHUNK, ServerSentEvent("[DONE]")],
    "OpenAI Responses": typed("response.created", "response.completed"),
    "OpenAI Responses, named": named("response.created", "response.incomplete"),
    "OpenAI Responses, failed": named("response.created", "response.failed"),
    "Anthropic Messages": named("message_start", "message_stop"),
    "AI SDK UI messages": typed("start", "text-start", "finish"),
    "AI SDK UI messages, aborted": typed("start", "text-start", "abort"),
    "AG-UI": typed("RUN_STARTED", "RUN_FINISHED"),
    "AG-UI, failed": typed("RUN_STARTED", "RUN_ERROR"),
    "Ollama": [event_of({"model": "m", "created_at": "", "done": done}) for done in (False, True)],
    "Gemini": [event_of({"candidates": [{"finishReason": reason}]}) for reason in ("", "STOP")],
    "Gemini Interactions": [
        event_of({"event_type": f"interaction.{kind}"}) for kind in ("created", "completed")
    ],
    "none: a bare done": typed("x", "done"),
    "none: [DONE]": [ServerSentEvent("x"), ServerSentEvent("[DONE]")],
    "gai through a gateway": [TEXT, ServerSentEvent("[DONE]")],
}

UNTOLD = ("Ollama", "Gemini", "Gemini Interactions")  # ends that only a recognised stream has


@faces
@pytest.mark.parametrize("name", [name for name in WHOLE if name not in UNTOLD])
def test_the_last_event_is_the_end_though_the_server_stays(face, name):
    frames = [bytes(event) for event in WHOLE[name]]
    beyond = b"data: beyond\n\n: keep-alive\n\n"
    with scripted(stalled(HEAD + b"".join(frames) + beyond)) as server:  # it is not asked again
        assert face(server.url) == [event.data for event in WHOLE[name]]


@faces
def test_an_event_that_only_looks_like_an_end_is_not_one(face):
    """A gai `finish` comes before its `done`, and a text may say anything."""
    before = [TEXT, *named("finish"), *typed("finish"), ServerSentEvent("the last: [DONE]")]
    given = [*before, *named("done")]
    with scripted(HEAD + b"".join(bytes(event) for event in given)) as server:
        assert face(server.url) == [event.data for event in given]


@faces
def test_a_feed_goes_on_after_an_end_if_the_caller_says_so(face):
    body = b"event: done\ndata: 1\n\nevent: done\ndata: 2\n\n"
    with scripted(HEAD + body) as server:
        assert face(server.url, is_last=lambda event: event.data == "2") == ["1", "2"]


def test_the_cursor_is_that_of_the_last_event_and_not_of_what_follows():
    with scripted(HEAD + b"id: 1\nevent: done\ndata: a\n\nid: 2\ndata: b\n\n") as server:
        with connect_sse(server.url) as events:
            assert [event.data for event in events] == ["a"]
            assert events.last_event_id == "1"


def keeps(chunk):
    """Answer two requests on one connection: the client is to keep it."""

    def step(connection):
        body = b"%x\r\n%b\r\n" % (len(chunk), chunk)
        head = HEAD.replace(b"Connection: close", b"Transfer-Encoding: chunked")
        for last in (False, True):
            connection.sendall(head + body)
            time.sleep(0.02)  # the end of the body comes after the client has read the event
            connection.sendall(b"0\r\n\r\n")
            assert last or connection.recv(65536).startswith(b"GET")

    return step


def test_a_client_of_the_callers_keeps_its_connection_after_the_last_event(http_library):
    with scripted(keeps(b"event: done\ndata: {}\n\n")) as server, http_library.Client() as client:
        for _ in range(2):
            assert read(server.url, client=client) == ["{}"]


def test_so_does_an_asynchronous_client(http_library):
    settings = {"reconnect": FAST, "open_timeout": SECONDS, "read_timeout": SECONDS}

    async def reading(url):
        async with http_library.AsyncClient() as client:
            for _ in range(2):
                async with aconnect_sse(url, client=client, **settings) as events:
                    assert [event.data async for event in events] == ["{}"]

    with scripted(keeps(b"event: done\ndata: {}\n\n")) as server:
        asyncio.run(reading(server.url))


def test_a_body_that_does_not_end_is_not_waited_for_by_such_a_client(http_library):
    async def reading(url):
        async with http_library.AsyncClient() as client, aconnect_sse(url, client=client) as events:
            return [event.data async for event in events]

    step = stalled(HEAD + bytes(WHOLE["gai"][1]))
    with scripted(step, step) as server:
        assert asyncio.run(reading(server.url)) == ["{}"]
        with http_library.Client() as client:
            assert read(server.url, client=client) == ["{}"]


# ---- the list itself ----


TITLES = {each.title or each.name for each in DIALECTS}


def watched(events):
    detector = Detector()
    for event in events:
        detector.see(Frame.of_event(event))
    return detector


@pytest.mark.parametrize("name", WHOLE)
def test_check_and_the_client_know_the_same_ends(name):
    *before, last = WHOLE[name]
    protocol = name.partition(",")[0]
    if protocol in TITLES:
        assert (watched(WHOLE[name]).protocol, watched(before).truncated) == (protocol, True)
    assert not watched(before).over
    assert watched(WHOLE[name]).over
    assert watched(WHOLE[name]).terminated is ("gateway" not in name)
    one_event_tells = not name.startswith(("AI SDK", *UNTOLD))
    assert ends_answer(last) is one_event_tells
    assert not any(ends_answer(event) for event in before)


def test_every_protocol_of_the_list_is_tried():
    assert TITLES <= {name.partition(",")[0] for name in WHOLE}


def test_an_event_after_the_end_of_an_unknown_protocol_is_reported():
    ran = command("check", stdin=b"data: 1\n\ndata: [DONE]\n\ndata: 2\n\n")
    assert ran.status == 1
    assert "'message' comes after [DONE], the last event of the stream" in ran.out


@pytest.mark.parametrize(
    ("last", "kind"), [(b"data: [DONE]", "[DONE]"), (b'data: {"type":"done"}', "done")]
)
def test_tail_names_the_event_that_ended_an_unknown_protocol(last, kind):
    with scripted(HEAD + b"data: 1\n\n" + last + b"\n\n") as server:
        ran = command("tail", server.url)
    assert (ran.status, ran.errors.endswith(f", ended with {kind}\n")) == (0, True)
    summary = command("check", "--json", stdin=b"data: 1\n\n" + last + b"\n\n").out.splitlines()[-1]
    assert json.loads(summary)["summary"]["terminated"] is True
