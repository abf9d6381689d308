"""How a request for a kept stream is answered, the same on ASGI and WSGI.

`Resumption.open` authorizes the request, then begins the stream or resumes it. Its outcome is one
of four, in the header `Gaistream-Replay` of every answer:

    complete  all that follows the client's position is sent
    gap       records are missing: an event `gaistream.gap` says which
    expired   the stream is not kept, or never was: 204
    ended     as complete, and the stream has ended; 204 if nothing is left to send
"""

from __future__ import annotations

import contextlib
import inspect
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from ..core import json_bytes
from ..dialects import AnyDialect, find_writable
from ..errors import FrameError, FrameTypeError, LogError, StreamError, StreamInUse
from ..replay import EventLog, Page, Position
from ..replay.log import LEASE, checked_seconds, checked_stream
from ..streaming.cleanup import CLEANUP_TIMEOUT
from ..streaming.collector import Collector
from ..streaming.disconnects import CONTINUE_BYTES, CONTINUE_SECONDS, check_disconnects
from ..streaming.following import TERMINAL, follow, unavailable
from ..streaming.outcome import Outcome
from ..streaming.recorder import KeptProducer, Recorder
from ..streaming.records import encode_json
from ..streaming.replaying import STATELESS, Gap, Place, ReplayDialect
from ..writing.formats import FormatName, format_named
from ..writing.options import NDJSONOptions, SSEOptions
from .answer import PlainResponse, error_response, kept_for_errors
from .cors import CORSLike
from .headers import StreamHeaders, can_be_sent, merge_headers, stream_headers
from .request import IncomingRequest
from .settings import check_on_close, check_status, check_timeouts, kind_of

Authorize: TypeAlias = Callable[[IncomingRequest, str], bool | Awaitable[bool]]
REPLAY: Final = "Gaistream-Replay"
STREAM: Final = "Gaistream-Stream"
_EXPOSED: Final = {"Access-Control-Expose-Headers": f"{REPLAY}, {STREAM}"}


def new_stream_id() -> str:
    """Return an id that nobody can guess: 128 random bits."""
    return secrets.token_urlsafe(16)


class Opened(NamedTuple):
    """A request that is answered by a stream.

    Attributes:
        source: the items of the stream.
        dialect: writes them.
        headers: of the response.
        producer: reads the source that began the stream, or None.
    """

    source: AsyncGenerator[Any, None]
    dialect: ReplayDialect
    headers: StreamHeaders
    producer: KeptProducer | None


class Resumption:
    """The settings of one resumable response, checked; see gaistream.asgi.resumable.

    Attributes:
        stream: the id of the stream.
        format, options, dialect, status, hold_headers, on_close, cleanup_timeout: as given.
        headers: of all answers, without those of one outcome.
    """

    def __init__(
        self,
        log: EventLog,
        stream_id: str | None,
        source: Any,
        *,
        authorize: Authorize | None,
        format: FormatName = "sse",
        options: SSEOptions | NDJSONOptions | None = None,
        dialect: AnyDialect = "gai",
        lease: float = LEASE,
        replace: bool = False,
        only_running: bool = False,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        cors: CORSLike = "*",
        cleanup_timeout: float | None = CLEANUP_TIMEOUT,
        source_timeout: float | None = None,
        hold_headers: bool = False,
        on_close: Callable[[Outcome], Any] | None = None,
        continue_seconds: float = CONTINUE_SECONDS,
        continue_bytes: int = CONTINUE_BYTES,
        media_type: str | None = None,
        incremental: bool = False,
    ) -> None:
        if not callable(getattr(log, "follow", None)):
            raise FrameTypeError(f"log must be an EventLog, not {kind_of(log)}")
        if authorize is not None and not callable(authorize):
            raise FrameTypeError(f"authorize must be callable or None, not {kind_of(authorize)}")
        if stream_id is None and source is None:
            raise FrameError("stream_id must name the stream that is resumed: there is no source")
        check_timeouts(cleanup_timeout, source_timeout)
        check_disconnects("continue", continue_seconds, continue_bytes, False, dialect, format)
        check_on_close(on_close)
        self.stream = new_stream_id() if stream_id is None else checked_stream(stream_id)
        self.status = check_status(status)
        self.format = format_named(format).name
        format_named(format).encoder(options, dialect=dialect)  # raises what is wrong with them
        self.options = options
        self.dialect = dialect
        self.headers = stream_headers(
            format, cors, dialect, headers, media_type=media_type, incremental=incremental
        )
        self.hold_headers = hold_headers
        self.on_close = on_close
        self.cleanup_timeout = cleanup_timeout
        self._log = log
        self._source = source
        self._authorize = authorize
        self._lease = checked_seconds("lease", LEASE if lease is None else lease)
        self._replace = replace
        self._only_running = only_running
        self._limits: dict[str, Any] = {
            "seconds": continue_seconds,
            "bytes": continue_bytes,
            "cleanup_timeout": cleanup_timeout,
            "source_timeout": source_timeout or None,
        }
        self._own = {**_EXPOSED, **self._stream_header()}

    def _stream_header(self) -> dict[str, str]:
        return {STREAM: self.stream} if can_be_sent(STREAM, self.stream) else {}

    async def open(self, request: IncomingRequest) -> Opened | PlainResponse:
        """Authorize a request, then begin or resume the stream.

        Returns:
            What is streamed, or the response in its place: 404 if the request is refused, 204 if
            nothing is left to send, 503 if the log cannot be used.
        """
        try:
            if not await self._allowed(request):
                refusal = StreamError("there is no such stream", code="not_found", status=404)
                return self._refused(refusal, request)
            return await self._open(request)
        except LogError as error:
            return self._refused(unavailable(error), request)

    async def _allowed(self, request: IncomingRequest) -> bool:
        if self._authorize is None:
            return True
        allowed = self._authorize(request, self.stream)
        return bool(await allowed if inspect.isawaitable(allowed) else allowed)

    def _refused(self, error: StreamError, request: IncomingRequest) -> PlainResponse:
        return error_response(
            error,
            raised_by="source",
            extra=self._for_errors(request),
            dialect=self.dialect,
        ).to(request.method)

    async def _open(self, request: IncomingRequest) -> Opened | PlainResponse:
        place, after = self._asked(request)
        page = await self._log.read(self.stream, after, 0)
        begins = self._source is not None and request.last_event_id is None
        begins = begins and (page.epoch == 0 or self._replace) and request.method != "HEAD"
        if begins:
            try:
                return await self._begin()
            except StreamInUse:  # another request was faster: follow its stream
                page = await self._log.read(self.stream, after, 0)
        if page.outcome == "expired":
            return self._without_body("expired", request)
        if self._only_running and page.lease_left is None:
            return self._without_body("ended", request)
        return await self._resume(request, place, page)

    def _asked(self, request: IncomingRequest) -> tuple[Place | None, Position | str | None]:
        """Return where the client stands, and the position or id that the log is asked for."""
        id = request.last_event_id
        if id is None:
            return None, None
        place = Place.parse(id)
        return place, id if place is None else place.position

    async def _begin(self) -> Opened:
        """Begin the stream, and read its source."""
        log, stream = self._log, self.stream
        epoch = await log.begin(stream, lease=self._lease, replace=self._replace)
        stopped = (await log.read(stream, None, 0)).stopping
        found = find_writable(self.dialect, self.format)
        collector = Collector(self.dialect, self.format) if found.has_events else None
        recorder = Recorder(collector, self._limits["bytes"], found.name == "json", self._encode())
        source = self._source() if callable(self._source) else self._source
        producer = KeptProducer(
            log, stream, epoch, self._lease, source, recorder, collector,
            is_stopped=stopped, **self._limits,
        )  # fmt: skip
        return self._opened("complete", Position(epoch, 0), producer=producer)

    def _encode(self) -> Callable[[Any], bytes]:
        default = getattr(self.options, "default", None)
        if default is None:
            return encode_json
        return lambda payload: json_bytes(payload, errors="replace", default=default)

    async def _resume(
        self, request: IncomingRequest, place: Place | None, page: Page
    ) -> Opened | PlainResponse:
        """Answer a request for a stream that is kept."""
        ended, reason = page.lease_left is None, page.reason
        start = Position(page.epoch, 0)
        if reason:
            # after an end that is no record, since the producer was lost
            if ended and place is not None and place.position == (page.epoch, page.newest + 1):
                return self._without_body("ended", request)
        elif place is not None and self._is_stateless:
            # one more, for what it leaves behind: half a character, a failure
            start = Position(page.epoch, max(place.position.seq, page.oldest) - 1)
        elif page.oldest > 1:  # the frames depend on the records that were trimmed
            reason = "trimmed"
        if reason:
            gap = Gap(request.last_event_id, reason, page.epoch, page.oldest, page.newest)
            return self._opened("gap", gap=gap)
        if ended and place is not None and await self._is_nothing_left(place, start, page):
            return self._without_body("ended", request)
        return self._opened(page.outcome, start, place)

    @property
    def _is_stateless(self) -> bool:
        return find_writable(self.dialect, self.format).name in STATELESS

    async def _is_nothing_left(self, place: Place, start: Position, page: Page) -> bool:
        """Return True if the client has all frames of a stream that has ended."""
        newest = page.newest
        if newest > place.position.seq + 1:
            return False
        if newest == place.position.seq and newest:
            before = await self._log.read(self.stream, Position(page.epoch, newest - 1), 1)
            if before.records and before.records[0].event in TERMINAL:
                return True
        dialect = ReplayDialect(self.dialect, self.options, self.stream, place)
        encoder = format_named(self.format).encoder(dialect=dialect)
        async with contextlib.aclosing(follow(self._log, self.stream, start)) as items:
            async for item in items:
                encoder.write(item)
                if encoder.pending:
                    return False
        return True

    def _opened(
        self,
        outcome: str,
        start: Position | None = None,
        place: Place | None = None,
        *,
        gap: Gap | None = None,
        producer: KeptProducer | None = None,
    ) -> Opened:
        return Opened(
            follow(self._log, self.stream, start, gap, producer),
            ReplayDialect(self.dialect, self.options, self.stream, place),
            self.headers.with_more({**self._own, REPLAY: outcome}),
            producer,
        )

    def _without_body(self, outcome: str, request: IncomingRequest) -> PlainResponse:
        headers = {"Cache-Control": "no-store", **self._for_errors(request)}
        return PlainResponse(204, merge_headers(headers, {**self._own, REPLAY: outcome}))

    def _for_errors(self, request: IncomingRequest) -> dict[str, str]:
        return kept_for_errors(self.headers.for_origin(request.headers.get("origin")))
