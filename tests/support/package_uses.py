"""A use of every public name of gaistream that is built upon the core's: see every_name.py."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Coroutine
from types import ModuleType
from typing import Any

from every_name import Use, refused

LINES = [b"data: 1\n\ndata: 2", b"\n\n", b'event: text_delta\ndata: {"text":"a"}\n\n']
ROWS = [b'{"type":"text_delta","text":"a"}\n{"type":', b'"done"}\nnot JSON\n']


async def later(*items: Any) -> AsyncIterator[Any]:
    """Yield items, and let others run between them; an exception is raised."""
    for item in items:
        await asyncio.sleep(0)
        if isinstance(item, Exception):
            raise item
        yield item


def asynchronous(use: Callable[[ModuleType], Coroutine[Any, Any, Any]]) -> Use:
    """Give a use that runs in an event loop, the same for all."""
    loop = asyncio.new_event_loop()
    return lambda gs: loop.run_until_complete(use(gs))


def encode_events(gs: ModuleType) -> Any:
    items = [gs.events.Start(), "text", gs.events.ToolCall("1", "n", [1]), gs.events.Done()]
    return [gs.encode_events(items, format) for format in ("sse", "ndjson")]


def encoder(name: str) -> Use:
    def use(gs: ModuleType) -> Any:
        made = getattr(gs, name)()
        made.write("text")
        made.write(gs.events.Citations([gs.events.Citation("uri")]))
        seen = [refused(made.write, object), made.take(), made.pending]
        made.finish()
        return [*seen, made.take(), getattr(gs, name)(dialect="json").write({"a": 1})]

    return use


def writer(name: str) -> Use:
    def use(gs: ModuleType) -> Any:
        sink = io.BytesIO()
        with getattr(gs, name)(sink) as made:
            made.write_many(["a", gs.events.TextDelta("b")])
            refused(made.write, object())
        broken = getattr(gs, name)(lambda _: 1 / 0)
        seen = [refused(broken.write, "a"), refused(broken.write, "a")]
        broken.close()
        return sink.getvalue(), seen

    return use


def options(name: str) -> Use:
    def use(gs: ModuleType) -> Any:
        kind = getattr(gs, name)
        return repr(kind(buffer_size=9)), refused(kind, buffer_size=0), refused(kind, errors=1)

    return use


def ndjson_reader(gs: ModuleType) -> Any:
    seen: list[Any] = []
    reader = gs.NDJSONReader(iter(ROWS))
    while True:
        try:
            seen.append(next(reader))
        except StopIteration:
            return seen
        except ValueError as error:
            seen.append(str(error))


async def read_events(gs: ModuleType) -> Any:
    seen = [repr(each) for each in gs.read_events(iter(LINES))]
    seen += [repr(each) for each in gs.read_events(ROWS, "ndjson")]
    async with gs.read_events(later(*LINES)) as events:
        return seen + [repr(each) async for each in events]


def stream(name: str) -> Use:
    async def use(gs: ModuleType) -> Any:
        give = getattr(gs, name)
        seen = [b"".join(give(["a", gs.events.Finish()]))]
        for items in (("a", "b"), ("a", gs.StreamError("failed"))):
            seen.append(b"".join([chunk async for chunk in give(later(*items))]))
        left = give(later(*"abc"))
        await anext(left)
        await left.aclose()
        return seen

    return asynchronous(use)


async def asgi(gs: ModuleType) -> Any:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        await asyncio.get_running_loop().create_future()  # the client stays

    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
    for name in ("SSEResponse", "NDJSONResponse"):
        await getattr(gs.asgi, name)(later("a", "b"))(scope, receive, send)
    return [message.get("body") for message in sent]


def wsgi(gs: ModuleType) -> Any:
    seen: list[Any] = []
    for name in ("SSEResponse", "NDJSONResponse"):
        response = getattr(gs.wsgi, name)(["a", "b"])
        body = response({"REQUEST_METHOD": "GET"}, lambda *head: seen.append(head))
        seen.append(b"".join(body))
        body.close()
    return seen


def http(gs: ModuleType) -> Any:
    return gs.http.headers("sse"), gs.http.last_event_id({"HTTP_LAST_EVENT_ID": "7"})


def errors(gs: ModuleType) -> Any:
    failed = gs.StreamError("text", code="code", status=503, retry_after=1)
    return str(failed), isinstance(failed, gs.GaistreamError)


def chat_request(gs: ModuleType) -> Any:
    asked = {"messages": [{"role": "user", "content": "why"}], "model": "m"}
    return repr(gs.ChatRequest.from_json(asked)), refused(gs.ChatRequest.from_json, {})


async def draining(gs: ModuleType) -> Any:
    with gs.drain_on_signals():
        return gs.draining()


def automatic_drain(gs: ModuleType) -> Any:
    gs.automatic_drain(3)
    return gs.automatic_drain(), refused(gs.automatic_drain, -1)


def drain(gs: ModuleType) -> Any:
    async def use() -> Any:
        await gs.drain(0)
        return gs.draining()

    return asyncio.run(use())  # a loop of its own: it refuses streams from now on


async def message(gs: ModuleType) -> Any:
    events = gs.events
    items = [
        events.Start("1"), "text", events.ReasoningDelta("because"), events.ReasoningEnd(None, "s"),
        events.ToolCallStart("1", "n"), events.ToolCallDelta("1", '{"a": [1, "'), events.Error("e"),
    ]  # fmt: skip
    found = await gs.collect(later(*items))
    found.add(events.ToolCall("1", "n", {"a": [1, "x"]}))
    refused(found.add, object())
    return [repr(found), found.to_openai(), found.to_anthropic(), found.to_ui_message()]


async def channel(gs: ModuleType) -> Any:
    made = gs.Channel()
    chunks = gs.sse(made)
    made.put_nowait("a")
    putting = asyncio.create_task(made.put("b"))
    seen: list[Any] = [await anext(chunks)]
    await putting
    made.fail(gs.StreamError("failed"))
    seen += [[chunk async for chunk in chunks], refused(made.put_nowait, "c")]
    full = gs.Channel()
    full.put_nowait("x" * 300_000)
    return [*seen, refused(full.put_nowait, "y")]


PACKAGE: dict[str, Use] = {
    **{name: encoder(name) for name in ("SSEEncoder", "NDJSONEncoder")},
    **{name: writer(name) for name in ("SSEWriter", "NDJSONWriter")},
    **{name: options(name) for name in ("SSEOptions", "NDJSONOptions")},
    **{name: stream(name) for name in ("sse", "ndjson")},
    **dict.fromkeys(("draining", "drain_on_signals"), asynchronous(draining)),
    **dict.fromkeys(("StreamError", "GaistreamError"), errors),
    **dict.fromkeys(("Message", "collect"), asynchronous(message)),
    **dict.fromkeys(("Channel", "ChannelClosed", "ChannelFull"), asynchronous(channel)),
    "ChatRequest": chat_request,
    "NDJSONReader": ndjson_reader,
    "asgi": asynchronous(asgi),
    "automatic_drain": automatic_drain,
    "drain": drain,
    "encode_events": encode_events,
    "http": http,
    "read_events": asynchronous(read_events),
    "wsgi": wsgi,
}
