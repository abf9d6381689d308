"""The application that tests/servers serve: streams that the test steers, over a side channel.

Each stream connects to the test's control port and says in lines what happens to it: its path,
`waits` before each event, `closed`, and its outcome. The test answers each `waits` with a letter:
`g`o on, `f`ail, fail in `p`ublic; anything else ends the source. So no test needs to guess how
long something takes. Paths: /sse/async, /ndjson/sync, /sse/thread, …; /chat is a handler.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

import anyio
import anyio.lowlevel
import sniffio

from gaistream import Channel, ChatRequest, NDJSONOptions, SSEOptions, StreamError, asgi, wsgi

SECRET = "the key is sk-123"


class Control:
    """A stream's end of its side channel."""

    def __init__(self, port: int, path: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._lock = threading.Lock()
        self._left_to_say = 2
        self.say(path)

    def say(self, line: str) -> None:
        self._socket.sendall(line.encode() + b"\n")

    def say_last(self, line: str) -> None:
        """Say that the source is closed, or how the stream ended: a thread may be the later."""
        with self._lock:
            self.say(line)
            self._left_to_say -= 1
            if not self._left_to_say:
                threading.Thread(target=self._hang_up, daemon=True).start()

    def _hang_up(self) -> None:
        """Close once the test has: a letter that nobody reads would reset the connection."""
        with self._socket:
            self._socket.setblocking(True)
            self._socket.shutdown(socket.SHUT_WR)
            while self._socket.recv(64):
                pass

    def sync(self) -> Iterator[str]:
        """Be a source that blocks."""
        try:
            for number in itertools.count(1):
                self.say("waits")
                if not self._goes_on(self._socket.recv(1)):
                    return
                yield f"event {number}"
        finally:
            self.say_last("closed")

    async def asynchronous(self) -> AsyncGenerator[str, None]:
        """Be a source that suspends."""
        self._socket.setblocking(False)
        try:
            for number in itertools.count(1):
                self.say("waits")
                if not self._goes_on(await _received(self._socket)):
                    return
                yield f"event {number}"
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()  # cleaning up may take a while
            self.say_last("closed")

    def _goes_on(self, letter: bytes) -> bool:
        if letter == b"f":
            raise RuntimeError(SECRET)
        if letter == b"p":
            raise StreamError("busy", code="busy", status=503, retry_after=1)
        return letter == b"g"

    def on_close(self, outcome: Any) -> None:
        message = outcome.message
        kept = "" if message is None else f" {message.text!r} {message.complete}"
        self.say_last(f"{outcome.kind} {outcome.events}{kept}")


async def _received(channel: socket.socket) -> bytes:
    """Wait for a letter, on asyncio or trio."""
    if sniffio.current_async_library() == "trio":
        import trio

        return await trio.socket.from_stdlib_socket(channel).recv(1)
    return await asyncio.get_running_loop().sock_recv(channel, 1)


def put_all(control: Control, channel: Channel[str]) -> Callable[[], object]:
    """Put into a channel in a task of its own; return a function that cancels that."""

    async def put() -> None:
        try:
            async with contextlib.aclosing(control.asynchronous()) as items:
                async for item in items:
                    await channel.put(item)
        except Exception as error:
            channel.fail(error)
        else:
            channel.close()

    if sniffio.current_async_library() != "trio":
        return asyncio.create_task(put()).cancel
    import trio

    scope = trio.CancelScope()

    async def put_in_scope() -> None:
        with scope:
            await put()

    trio.lowlevel.spawn_system_task(put_in_scope)
    return scope.cancel


def options(format_: str, query: str) -> Any:
    """Give options with frequent heartbeats, where the query wants some."""
    interval = 0.02 if "heartbeats" in query else None
    return (SSEOptions if format_ == "sse" else NDJSONOptions)(heartbeat_interval=interval)


def response(interface: Any, port: int, path: str, query: str) -> Any:
    """Make the response for a path of two parts: the format, and the kind of the source."""
    format_, kind = path.strip("/").split("/")
    control = Control(port, path)
    source: Any = control.asynchronous() if kind == "async" else control.sync()
    on_close: Any = control.on_close
    if kind == "channel":
        source = Channel()
        stop = put_all(control, source)

        def on_close(outcome: Any) -> None:
            stop()
            control.on_close(outcome)

    more: dict[str, Any] = {"helper_thread": True} if kind == "thread" else {}
    if "continue" in query:
        more["on_disconnect"] = "continue"
    made = interface.SSEResponse if format_ == "sse" else interface.NDJSONResponse
    return made(source, options(format_, query), on_close=on_close, **more)


class Echo:
    """A provider that says the question, word by word."""

    async def stream_text(self, request: ChatRequest) -> AsyncGenerator[str, None]:
        for word in request.question.split():
            yield word


async def prepare(incoming: Any) -> ChatRequest:
    """Make the request from a JSON body, which HEAD has not."""
    if incoming.method == "HEAD":
        return ChatRequest.from_question("")
    return ChatRequest.from_json(await incoming.json())


def asgi_app(port: int) -> Any:
    """Make the ASGI app; `port` is the control port."""
    chat = asgi.event_handler(Echo(), prepare)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/chat"):
            await chat(scope, receive, send)
            return
        made = response(asgi, port, scope["path"], scope["query_string"].decode())
        await made(scope, receive, send)

    return app


def wsgi_app(port: int) -> Any:
    """Make the WSGI app; `port` is the control port."""
    chat = wsgi.event_handler(Echo(), prepare)

    def app(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"].startswith("/chat"):
            return chat(environ, start_response)
        made = response(wsgi, port, environ["PATH_INFO"], environ.get("QUERY_STRING", ""))
        return made(environ, start_response)

    return app
