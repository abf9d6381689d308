"""The hot paths that gates.py counts: run under callgrind, which dumps at every getppid."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import dataclasses
import os
import sys
import time
import types
from collections.abc import AsyncIterator, Callable
from functools import partial
from itertools import repeat
from typing import Any

import payloads

import gaistream
from gaistream import (
    FrameTemplate,
    LineSplitter,
    NDJSONDecoder,
    NDJSONEncoder,
    SSEDecoder,
    SSEEncoder,
    SSEWriter,
    asgi,
    core,
    dialects,
    encode_events,
    encode_ndjson,
    encode_sse,
    encode_sse_into,
)
from gaistream.events import Start, TextDelta, ToolCall, ToolCallDelta


async def send(_: bytes) -> None:
    """Send, as a server that need not wait."""


@dataclasses.dataclass
class Permit:
    """Leave to start the sends of a task "connection" of a loop "loop"."""

    context: contextvars.Context
    shares_context: bool
    send: Any = send
    loop: Any = "loop"
    task: Any = "connection"
    current_tasks: Any = dataclasses.field(default_factory=lambda: {"loop": "reader"})


def streamed(token: Any, *, in_source: bool) -> Callable[[], Any]:
    """Return what a stream does for a token of a source that suspends then.

    Args:
        token: the item.
        in_source: in a step of the source, which runs in its connection's context; else by a timer.
    """
    loop = asyncio.new_event_loop()
    waiter = loop.create_future()
    loop.close()
    context = contextvars.copy_context()
    encoder = SSEEncoder()
    outbox = core.Outbox(encoder, True, 4096, 65_536, 3600.0, 2**18)
    outbox.open(lambda: waiter, time.monotonic)
    outbox.grant(Permit(context, in_source))
    outbox.wait()

    @types.coroutine
    def read() -> Any:
        while True:
            outbox.accept(token)
            yield

    step = core.SourceReader(outbox, read()).send

    def step_in_context() -> Any:
        context.run(step, None)
        return encoder.pending

    def accept_and_flush() -> Any:
        outbox.accept(token)
        outbox.flush()
        return encoder.pending

    return step_in_context if in_source else accept_and_flush


def pushed(token: Any) -> Callable[[], Any]:
    """Return a put into a channel whose stream waits: each is the first of its turn."""
    from gaistream import Channel
    from gaistream.streaming.clock import clock

    loop = asyncio.new_event_loop()
    channel: Any = Channel()
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
    size = 0

    async def receive() -> Any:
        return await loop.create_future()

    async def send_message(message: Any) -> None:
        nonlocal size
        size = len(message.get("body", b""))

    async def begin() -> Any:
        serving = asyncio.create_task(asgi.SSEResponse(channel)(scope, receive, send_message))
        await asyncio.sleep(0.01)
        return serving, clock().turns

    serving, turns = loop.run_until_complete(begin())

    def put() -> Any:
        asyncio._set_running_loop(loop)
        channel.put_nowait(token)
        turns.end()
        asyncio._set_running_loop(None)
        return None if serving.done() else size

    return put


def life() -> Callable[[], Any]:
    """Return a whole stream on a fake server: opened, one event, ended."""
    with contextlib.suppress(ImportError):  # its scopes cost something, and many servers have it
        import anyio  # noqa: F401
    loop = asyncio.new_event_loop()
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
    sent: list[Any] = []

    async def source() -> AsyncIterator[TextDelta]:
        yield TextDelta(payloads.TOKEN)

    async def receive() -> Any:
        return await loop.create_future()

    async def send_message(message: Any) -> None:
        sent.append(message)

    def serve() -> bytes:
        sent.clear()
        response = asgi.SSEResponse(source())
        loop.run_until_complete(response(scope, receive, send_message))
        return b"".join(message.get("body", b"") for message in sent)

    return serve


class Blocks:
    """The writer of a protocol whose templates have the number of the open block."""

    text_template = reasoning_template = None

    def __init__(self, middle: bytes | None = None) -> None:
        prefix, suffix = payloads.TOKEN_FRAME.split(payloads.TOKEN.encode())
        self.template = FrameTemplate(prefix, suffix, **({"middle": middle} if middle else {}))

    def write(self, encoder: Any, item: Any) -> None:
        encoder.set_templates(text=self.template, tool_call=self.template, tool_call_id="call-1")
        encoder.write(item)


def in_blocks() -> dict[str, tuple[int, Callable[[], Any], Any]]:
    """Give the paths of a token whose template was set during the stream: to 1.3 x gai's."""

    def written(dialect: Blocks, item: Any) -> Callable[[], Any]:
        encoder = core.BaseSSEEncoder(dialect)

        def write() -> bytes:
            encoder.write(item)
            taken: bytes = encoder.take()
            return taken

        return write

    token, arguments = TextDelta(payloads.TOKEN), ToolCallDelta("call-1", payloads.TOKEN)
    return {
        "BaseSSEEncoder, a token of a block": (300, written(Blocks(), token), payloads.TOKEN_FRAME),
        "BaseSSEEncoder, a numbered token": (300, written(Blocks(b'","n":'), token), None),
        "BaseSSEEncoder, a piece of a call": (
            300, written(Blocks(), arguments), payloads.TOKEN_FRAME),
    }  # fmt: skip


def paths() -> dict[str, tuple[int, Callable[[], Any], Any]]:
    """Give each path: how often it is called, what, and what it must give."""
    token = TextDelta(payloads.TOKEN)
    call = ToolCall("call-1", "search", {"query": "a question", "limit": 3})
    template = FrameTemplate(b'event: text_delta\ndata: {"text":"', b'"}\n\n')
    sse, lines, sink = SSEEncoder(), NDJSONEncoder(), SSEWriter(lambda _: None)
    decoder, values = SSEDecoder(), NDJSONDecoder(loads=None)
    splitter, into = LineSplitter(max_line_bytes=2**20), bytearray(100)
    rows = b'{"type":"text_delta","text":"the next piece"}\n' * 40
    event, data = payloads.SMALL_EVENT, payloads.SMALL_DATA

    def wrote(encoder: Any, what: Any) -> bytes:
        encoder.write(what)
        taken: bytes = encoder.take()
        return taken

    newer: dict[str, tuple[int, Callable[[], Any], Any]] = {}
    if hasattr(core, "Outbox"):
        newer["a stream, a token"] = (150, streamed(token, in_source=False), 0)
        newer["a stream, a token in its context"] = (150, streamed(token, in_source=True), 0)
    if hasattr(gaistream, "Channel"):
        newer["a channel, a put"] = (150, pushed(token), len(payloads.TOKEN_FRAME))
    if hasattr(core.BaseSSEEncoder, "set_templates"):
        newer |= in_blocks()
    for name in ("openai_chat", "openai_responses", "ag_ui", "gai_events_v1"):
        if name in dialects.NAMES:
            encoder = SSEEncoder(dialect=name)
            encoder.write_many([Start(), "begun"])
            encoder.take()
            write = partial(wrote, encoder, token)
            newer[f"SSEEncoder, a token of {name}"] = (300, write, None)
    long, deep = "x" * 2**20, [{"k": [1, "a"]}]
    for _ in range(46):
        deep = [deep]  # 49 levels: one more than orjson writes at once
    waiting = b"data: " + b"x" * 2**20 + b"\n\n"
    chunks = [waiting[at : at + 1024] for at in range(0, len(waiting), 1024)]
    whole = b":\n\n" + payloads.TOKEN_FRAME + b'event: done\ndata: {"finished":true}\n\n'
    return {
        **newer,
        "a stream of one event": (30, life(), whole),
        "encode_sse, small": (400, lambda: encode_sse(data, event), payloads.SMALL_FRAME),
        "encode_sse, 4 KB in 40 lines": (
            60, lambda: encode_sse(payloads.LINES), payloads.LINES_FRAME),
        "encode_sse, 1 MiB in a line": (
            4, lambda: encode_sse(long), b"data: %b\n\n" % long.encode()),
        "FrameTemplate.render, 1 MiB": (4, lambda: len(template.render(long)), 2**20 + 37),
        "encode_ndjson, 49 levels": (60, lambda: encode_ndjson(deep), None),
        "SSEDecoder, 1 MiB in 1 KiB chunks": (
            4, lambda: sum(len(decoder.feed(chunk)) for chunk in chunks), 1),
        "encode_sse_into": (
            300, lambda: encode_sse_into(into, 0, data, event), len(payloads.SMALL_FRAME)),
        "FrameTemplate.render": (
            400, lambda: template.render(payloads.TOKEN), payloads.TOKEN_FRAME),
        "encode_events, 50 tokens": (
            20, lambda: encode_events([token] * 50), payloads.TOKEN_FRAME * 50),
        "encode_events, one token": (
            300, lambda: encode_events([token]), payloads.TOKEN_FRAME),
        "encode_ndjson, a row": (200, lambda: encode_ndjson(payloads.ROW), None),
        "SSEEncoder, a token": (300, lambda: wrote(sse, token), payloads.TOKEN_FRAME),
        "SSEEncoder, a tool call": (60, lambda: wrote(sse, call), None),
        "NDJSONEncoder, a token": (150, lambda: wrote(lines, token), None),
        "SSEWriter, a token": (150, lambda: sink.write(token), None),
        "SSEWriter, a named frame": (150, lambda: sink.write_event(event, data), None),
        "SSEDecoder, 20 events": (
            20, lambda: len(decoder.feed(payloads.TOKEN_FRAME * 20)), 20),
        "NDJSONDecoder, 40 lines": (20, lambda: len(values.feed(rows)), 40),
        "LineSplitter, 40 lines": (20, lambda: len(splitter.feed(rows)), 40),
    }  # fmt: skip


def run(call: Callable[[], Any], times: int) -> None:
    for _ in repeat(None, times):
        call()


def main() -> None:
    """Run each path N times, then 2 N times, between marks."""
    divisor = 2 if "--quick" in sys.argv else 1
    if gaistream.backend != os.environ["GAISTREAM_BACKEND"]:
        sys.exit(f"the backend is {gaistream.backend}")
    for name, (often, call, expected) in paths().items():
        times = often // divisor
        for _ in range(30):  # the interpreter specialises its code, and caches fill
            found = call()
        if expected is not None and found != expected:
            sys.exit(f"{name} gave {found!r}")
        os.getppid()
        run(call, times)
        os.getppid()
        run(call, 2 * times)
        os.getppid()
        print(name, times, sep="\t", flush=True)


if __name__ == "__main__":
    main()
