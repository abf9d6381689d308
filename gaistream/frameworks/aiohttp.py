"""Streams for aiohttp.web: one that its handler pushes to, and one of a source.

    async with sse_response(request) as stream:    # return await sse_response(request, answer())
        await stream.send("Hello")
    return stream

Each runs a response of gaistream.asgi, which writes to aiohttp's own. aiohttp answers an
HTTPException that is raised before the first byte. A client's leave is seen within a second, and at
once where the server runs with `handler_cancellation=True`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping
from contextlib import suppress
from typing import Any, ClassVar, Self, Unpack

from ._faces import ASGISettings, FrameworkApplication, needs, no_cors

with needs("aiohttp"):
    from aiohttp import web

from .. import asgi
from ..chat import Source
from ..core import ServerSentEvent
from ..errors import ChannelClosed, FrameTypeError, StreamError
from ..http.answer import APPLICATION_KEY
from ..loops import event_loop
from ..streaming.channel import Channel
from ..writing.options import NDJSONOptions, SSEOptions

__all__ = ["Stream", "ndjson_response", "sse_response"]

CHECK_INTERVAL = 1.0  # seconds between two looks whether the client is still there


class Stream(web.StreamResponse):
    """The response of a stream, which the handler returns."""

    def __init__(self, request: web.BaseRequest, channel: Channel[Any], app: Any) -> None:
        super().__init__()
        self._request, self._channel, self._app = request, channel, app

    async def send(
        self, item: Any, *, event: str | None = None, id: Any = None, retry: int | None = None
    ) -> None:
        """Send an item of the dialect; wait while the client takes less than comes.

        Args:
            item: an event, a str, …; with one of the other arguments, the data of a frame.
            event, id, retry: fields of the frame.

        Raises:
            ChannelClosed: the stream is over, because the client has left for example. It ends the
                block without an error.
        """
        if event is not None or id is not None or retry is not None:
            item = ServerSentEvent(item, event, id=None if id is None else str(id), retry=retry)
        await self._channel.put(item)

    def is_connected(self) -> bool:
        """Return True while the client is there."""
        transport = self._request.transport
        return transport is not None and not transport.is_closing()

    async def run(self) -> Self:
        """Answer the request."""
        request = self._request
        scope: dict[str, Any] = {"type": "http", "method": request.method, "path": request.path}
        scope |= {"headers": request.raw_headers, APPLICATION_KEY: _APPLICATION}
        await self._app(scope, self._receive, self._send)
        return self

    async def _receive(self) -> Mapping[str, Any]:
        while self.is_connected():  # noqa: ASYNC110  # aiohttp has no event for it
            await asyncio.sleep(CHECK_INTERVAL)
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.set_status(message["status"])
            for name, value in message["headers"]:
                self.headers[name.decode().title()] = value.decode("latin-1")
            await self.prepare(self._request)
            return
        if message["body"]:
            await self.write(message["body"])
        if not message["more_body"]:
            await self.write_eof()


_APPLICATION = FrameworkApplication(web.HTTPException)


class sse_response:  # noqa: N801  # used as a function
    """A stream of Server-Sent Events, to enter or, with a source, to await.

    `async with sse_response(request) as stream` sends the headers, then what is pushed by
    `stream.send(item)`, and the end of the dialect. An exception in the block ends the stream by an
    error, and a StreamError is not raised to aiohttp. When the stream ends first, because the
    client has left or the server drains, the block is broken off where it waits, and the handler
    goes on after it. `await sse_response(request, source)` returns when the stream is over. Both
    give the Stream that the handler returns.

    Args:
        request: the handler's.
        source: an async or sync iterable of events; None: the handler pushes.
        options: SSEOptions; None: the defaults.
        settings: the keywords of gaistream.asgi.SSEResponse; `cors` is None. With
            `hold_headers=True` an exception before the first `send` gets its status.

    Raises:
        FrameError: an argument has a value that could not be sent.
        EventError: `source` is not iterable.
    """

    _app_type: ClassVar[type[Any]] = asgi.SSEResponse

    def __init__(
        self,
        request: web.BaseRequest,
        source: Source | None = None,
        options: SSEOptions | NDJSONOptions | None = None,
        **settings: Unpack[ASGISettings],
    ) -> None:
        self._is_pushed = source is None
        self._channel: Channel[Any] = Channel()
        streamed = self._channel if source is None else source
        app = self._app_type(streamed, options, **no_cors(settings))
        self._stream = Stream(request, self._channel, app)

    def __await__(self) -> Generator[Any, Any, Stream]:
        if self._is_pushed:
            raise FrameTypeError("await needs a source: sse_response(request, source)")
        return self._stream.run().__await__()

    async def __aenter__(self) -> Stream:
        if not self._is_pushed:
            raise FrameTypeError("a stream of a source is awaited: await sse_response(…)")
        self._task = asyncio.create_task(self._stream.run(), name="gaistream response")
        self._block = event_loop().breakable().__enter__()
        self._task.add_done_callback(self._break_off)
        return self._stream

    def _break_off(self, _: object) -> None:
        self._block.break_off()

    async def __aexit__(self, kind: Any, error: BaseException | None, traceback: Any) -> bool:
        self._task.remove_done_callback(self._break_off)
        is_over = self._block.__exit__(kind, error, traceback)
        if error is None or is_over:
            self._channel.close()
        elif isinstance(error, Exception):
            self._channel.fail(error)
        else:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            return False
        await self._task
        return is_over or isinstance(error, ChannelClosed | StreamError)  # the client knows


class ndjson_response(sse_response):  # noqa: N801
    """A stream of lines of JSON; everything else as sse_response, with NDJSONOptions."""

    _app_type = asgi.NDJSONResponse
