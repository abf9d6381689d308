"""What a reconnecting client decides, without any input or output: both faces ask this.

Guaranteed: a request that may not be repeated is not; no delay is shorter than what the server
asked for; a resumed stream continues behind the last event that was received, and what was
received before a cut is given before the cut is dealt with. Every wait and every row of attempts
has a ceiling.

How: a face tells what happened (`connecting`, `judge`, `receive`, `ended`, `lost`, `refused`),
gives the events that are `ready`, and then asks what is to be done: `decide` tells of a new
attempt after a `pause` (a `Reconnecting`), of the end, or raises.
"""

from __future__ import annotations

import random
import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, Literal, NoReturn

from ..core import ServerSentEvent, SSEDecoder
from ..dialects.protocols import Ending
from ..errors import (
    ClientError,
    ConnectionLost,
    ContentEncodingError,
    ContentTypeError,
    EventTooLarge,
    ResponseError,
    StatusError,
)
from ..http.content_coding import unasked_coding
from ..http.headers import MEDIA_TYPES
from ..http.received import error_message, is_event_stream, retry_after
from ..reading.reader import MAX_BYTES
from ._policy import Reconnecting, ReconnectPolicy

State = Literal["connecting", "open", "waiting", "closed"]
Verdict = Literal["open", "over", "redirect", "refused"]
_Failure = Callable[[str], ClientError]  # makes an error of its message

_MEDIA_TYPE = MEDIA_TYPES["sse"]
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
LONGEST_ID = 1024  # bytes of an id that is sent
_LONGEST_SHOWN = 200  # bytes of a body in a message


class Plan:
    """The state and the decisions of one stream. Belongs to one task; `close` to anybody.

    Args:
        method, url: of the request; `url` as it may be shown.
        policy: None: there is no reconnecting.
        repeatable: the caller says that the request may be repeated whatever its method.
        last_event_id: where to resume from.
        is_last: True for the last event of the answer; None: that of the protocol it is in.
        redirects: which redirects are followed.
        accept_encoding: the codings that are asked for.
        strict_content_type: text/event-stream is insisted on.
        max_event_bytes: the decoder's limit.
        now, wall, chance: clocks, and a number from 0 to 1; for tests.
    """

    def __init__(
        self,
        method: str,
        url: str,
        policy: ReconnectPolicy | None = None,
        *,
        repeatable: bool = False,
        last_event_id: str = "",
        is_last: Callable[[ServerSentEvent], bool] | None = None,
        redirects: str = "same-origin",
        accept_encoding: str = "identity",
        strict_content_type: bool = False,
        max_event_bytes: int = MAX_BYTES,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.last_event_id = last_event_id
        self.retry: int | None = None
        self.ready: deque[ServerSentEvent] = deque()
        self._method, self._url = method, url
        self._policy, self._repeatable, self._redirects = policy, repeatable, redirects
        self._is_last, self._limit = is_last or Ending().is_last, max_event_bytes
        self._accept_encoding, self._strict = accept_encoding, strict_content_type
        self._now, self._wall, self._chance = now, wall, chance
        self._state: State = "connecting"
        self._decoder = self._new_decoder()
        self._attempt = 0  # reconnects in a row
        self._row_began: float | None = None
        self._opened: float | None = None
        self._not_before = 0.0
        self._redirected = 0
        self.complete = False  # the last event of the answer has come
        self._due: Callable[[], Reconnecting | None] | None = None  # after what is ready

    def _new_decoder(self) -> SSEDecoder:
        limit, last = self._limit, self.last_event_id
        return SSEDecoder(max_event_bytes=limit, last_event_id=last)

    @property
    def state(self) -> State:
        """What the client is doing."""
        return self._state

    def close(self) -> None:
        """Be over: nothing more is given or tried."""
        self._state = "closed"
        self.ready.clear()
        self._due = None

    def _enter(self, state: State) -> None:
        if self._state != "closed":
            self._state = state

    # ---- what a face tells ----

    def connecting(self) -> dict[bytes, bytes]:
        """Begin an attempt: give the headers that it needs."""
        self._enter("connecting")
        if self._row_began is None:
            self._row_began = self._now()
        self._redirected = 0
        headers = {b"Accept": _MEDIA_TYPE.encode(), b"Cache-Control": b"no-store"}
        # identity: a compressed stream is often a delayed one
        headers[b"Accept-Encoding"] = self._accept_encoding.encode()
        if last := self.last_event_id.strip(" \t"):
            headers[b"Last-Event-ID"] = last.encode(errors="replace")
        return headers

    def judge(self, status: int, headers: Mapping[str, str]) -> Verdict:
        """Tell what an answer is: a stream, the end, a redirect, or nothing that can be read."""
        if status == HTTPStatus.NO_CONTENT:
            self.close()
            return "over"
        if status in _REDIRECTS and "location" in headers and self._redirects != "none":
            return "redirect"
        if status == HTTPStatus.OK and not self._refusal(headers):
            self._enter("open")
            self._opened = self._now()
            self._decoder = self._new_decoder()
            return "open"
        return "refused"

    def redirect(self, method: str, same_origin: bool) -> str | None:
        """Tell why a redirect is not followed; None: it is."""
        self._redirected += 1
        if self._redirected > _MOST_REDIRECTS:
            return f"more than {_MOST_REDIRECTS} redirects in a row"
        if method != self._method:
            return f"a redirect that would make a {method} of this {self._method}"
        if not same_origin and self._redirects != "any":
            return "a redirect to another origin, which redirects='any' would follow"
        if not same_origin and self.last_event_id:
            return "a redirect to another origin, to which Last-Event-ID is not sent: connect to it"
        return None

    def _refusal(self, headers: Mapping[str, str]) -> tuple[type[ResponseError], str] | None:
        """Return why an answer of status 200 is no stream that is read; None: it is one."""
        kind = headers.get("content-type", "")
        if not is_event_stream(kind, self._strict):
            return ContentTypeError, f"the answer is {kind or 'of no type'}, not {_MEDIA_TYPE}"
        coding = unasked_coding(headers.get("content-encoding", ""), self._accept_encoding)
        return (ContentEncodingError, coding) if coding else None

    def receive(self, chunk: bytes) -> None:
        """Take bytes of an open stream; what they complete is then `ready`."""
        try:
            self._add(self._decoder.feed(chunk))
        except EventTooLarge as error:
            events, error.values = error.values, []
            self._add(events)
            self._due = self._due or partial(self._fail, error)

    def ended(self) -> None:
        """The body has come to its proper end."""
        self._due = self._due or partial(self._resume, "the stream ended", None)

    def lost(self, reason: str, cause: Exception | None = None) -> None:
        """The connection could not be made, or was cut."""
        lost = partial(ConnectionLost, url=self._url)
        self._due = self._due or partial(self._resume, reason, lost, cause)

    def interrupted(self) -> None:
        """What the face was doing was broken off, by a cancellation or an exception of others."""
        if self._state == "open" and self._due is None:
            self.lost("the read was interrupted")

    def failed(self, reason: str, cause: Exception) -> None:
        """The request cannot be made, however often it is tried."""
        error = ConnectionLost(self._told(reason, ""), self._url)
        self._due = partial(self._fail, error, cause)

    def refused(
        self, status: int, headers: Mapping[str, str], body: bytes, size: int, why: str = ""
    ) -> None:
        """The answer is no stream; `why` tells it, if its status and headers do not."""
        make: Any = StatusError
        kind = headers.get("content-type", "")
        said = why or f"HTTP {status}{_phrase(status)}, {kind or 'of no type'}"
        if status == HTTPStatus.OK and not why and (refusal := self._refusal(headers)):
            make, said = refusal
        shown = error_message(body) or repr(body[:_LONGEST_SHOWN].decode(errors="replace"))
        shown += "…" * (len(body) > _LONGEST_SHOWN and shown[0] == "'")
        told = f"{said}: {shown} ({size} bytes)" if body else f"{said} ({size} bytes)"
        make = partial(
            make, url=self._url, status=status, content_type=kind, body=body, body_size=size
        )
        if status in (408, 429) or (status >= 500 and status not in (501, 505)):
            asked = retry_after(headers.get("retry-after", ""), self._wall())
            self._due = partial(self._again, told, make, None, asked, reason=said)
        else:
            self._due = partial(self._fail, make(self._told(told, "")))

    # ---- what it gives ----

    def take(self) -> ServerSentEvent | None:
        """Give the next event that is ready, None if there is none; it counts as received then."""
        try:
            event = self.ready.popleft()
        except IndexError:  # also where another thread has just closed it
            return None
        more = self.ready or self.complete  # else an id without an event may have followed
        self.last_event_id = str(event.id or "") if more else self._decoder.last_event_id
        return event

    @property
    def is_due(self) -> bool:
        """Whether `decide` is to be asked, once nothing is ready."""
        return self._due is not None

    def decide(self) -> Reconnecting | None:
        """Tell what follows from what happened: a wait and an attempt, or (None) the end.

        Raises:
            ClientError: the end, and not a good one: a `ConnectionLost`, `StatusError` or
                `ContentTypeError` that tells why there is no further attempt.
            EventTooLarge: an event was beyond the limit.
        """
        assert self._due is not None
        due, self._due = self._due, None
        return due()

    def pause(self) -> float:
        """Give the seconds that are still to be waited before the next attempt."""
        return self._not_before - self._now()

    # ---- decisions ----

    def _add(self, events: list[ServerSentEvent]) -> None:
        if self._decoder.retry is not None:
            self.retry = self._decoder.retry
        for event in events:
            self.ready.append(event)
            if self._is_last(event):
                self.complete = True
                self._due = self.close  # without waiting for the server to close
                return
        if not self.ready:
            self.last_event_id = self._decoder.last_event_id

    def _may_repeat(self) -> bool:
        return self._repeatable or self._method in _SAFE_METHODS or bool(self.last_event_id)

    def _resume(
        self, reason: str, make: _Failure | None, cause: Exception | None = None
    ) -> Reconnecting | None:
        """Go on behind the end (`make` is None) or a cut."""
        if make is None and (self._policy is None or not self._may_repeat()):
            self.close()
            return None
        return self._again(reason, make or partial(ConnectionLost, url=self._url), cause)

    def _again(
        self,
        told: str,
        make: _Failure,
        cause: Exception | None,
        asked: float | None = None,
        reason: str = "",
    ) -> Reconnecting:
        """Decide on another attempt; if there is to be none, raise why."""
        policy, now = self._policy, self._now()
        if policy is None:
            self._fail(make(self._told(told, "")), cause)
        opened, self._opened = self._opened, None
        if opened is not None and now - opened >= policy.healthy_after:
            self._attempt, self._row_began = 0, now
        hint = None if self.retry is None else self.retry / 1000
        delay = policy.delay(self._attempt, hint, asked or 0, self._chance())
        waited = now - (now if self._row_began is None else self._row_began)
        obstacle = self._obstacle() or policy.exhausted(self._attempt, waited, delay)
        if obstacle:
            self._fail(make(self._told(told, obstacle)), cause)
        self._attempt += 1
        self._not_before = now + delay
        self._enter("waiting")
        return Reconnecting(self._attempt, delay, reason or told, self.last_event_id)

    def _obstacle(self) -> str:
        """Tell why the request may not be made again; "" where it may."""
        if not self._may_repeat():
            return f"a {self._method} is not repeated unless repeatable=True or an id was seen"
        if _CONTROLS.search(self.last_event_id):
            return "the last id holds a control character and cannot be sent in a header"
        if (size := len(self.last_event_id.encode(errors="replace"))) > LONGEST_ID:
            return f"the last id has {size} bytes, and more than {LONGEST_ID} are not sent"
        return ""

    def _fail(self, error: Exception, cause: Exception | None = None) -> NoReturn:
        self.close()
        raise error from cause

    def _told(self, message: str, hint: str) -> str:
        return f"{self._method} {self._url}: {message}" + (f"; {hint}" if hint else "")


def _phrase(status: int) -> str:
    """The usual name of a status behind a space; "" where it has none."""
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""
