"""OpenAI's Chat Completions: the reader on tables, the provider against a real server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any

import httpx
import pytest
import trio
import uvicorn
from trio_exchange import on_trio

import gaistream.providers.openai as module
from gaistream import SSEDecoder, StreamError, events
from gaistream.asgi import sse_handler
from gaistream.chat import ChatRequest
from gaistream.dialects.openai_chat import ChatCompletionsReader
from gaistream.providers.openai import OpenAIProvider
from gaistream.reading.events import EventDecoder

KEY = "sk-very-secret-key"
DONE = "[DONE]"
QUESTION = ChatRequest.from_question("Hi")

START = events.Start("chatcmpl-1", "m")
END = (events.Finish(None, "stop"), events.Done())
CUT = events.Error("the provider's stream was cut", "truncated")


def chunk(finish: str | None = None, /, **delta: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "model": "m",
        "choices": [choice],
    }


def call(arguments: str, /, name: str | None = None, **fields: Any) -> dict[str, Any]:
    function = {"arguments": arguments} | ({} if name is None else {"name": name})
    return chunk(tool_calls=[{**fields, "function": function}])


def usage(prompt: int, completion: int) -> dict[str, Any]:
    counts = {"prompt_tokens": prompt, "completion_tokens": completion}
    return chunk() | {"choices": [], "usage": counts | {"total_tokens": prompt + completion}}


def body_of(*frames: object) -> bytes:
    texts = (frame if isinstance(frame, str) else json.dumps(frame) for frame in frames)
    return "".join(f"data: {text}\n\n" for text in texts).encode()


def read(body: bytes) -> list[events.Event]:
    decoder, reader = SSEDecoder(), ChatCompletionsReader()
    said = [event for frame in decoder.feed(body) for event in reader.feed(frame)]
    return said + reader.close() + reader.close()


STOP = chunk("stop")
FLAGGED = {"categories": {"hate": True, "spam": False}, "category_scores": {"hate": 0.5}}

# fmt: off
STREAMS: dict[str, tuple[list[object], list[events.Event]]] = {  # name: (frames, events)
    "text, and usage after the finish reason": (
        [chunk(role="assistant", content=""), chunk(content="Hé"), STOP, usage(3, 1), DONE],
        [START, events.TextDelta("Hé"), events.Finish(events.Usage(3, 1), "stop"), events.Done()],
    ),
    "usage in the chunk of the finish reason": (
        [chunk("length") | {"usage": {"prompt_tokens": 1}}, chunk() | {"usage": {}}, DONE],
        [START, events.Finish(events.Usage(1), "length"), events.Done()],
    ),
    "no terminator, but a finish reason": ([STOP], [START, *END]),
    "a terminator, but no finish reason": (
        [chunk(content="a"), DONE], [START, events.TextDelta("a"), events.Finish(), END[1]],
    ),
    "reasoning under either name": (
        [chunk(reasoning_content="a", reasoning="a"), chunk(reasoning="b"), STOP],
        [START, events.ReasoningDelta("a"), events.ReasoningDelta("b"), *END],
    ),
    "a refusal": ([chunk(refusal="No."), STOP], [START, events.TextDelta("No."), *END]),
    "tool calls in fragments": (
        [call('{"ci', name="f", index=0, id="c1"), call('ty": "Paris"}', index=0),
         call("", name="g", index=1, id="c2"), STOP, DONE],
        [START, events.ToolCall("c1", "f", {"city": "Paris"}), events.ToolCall("c2", "g", None),
         *END],
    ),
    "tool calls without an index": (
        [call("1", name="f", id="c1"), call("2", name="g", id="c2"), call("3", id="c2"), STOP],
        [START, events.ToolCall("c1", "f", 1), events.ToolCall("c2", "g", 23), *END],
    ),
    "tool calls that all have the index 0": (
        [call("1", name="f", index=0, id="c1"), call("2", name="g", index=0, id="c2"), STOP],
        [START, events.ToolCall("c1", "f", 1), events.ToolCall("c2", "g", 2), *END],
    ),
    "a tool call without an id, in the older form": (
        [chunk(function_call={"name": "h", "arguments": {"a": 1}}), STOP],
        [START, events.ToolCall("call_1", "h", {"a": 1}), *END],
    ),
    "a fragment of a tool call that is over": (
        [call("[1]", name="f", index=0, id="c1"), call("2", name="g", index=1, id="c2"),
         call("9", index=0), call(" ", index=0), STOP],
        [START, events.ToolCall("c1", "f", [1]),
         events.Raw({"tool_calls": [{"index": 0, "function": {"arguments": "9"}}]}),
         events.ToolCall("c2", "g", 2), *END],
    ),
    "a filtered answer": (
        [chunk("content_filter")],
        [START, events.Safety("content_filter", "block"), events.Finish(None, "content_filter"),
         events.Done()],
    ),
    "a moderation chunk": (
        [STOP | {"moderation": {"input": {"results": [FLAGGED]}, "output": {"type": "error"}}}],
        [START, events.Safety("hate", "warn", 0.5, note="input"), *END],
    ),
    "sound and its transcript": (
        [chunk(audio={"data": "AAE=", "transcript": "Hi"}), chunk(audio={"data": "?"}), STOP],
        [START, events.TextDelta("Hi"), events.AudioDelta(b"\x00\x01"),
         events.Raw({"audio": {"data": "?"}}), *END],
    ),
    "an error in the middle": (
        [chunk(), {"error": {"message": "too busy", "code": None, "type": "busy"}}, STOP, DONE],
        [START, events.Error("too busy", "busy")],
    ),
    "an error that is text": ([{"error": "no"}], [events.Error("no")]),
    "an error object": (
        [{"object": "error", "message": "bad", "code": 400}], [events.Error("bad", "400")],
    ),
    "an empty body": ([], [CUT]),
    "a cut behind a tool call": ([call('{}', name="f", index=0, id="c1")], [START, CUT]),
    "a frame that is not JSON": (
        ["<html>"], [events.Error("the provider sent a frame that is not JSON", "invalid_frame")],
    ),
    "what nobody knows": (
        [{}, "5", "null", {"choices": None}, {"choices": [3]},
         {"choices": [{"index": 1, "delta": {"content": "x"}}], "usage": None, "x": 1},
         {"choices": [{"delta": None}]}, chunk(x=1, tool_calls=[None]), chunk(content=[1]), STOP],
        [events.Start(), events.Raw([1]), *END],
    ),
    "a gateway's nameless first chunk": (
        [{"id": "", "model": "", "choices": [], "prompt_filter_results": []}, STOP], [START, *END],
    ),
}
# fmt: on


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_is_read_as(name: str) -> None:
    frames, expected = STREAMS[name]
    assert read(body_of(*frames)) == expected


def test_comments_and_heartbeats_are_passed_over_and_nothing_is_read_after_the_end() -> None:
    heartbeats = b": keep-alive\n\nevent: heartbeat\ndata: {}\n\n"
    assert read(heartbeats + body_of(STOP, DONE, STOP, {"error": "late"})) == [START, *END]
    assert read(b"event: error\ndata: {}\n\n") == [events.Error("the provider failed")]


# ---- over HTTP ----

Reply = Callable[[Any, Any], Coroutine[Any, Any, None]]  # (send, receive)


class Service(uvicorn.Server):
    """A server in a thread of its own, which answers as a test tells it and keeps requests."""

    def __init__(self) -> None:
        protocol = {"loop": "asyncio", "http": "h11", "ws": "none", "interface": "asgi3"}
        quiet = {"lifespan": "off", "log_config": None, "log_level": 60}
        super().__init__(uvicorn.Config(self.app, **protocol, **quiet))  # type: ignore[arg-type]
        self.ready, self.gone = threading.Event(), threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/v1/"
        self.reply: Reply = self.streaming()
        self.asked: list[tuple[dict[str, Any], dict[str, Any]]] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        self.asked.append((scope, json.loads(body)))
        await self.reply(send, receive)

    def streaming(
        self,
        *pieces: bytes,
        status: int = 200,
        headers: dict[str, str] | None = None,
        end: str = "well",
    ) -> Reply:
        """A reply of these pieces, which then ends `well`, `breaks` off, or `waits` for ever."""
        given = {"content-type": "text/event-stream"} | (headers or {})
        sent = [(name.encode(), value.encode()) for name, value in given.items()]

        async def reply(send: Any, receive: Any) -> None:
            await send({"type": "http.response.start", "status": status, "headers": sent})
            for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            if end == "breaks":
                raise ConnectionError
            if end == "waits":
                await self.silent(send, receive)
            await send({"type": "http.response.body"})

        return reply

    async def silent(self, send: Any, receive: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.gone.set()


@pytest.fixture(scope="module")
def server() -> Iterator[Service]:
    service = Service()
    thread = threading.Thread(target=service.run, args=([service.listener],))
    thread.start()
    assert service.ready.wait(30)
    yield service
    service.should_exit = True
    thread.join()


@pytest.fixture
def service(server: Service, monkeypatch: pytest.MonkeyPatch) -> Service:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server.asked.clear()
    server.gone.clear()
    return server


def provider_of(service: Service, **settings: Any) -> OpenAIProvider:
    known: dict[str, Any] = {"base_url": service.url, "api_key": KEY, "model": "m", "timeout": 10}
    return OpenAIProvider(**(known | settings))


async def collect(source: AsyncIterator[events.Event]) -> list[events.Event]:
    return [event async for event in source]


def ask(service: Service, request: ChatRequest = QUESTION, **settings: Any) -> list[events.Event]:
    return asyncio.run(collect(provider_of(service, **settings).stream_text(request)))


def failure(service: Service, **settings: Any) -> StreamError:
    with pytest.raises(StreamError) as caught:
        ask(service, **settings)
    return caught.value


@pytest.mark.parametrize("name", STREAMS)
def test_the_provider_gives_what_its_reader_reads_whatever_the_chunks(
    service: Service, name: str
) -> None:
    frames, expected = STREAMS[name]
    body = body_of(*frames)
    service.reply = service.streaming(*(body[at : at + 7] for at in range(0, len(body), 7)))
    assert ask(service) == [event for event in expected if type(event) is not events.Done]


def test_the_request_is_what_the_protocol_wants(service: Service) -> None:
    service.reply = service.streaming(body_of(STOP, DONE))
    extra = {"top_p": 1, "stream": False, "stream_options": {"x": 1}}
    messages = [{"role": "user", "content": "Hi \ud800"}]
    ask(service, ChatRequest(messages, None, 0.5, 9, extra), headers={"X-Team": "a"})
    scope, body = service.asked[0]
    assert (scope["method"], scope["path"]) == ("POST", "/v1/chat/completions")
    headers = dict(scope["headers"])
    assert headers[b"authorization"] == f"Bearer {KEY}".encode()
    assert (headers[b"content-type"], headers[b"x-team"]) == (b"application/json", b"a")
    assert headers[b"accept-encoding"] == b"identity"
    assert body.pop("messages") == [{"role": "user", "content": "Hi \ufffd"}]
    assert body.pop("stream_options") == {"x": 1, "include_usage": True}
    settings = {"model": "m", "temperature": 0.5, "max_tokens": 9}
    assert body == settings | {"top_p": 1, "stream": True}
    ask(service, api_key=None, model=None, base_url=f"{service.url}?api-version=1")
    scope, body = service.asked[1]
    assert (scope["path"], scope["query_string"]) == ("/v1/chat/completions", b"api-version=1")
    assert b"authorization" not in dict(scope["headers"])
    assert "model" not in body


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, f"bad {KEY}", ("provider_auth", 502, "refused the server's credentials")),
        (403, "no", ("provider_auth", 502, "refused the server's credentials")),
        (429, "slow\ndown", ("rate_limited", 429, "has no room for more requests: slow down")),
        (400, f"no {KEY}!", ("provider_rejected", 502, "rejected the request: no …!")),
        (404, None, ("provider_rejected", 502, "rejected the request")),
        (500, "boom", ("provider_failed", 502, "failed with status 500: boom")),
        (302, None, ("provider_failed", 502, "failed with status 302")),
    ],
)  # fmt: skip
def test_a_refusal_is_told_without_secrets_or_pages(
    service: Service, status: int, body: str | None, expected: tuple[str, int, str]
) -> None:
    said = b"<html>secret page</html>"
    if body is not None:
        said = json.dumps({"error": {"message": body, "type": "x"}}).encode()
    service.reply = service.streaming(said, status=status)
    error = failure(service)
    said_to_client = error.message.removeprefix("the provider ")
    assert (error.code, error.status, said_to_client) == expected
    assert error.retry_after is None


@pytest.mark.parametrize("given", ["7", "7.5", "date", "soon", "-1", "nan"])
def test_a_rate_limit_tells_when_to_come_back(service: Service, given: str) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    header = later if given == "date" else given
    service.reply = service.streaming(status=429, headers={"retry-after": header})
    wait = failure(service).retry_after
    if given == "date":
        assert wait is not None
        assert 30 < wait <= 90
    else:
        assert wait == {"7": 7.0, "7.5": 7.5}.get(given)


def test_with_held_headers_a_refusal_becomes_the_status_of_our_own_answer(service: Service) -> None:
    service.reply = service.streaming(status=429, headers={"retry-after": "7"})
    app = sse_handler(provider_of(service), lambda _: QUESTION, hold_headers=True)

    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get("/")

    answer = asyncio.run(get())
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert answer.json()["error"]["code"] == "rate_limited"


def test_a_page_instead_of_a_stream_is_named(service: Service) -> None:
    page = {"content-type": "Text/HTML; charset=utf-8"}
    service.reply = service.streaming(b"<html>", headers=page)
    error = failure(service)
    assert (error.code, error.status) == ("provider_failed", 502)
    assert error.message == "the provider sent text/html instead of text/event-stream"


def test_a_connection_that_breaks_is_a_cut_unless_all_was_said(service: Service) -> None:
    service.reply = service.streaming(body_of(chunk(content="a")), end="breaks")
    assert ask(service) == [START, events.TextDelta("a"), CUT]
    service.reply = service.streaming(body_of(STOP), end="breaks")
    assert ask(service) == [START, END[0]]


def test_no_connection_and_no_answer_in_time_are_told_apart(service: Service) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    error = failure(service, base_url=f"http://127.0.0.1:{port}")
    assert (error.code, error.status) == ("provider_unreachable", 502)
    assert str(port) not in error.message
    for reply in (service.silent, service.streaming(body_of(chunk()), end="waits")):
        service.reply = reply
        error = failure(service, timeout=0.1)
        assert (error.code, error.status) == ("provider_timeout", 504)


def test_an_event_beyond_the_limit_and_a_secret_in_an_error_do_not_get_through(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.reply = service.streaming(body_of({"error": {"message": f"{KEY} and team-secret"}}))
    said = ask(service, headers={"X-Key": "team-secret"})
    assert said == [events.Error("… and …")]
    monkeypatch.setattr(module, "EventDecoder", partial(EventDecoder, max_event_bytes=10))
    assert failure(service).code == "provider_failed"


def test_what_came_before_an_event_beyond_the_limit_is_given(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EventDecoder", partial(EventDecoder, max_event_bytes=1000))
    service.reply = service.streaming(body_of(chunk(content="a"), chunk(content="b" * 1000)))
    said = []

    async def scenario() -> None:
        async for event in provider_of(service).stream_text(QUESTION):
            said.append(event)

    with pytest.raises(StreamError, match="too large"):
        asyncio.run(scenario())
    assert said == [START, events.TextDelta("a")]


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("way", ["cancel", "close"])
def test_whoever_stops_reading_closes_the_connection(
    service: Service, way: str, shared: bool
) -> None:
    service.reply = service.streaming(body_of(chunk(content="a")), end="waits")

    async def scenario() -> None:
        async with contextlib.AsyncExitStack() as stack:
            client = await stack.enter_async_context(httpx.AsyncClient()) if shared else None
            source = provider_of(service, client=client).stream_text(QUESTION)
            assert await anext(source) == START
            assert await anext(source) == events.TextDelta("a")
            if way == "close":
                await source.aclose()
            else:
                task = asyncio.ensure_future(anext(source))
                await asyncio.sleep(0)  # the task waits for the next piece now
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert await asyncio.to_thread(service.gone.wait, 10)
            assert client is None or not client.is_closed
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left or not (await asyncio.wait(left, timeout=10))[1]

    asyncio.run(scenario())


def test_a_client_of_ones_own_keeps_its_connection_between_requests(service: Service) -> None:
    service.reply = service.streaming(body_of(STOP, DONE))

    async def twice(client: httpx.AsyncClient | None) -> None:
        provider = provider_of(service, client=client)
        for _ in range(2):
            assert await collect(provider.stream_text(QUESTION)) == [START, END[0]]

    async def scenario() -> None:
        async with httpx.AsyncClient() as client:
            await twice(client)
        await twice(None)

    asyncio.run(scenario())
    kept, again, *others = [scope["client"][1] for scope, _ in service.asked]
    assert kept == again
    assert len({kept, *others}) == 3


def test_a_body_that_does_not_end_after_its_terminator_is_not_waited_for(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LINGER", 0.01)
    service.reply = service.streaming(body_of(STOP, DONE), end="waits")

    async def scenario() -> None:
        async with httpx.AsyncClient() as client, asyncio.timeout(10):
            source = provider_of(service, client=client, timeout=None).stream_text(QUESTION)
            assert await collect(source) == [START, END[0]]
            assert await asyncio.to_thread(service.gone.wait, 10)

    asyncio.run(scenario())


def test_on_trio_such_a_body_is_not_waited_for_either(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LINGER", 0.01)
    service.reply = service.streaming(body_of(STOP, DONE), end="waits")

    async def scenario() -> None:
        async with httpx.AsyncClient() as client:
            source = provider_of(service, client=client, timeout=None).stream_text(QUESTION)
            assert await collect(source) == [START, END[0]]
            assert await trio.to_thread.run_sync(service.gone.wait, 10)

    on_trio(scenario)


def test_bad_settings_are_refused_and_the_key_is_not_repeated() -> None:
    for base_url in ("ftp://x", "api.openai.com", "http://", "http://[::1"):
        with pytest.raises(ValueError, match="base_url must be"):
            OpenAIProvider(base_url)
    with pytest.raises(ValueError, match="api_key must be printable ASCII"):
        OpenAIProvider(api_key=f"{KEY}\n")


def test_without_httpx_the_error_tells_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("httpx", "httpx2"):
        monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=r"pip install 'gaistream\[httpx\]'"):
        OpenAIProvider()
