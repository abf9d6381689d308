"""Responses: one stream, or a whole response in its place, on an ASGI connection.

The request's task sends, the source runs in its own task, and a third watches `receive()` for the
client's leave. All of them end with the request.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Generic, Never, TypeVar

from .._log import log
from ..chat import Source
from ..dialects import AnyDialect
from ..errors import StreamError
from ..http.answer import PlainResponse, RaisedBy, answer_failure, drain_response
from ..http.cors import CORSLike
from ..http.headers import stream_headers
from ..http.settings import check_keywords, check_on_close, check_status, check_timeouts
from ..loops import event_loop
from ..loops.protocols import Event
from ..streaming.cleanup import CLEANUP_TIMEOUT
from ..streaming.disconnects import (
    CONTINUE_BYTES,
    CONTINUE_SECONDS,
    OnDisconnect,
    WholeAnswer,
    check_disconnects,
    open_response_stream,
)
from ..streaming.open_streams import open_streams
from ..streaming.outcome import Outcome
from ..streaming.stream import Stream
from ..writing.formats import FORMATS, FormatName
from ..writing.options import NDJSONOptions, SSEOptions
from .client import Client, log_unread_body
from .messages import (
    Receive,
    Scope,
    ScopeApplication,
    Send,
    StreamConnection,
    header,
    refuse_scope,
    send_response,
)

if TYPE_CHECKING:
    from ..streaming.producer import Producer

_Options = TypeVar("_Options", SSEOptions, NDJSONOptions)


class StreamResponse:
    """A stream as an ASGI app, for one request: the base of all responses.

    Args:
        stream: a Stream that was not started yet.
        format: "sse" or "ndjson".
        status, headers, dialect, cors, hold_headers, on_close, media_type, incremental: see
            SSEResponse.
        producer: whose reader is the stream's source, if that goes on without the client.

    Attributes:
        stream_headers: of the response.
        raised_by: the code that a failure of the stream is charged to.
    """

    def __init__(
        self,
        stream: Stream,
        format: str,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        dialect: AnyDialect = "gai",
        cors: CORSLike = "*",
        hold_headers: bool = False,
        on_close: Callable[[Outcome], Any] | None = None,
        producer: Producer | None = None,
        media_type: str | None = None,
        incremental: bool = False,
    ) -> None:
        self._stream = stream
        self._producer = producer
        self._format = format
        self._status = check_status(status)
        check_on_close(on_close)
        self.stream_headers = stream_headers(
            format, cors, dialect, headers, media_type=media_type, incremental=incremental
        )
        self.raised_by: RaisedBy = "source"
        self._hold_headers = hold_headers
        self._on_close = on_close
        self._used = False
        self._failed = False  # an error was sent in the stream's place
        self._read_on: Event | None = None  # set when a source that goes on has ended

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, *, client: Client | None = None
    ) -> None:
        """Answer the request; raise RuntimeError if it is not the first.

        Args:
            scope, receive, send: see ASGI.
            client: the reader of `receive`, if there is one already; its maker closes it.
        """
        if self._used:
            raise RuntimeError("a response serves one request: make one for each")
        self._used = True
        reader = Client(receive, has_body=True) if client is None else client
        try:
            watches_later = client is None and scope.get("method") == "GET"
            connection = await self._connect(scope, reader, send, watches_later)
            if connection is not None:
                await self._stream.send_all(connection)
        finally:
            await self._close(reader if client is None else None)
            if client is None and reader.discarded:
                log_unread_body(scope)
        if self._read_on is not None:
            await self._read_on.wait()

    async def _close(self, client: Client | None) -> None:
        """Close the stream, report its outcome, and stop reading from the client."""
        try:
            await self._stream.close()
        finally:
            try:
                if self._producer is not None:
                    await self._close_producer(self._producer)
                elif self._on_close is not None:
                    with event_loop().shield_from_outer_scopes():
                        await self._report(self._on_close, self._stream.outcome)
            finally:
                self._stream.release()
                if client is not None:
                    await client.close()

    async def _close_producer(self, producer: Producer) -> None:
        """Close the source and report the outcome, or have a task do so once the source has ended.

        The request's own task may be cancelled before that.
        """
        outcome = self._stream.outcome
        if producer.goes_on_after(outcome.kind):
            loop = event_loop()
            self._read_on = loop.create_event()
            main = self._finish(producer, outcome, producer.read_on(), self._read_on)
            loop.create_task(main, name="gaistream answer")
        else:
            await self._finish(producer, outcome, producer.close(outcome.kind))

    async def _finish(
        self,
        producer: Producer,
        outcome: Outcome,
        end: Awaitable[None],
        ended: Event | None = None,
    ) -> None:
        """Wait for the end of the source, then report the outcome."""
        try:
            await end
        finally:
            try:
                outcome = producer.conclude(outcome)
                if self._on_close is not None:
                    with event_loop().shield_from_outer_scopes():
                        await self._report(self._on_close, outcome)
            finally:
                producer.release()
                if ended is not None:
                    ended.set()

    async def _connect(
        self, scope: Scope, client: Client, send: Send, watches_later: bool
    ) -> StreamConnection | None:
        """Start the stream and return its connection; None if a whole response was sent instead.

        The client of a GET, which has no body, is watched from when its source first waits: a
        stream that has ended by then costs no task for it.

        The locals are gone when this returns, so an idle stream does not hold them.
        """
        stream = self._stream
        if scope["type"] != "http":
            await refuse_scope(scope, client.receive, send)
            return None
        own = self.stream_headers
        origin = header(scope, b"origin") if own.depend_on_origin else None
        response: PlainResponse | None = None
        if scope["method"] == "HEAD":
            response = PlainResponse(self._status, own.for_origin(origin))
        elif (reason := open_streams().reason_to_refuse()) is not None:
            stream.interrupt("drained")
            response = self._answer_drain(scope, reason, origin)
        else:
            if self._producer is not None:
                await self._producer.start()
            if not watches_later:
                client.watch(self._client_left)
            stream.route = scope["method"], scope.get("path", ""), scope.get("endpoint")
            stream.answerable = True
            try:
                await stream.start()
                if watches_later and stream.is_open:
                    client.watch(self._client_left)
                if self._hold_headers:
                    await stream.wait_for_event()
            finally:
                stream.answerable = False
            if stream.failed_unsaid:
                response = self._answer_failure(scope, origin)
            elif (reason := self._drained_unsaid()) is not None:
                response = self._answer_drain(scope, reason, origin)
            else:
                return StreamConnection(send, self._status, own.lines(origin))
        await send_response(send, response)
        return None

    def _drained_unsaid(self) -> StreamError | None:
        """Return why another response is sent: headers are held, and a drain came before events."""
        so_far = self._stream.outcome_so_far()
        if not self._hold_headers or so_far.kind != "drained" or so_far.events:
            return None
        return open_streams().reason_to_refuse()

    def _answer_drain(self, scope: Scope, reason: StreamError, origin: str | None) -> PlainResponse:
        own = self.stream_headers
        return drain_response(
            reason,
            own.for_origin(origin),
            method=scope["method"],
            format=self._format,
            accept=header(scope, b"accept"),
            dialect=own.dialect,
        )

    def _answer_failure(self, scope: Scope, origin: str | None) -> PlainResponse:
        """Return the response in the stream's place; raise what the application answers itself."""
        self._failed = True
        assert self._stream.failure is not None
        return answer_failure(
            self._stream.failure,
            raised_by=self.raised_by,
            log=self._stream.log_failure,
            headers=self.stream_headers.for_origin(origin),
            application=ScopeApplication.of(scope),
            dialect=self.stream_headers.dialect,
        )

    def _client_left(self) -> None:
        if not self._failed:  # else the outcome is known
            self._stream.interrupt("client_gone")

    async def _report(self, on_close: Callable[[Outcome], Any], outcome: Outcome) -> None:
        try:
            result = on_close(outcome)
            if inspect.isawaitable(result):
                await result
        except Exception:
            log.exception("on_close raised")


class _SourceResponse(StreamResponse, Generic[_Options]):
    """A source as an ASGI app, for one request."""

    _format: FormatName

    def __init__(
        self,
        stream: Source,
        options: _Options | None = None,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        dialect: AnyDialect = "gai",
        cors: CORSLike = "*",
        send_timeout: float | None = 60,
        cleanup_timeout: float | None = CLEANUP_TIMEOUT,
        source_timeout: float | None = None,
        hold_headers: bool = False,
        on_close: Callable[[Outcome], Any] | None = None,
        on_disconnect: OnDisconnect = "close",
        continue_seconds: float = CONTINUE_SECONDS,
        continue_bytes: int = CONTINUE_BYTES,
        collect: bool = False,
        media_type: str | None = None,
        incremental: bool = False,
        _whole: WholeAnswer | None = None,
        **unknown: Never,
    ) -> None:
        if unknown:
            check_keywords(type(self), unknown, [self._format])
        encoder = FORMATS[self._format].encoder(options, dialect=dialect)
        check_timeouts(cleanup_timeout, source_timeout, send_timeout)
        disconnects = check_disconnects(
            on_disconnect, continue_seconds, continue_bytes, collect, dialect, self._format
        )
        opened, producer = open_response_stream(
            stream,
            encoder,
            disconnects,
            send_timeout or None,
            cleanup_timeout,
            source_timeout or None,
            _whole,
        )
        super().__init__(
            opened,
            self._format,
            status=status,
            headers=headers,
            dialect=dialect,
            cors=cors,
            hold_headers=hold_headers,
            on_close=on_close,
            producer=producer,
            media_type=media_type,
            incremental=incremental,
        )


class SSEResponse(_SourceResponse[SSEOptions]):
    """Server-Sent Events for a source, as an ASGI app: `await response(scope, receive, send)`.

    Headers and first bytes go out as soon as the source first suspends or yields. A source that
    fails before that is answered with a status and a JSON error.

    Args:
        stream: an async or sync iterable of events (a sync one runs in a helper thread).
        options: SSEOptions, or None for the defaults.
        status: of the response, unless the source fails before its first event.
        headers: more headers; they replace those of the same name (Vary grows).
        dialect: "gai"; "json": each item is a payload; "raw": each is a frame; or a Dialect.
        cors: "*", an origin, several origins, a gaistream.http.CORS, or None.
        send_timeout: seconds that one send may take before the stream ends as stalled; 0 or
            None: no limit.
        cleanup_timeout: seconds that the source may take to end after its stream has ended (the
            client has left, say), before it is cancelled again and abandoned; None: no limit.
        source_timeout: seconds that the source may be silent before the stream ends with
            `Error(code="timeout")`, or status 504 if nothing was sent; 0 or None: no limit.
        hold_headers: True to send the headers with the first event, so that an error before it
            gets a status even if it comes late.
        on_close: called (or awaited) with the Outcome when everything is closed.
        on_disconnect: "close": when the client leaves, the source is closed. "continue": it is read
            to its end, also if a send stalls or the server cancels the request, but not beyond the
            grace time of a drain. Then `on_close` gets the answer as `Outcome.message`. The request
            lasts that long, unless it is cancelled.
        continue_seconds: how long a source may go on without its client before it is closed.
        continue_bytes: how many bytes it may then yield, by an estimate of their memory.
        collect: True to give `on_close` the message, as far as it came, with "close" too.
        media_type: the Content-Type; None: the dialect's, else the format's.
        incremental: True: send `Incremental: ?1` (RFC 10036), which tells a proxy that knows it to
            pass on each piece of the body as it comes.

    Raises:
        FrameError: an argument has a value that could not be sent or kept to.
        EventError: `stream` is not iterable.
    """

    _format = "sse"


class NDJSONResponse(_SourceResponse[NDJSONOptions]):
    """Lines of JSON for a source, as an ASGI app; everything else as SSEResponse."""

    _format = "ndjson"


RESPONSES: Final[dict[str, type[_SourceResponse[Any]]]] = {
    "sse": SSEResponse,
    "ndjson": NDJSONResponse,
}
