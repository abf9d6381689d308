"""`resumable`: a stream that is kept in a log and outlives its connection, as an ASGI app."""

from __future__ import annotations

from collections.abc import Callable
from typing import Unpack

from ..chat import Source
from ..http.answer import PlainResponse, RaisedBy, drain_response
from ..http.request import IncomingRequest, last_event_id
from ..http.resumption import Authorize, Opened, Resumption
from ..http.settings import SEND_TIMEOUT, ResumableSettings, check_timeouts
from ..loops.sources import close_source
from ..replay import EventLog
from ..streaming.cleanup import CLEANUP_TIMEOUT
from ..streaming.open_streams import open_streams
from ..streaming.stream import Stream
from ..writing.formats import FORMATS
from .client import Client
from .messages import Receive, Scope, Send, header, refuse_scope, request_headers, send_response
from .response import StreamResponse


class resumable:  # noqa: N801, a function to its callers
    """A kept stream, as an ASGI app for one request: `await response(scope, receive, send)`.

    The stream is begun if there is a `source`, the request has no Last-Event-ID, and the stream is
    not kept yet; its id is in the header `Gaistream-Stream`. Any other request resumes it: after
    the id in Last-Event-ID (or in the query's `last_event_id`), else from the start. The source is
    read to its end whatever becomes of the requests; `await log.stop(stream_id)` ends it.

    Args:
        log: keeps the stream.
        stream_id: 1 to 512 bytes. Whoever knows it, and is authorized, can read the stream. None: a
            new one of 128 random bits.
        source: an async or sync iterable of events, or a function that returns one, called if the
            stream is begun; None: the request only resumes.
        authorize: called with the request (gaistream.http.IncomingRequest) and the stream's id,
            sync or async. Unless it returns True the answer is 404. None: everybody may read.
        format: "sse" or "ndjson".
        options: SSEOptions or NDJSONOptions.
        lease: seconds after which the stream ends with an error if its producer has died.
        replace: True to begin the stream anew if it is kept.
        only_running: True to answer 204 if the stream that is resumed has ended.
        on_close: called (or awaited) with the Outcome of the source, once it is closed. It is not
            called for requests that resume.
        continue_seconds, continue_bytes: how long the source may go on, and how much it may yield,
            after the request that began the stream has ended.
        source_timeout: seconds that the source may be silent.
        status, headers, dialect, cors, send_timeout, cleanup_timeout, hold_headers, media_type,
            incremental: see SSEResponse.

    Attributes:
        stream_id: of the stream.
        resumption: how the request is answered.
        raised_by: the code that a failure of the stream is charged to.

    Raises:
        FrameError: an argument has a value that could not be sent or kept to.
    """

    def __init__(
        self,
        log: EventLog,
        stream_id: str | None,
        source: Source | Callable[[], Source] | None,
        *,
        authorize: Authorize | None,
        send_timeout: float | None = SEND_TIMEOUT,
        **settings: Unpack[ResumableSettings],
    ) -> None:
        check_timeouts(CLEANUP_TIMEOUT, None, send_timeout)
        self.resumption = Resumption(log, stream_id, source, authorize=authorize, **settings)
        self._source = source
        self._send_timeout = send_timeout or None
        self.stream_id = self.resumption.stream
        self.raised_by: RaisedBy = "source"

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, *, client: Client | None = None
    ) -> None:
        """Answer the request. `client` is given by a handler that has read the body."""
        if scope["type"] != "http":
            await refuse_scope(scope, receive, send)
            return
        if (answer := self._answer_drain(scope)) is not None:
            await close_source(self._source)
            await send_response(send, answer)
            return
        method, request = scope["method"], request_headers(scope)
        own = client is None
        if client is None:
            client = Client(receive, has_body=method != "GET" or "content-length" in request)
        query = scope.get("query_string", b"").decode("latin-1")
        incoming = IncomingRequest(
            method, scope["path"], query, request, last_event_id(scope), client.body
        )
        begins = False
        try:
            opened = await self.resumption.open(incoming)
            if isinstance(opened, PlainResponse):
                await send_response(send, opened)
            else:
                begins = opened.producer is not None
                await self._respond(opened)(scope, receive, send, client=client)
        finally:
            if not begins:
                await close_source(self._source)
            if own:
                await client.close()

    def _answer_drain(self, scope: Scope) -> PlainResponse | None:
        reason = open_streams().reason_to_refuse()
        if reason is None:
            return None
        asked = self.resumption
        return drain_response(
            reason,
            asked.headers.for_origin(header(scope, b"origin")),
            method=scope["method"],
            format=asked.format,
            accept=header(scope, b"accept"),
            dialect=asked.dialect,
        )

    def _respond(self, opened: Opened) -> StreamResponse:
        asked = self.resumption
        encoder = FORMATS[asked.format].encoder(asked.options, dialect=opened.dialect)
        stream = Stream(
            opened.source,
            encoder,
            send_timeout=self._send_timeout,
            cleanup_timeout=asked.cleanup_timeout,
        )
        response = StreamResponse(
            stream,
            asked.format,
            status=asked.status,
            dialect=asked.dialect,
            hold_headers=asked.hold_headers,
            on_close=None if opened.producer is None else asked.on_close,
            producer=opened.producer,
        )
        response.stream_headers = opened.headers
        response.raised_by = self.raised_by
        return response
