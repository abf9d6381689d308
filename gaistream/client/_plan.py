"""The decisions of a reconnecting client, without I/O. Both event sources follow this plan.

Guarantees: a request that may not be repeated is not repeated; no delay is shorter than the server
asked for; a stream resumes after the last event that was read; events that came before a cut are
read before the cut is handled; every wait and every row of attempts has a limit.

How: an event source reports what happens (`begin_attempt`, `judge`, `receive`, `ended`, `lost`,
`refused`), yields the events that are `ready`, and then calls `decide`: this returns a
`Reconnecting` for a new attempt after `pause()` seconds, returns None at the end, or raises.
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
from ..dialects.detect import Detector
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
from ..http.received import MEDIA_TYPES, error_message, is_event_stream, retry_after
from ..reading.reader import MAX_BYTES
from ..reading.responses import type_mismatch
from ._policy import Reconnecting, ReconnectPolicy

State = Literal["connecting", "open", "waiting", "closed"]
Verdict = Literal["open", "over", "redirect", "refused"]
_MakeError = Callable[[str], ClientError]  # of its message

_MEDIA_TYPE = MEDIA_TYPES["sse"][0]
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
LONGEST_ID = 1024  # bytes of an id that is sent
_LONGEST_SHOWN = 200  # bytes of a body in a message


class Plan:
    """The state and the decisions of one stream. Belongs to one task; any may call `close`.

    Args:
        method, url: of the request; `url` is shown in errors.
        policy: None: no reconnecting.
        repeatable, last_event_id, redirects, strict_content_type, max_event_bytes: see EventSource.
        is_last: returns True for the last event of the answer; None: that of its protocol.
        accept_encoding: the header of the request.
        now, wall, chance: the clocks, and a random number from 0 to 1.

    Attributes:
        ready: events to be read.
        complete: True once the last event of the answer has come.
        last_event_id, retry: see EventSource.
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
        self._is_last, self._limit = is_last or Detector().is_last, max_event_bytes
        self._accept_encoding, self._strict = accept_encoding, strict_content_type
        self._now, self._wall, self._chance = now, wall, chance
        self._state: State = "connecting"
        self._decoder = self._new_decoder()
        self._attempt = 0  # reconnects in this row
        self._row_began: float | None = None
        self._opened_at: float | None = None
        self._next_attempt = 0.0
        self._redirects_followed = 0
        self.complete = False
        self._due: Callable[[], Reconnecting | None] | None = None  # the decision after `ready`

    def _new_decoder(self) -> SSEDecoder:
        limit, last = self._limit, self.last_event_id
        return SSEDecoder(max_event_bytes=limit, last_event_id=last)

    @property
    def state(self) -> State:
        """The state, as EventSource shows it."""
        return self._state

    def close(self) -> None:
        """End the stream: there are no more events and attempts."""
        self._state = "closed"
        self.ready.clear()
        self._due = None

    def _enter(self, state: State) -> None:
        if self._state != "closed":
            self._state = state

    # ---- reports of the event source ----

    def begin_attempt(self) -> dict[bytes, bytes]:
        """Return the headers of an attempt that begins."""
        self._enter("connecting")
        if self._row_began is None:
            self._row_began = self._now()
        self._redirects_followed = 0
        headers = {b"Accept": _MEDIA_TYPE.encode(), b"Cache-Control": b"no-store"}
        # identity: a compressed stream is often a delayed one
        headers[b"Accept-Encoding"] = self._accept_encoding.encode()
        if last := self.last_event_id.strip(" \t"):
            headers[b"Last-Event-ID"] = last.encode(errors="replace")
        return headers

    def judge(self, status: int, headers: Mapping[str, str]) -> Verdict:
        """Return how a response is to be treated; "over": the server has no more events."""
        if status == HTTPStatus.NO_CONTENT:
            self.close()
            return "over"
        if status in _REDIRECTS and "location" in headers and self._redirects != "none":
            return "redirect"
        if status == HTTPStatus.OK and self._refusal(headers) is None:
            self._enter("open")
            self._opened_at = self._now()
            self._decoder = self._new_decoder()
            return "open"
        return "refused"

    def count_redirect(self, method: str, same_origin: bool) -> str:
        """Return why a redirect is not followed; "" if it is."""
        self._redirects_followed += 1
        if self._redirects_followed > _MOST_REDIRECTS:
            return f"more than {_MOST_REDIRECTS} redirects in a row"
        if method != self._method:
            return f"a redirect that would make a {method} of this {self._method}"
        if not same_origin and self._redirects != "any":
            return "a redirect to another origin, which redirects='any' would follow"
        if not same_origin and self.last_event_id:
            return "a redirect to another origin, to which Last-Event-ID is not sent: connect to it"
        return ""

    def _refusal(self, headers: Mapping[str, str]) -> tuple[type[ResponseError], str] | None:
        """Return the error and the reason for refusing a response of status 200, or None."""
        content_type = headers.get("content-type", "")
        if not is_event_stream(content_type, self._strict):
            return ContentTypeError, type_mismatch(content_type)
        coding = unasked_coding(headers.get("content-encoding", ""), self._accept_encoding)
        return (ContentEncodingError, coding) if coding else None

    def receive(self, chunk: bytes) -> None:
        """Decode a chunk of an open stream; its events are then `ready`."""
        try:
            self._queue(self._decoder.feed(chunk))
        except EventTooLarge as error:
            events, error.values = error.values, []
            self._queue(events)
            self._due = self._due or partial(self._fail, error)

    def ended(self) -> None:
        """The body has ended properly."""
        self._due = self._due or partial(self._resume, "the stream ended", None)

    def lost(self, reason: str, cause: Exception | None = None) -> None:
        """The connection could not be made or was cut."""
        lost = partial(ConnectionLost, url=self._url)
        self._due = self._due or partial(self._resume, reason, lost, cause)

    def interrupted(self) -> None:
        """A cancellation or an exception of the caller's code interrupted the event source."""
        if self._state == "open" and self._due is None:
            self.lost("the read was interrupted")

    def failed(self, reason: str, cause: Exception) -> None:
        """The request failed, and every repetition would fail too."""
        error = ConnectionLost(self._message(reason), self._url)
        self._due = partial(self._fail, error, cause)

    def refused(
        self, status: int, headers: Mapping[str, str], body: bytes, size: int, why: str = ""
    ) -> None:
        """The response is not a stream: for `why`, or if that is "", by its status or headers."""
        error_type: Any = StatusError
        content_type = headers.get("content-type", "")
        reason = why or f"HTTP {status}{_phrase(status)}, {content_type or 'of no type'}"
        if status == HTTPStatus.OK and not why and (refusal := self._refusal(headers)):
            error_type, reason = refusal
        message = f"{reason}: {_shown(body)} ({size} bytes)" if body else f"{reason} ({size} bytes)"
        make_error = partial(
            error_type,
            url=self._url,
            status=status,
            content_type=content_type,
            body=body,
            body_size=size,
        )
        if status in (408, 429) or (status >= 500 and status not in (501, 505)):
            wait = retry_after(headers.get("retry-after", ""), self._wall())
            self._due = partial(self._retry, message, make_error, None, wait, reason=reason)
        else:
            self._due = partial(self._fail, make_error(self._message(message)))

    # ---- questions of the event source ----

    def take(self) -> ServerSentEvent | None:
        """Return the next event that is ready, or None. It counts as read from now on."""
        try:
            event = self.ready.popleft()
        except IndexError:  # another thread may just have closed the plan
            return None
        more = self.ready or self.complete  # if not, an id without an event may have followed
        self.last_event_id = str(event.id or "") if more else self._decoder.last_event_id
        return event

    @property
    def is_due(self) -> bool:
        """True if `decide` must be called once no event is ready."""
        return self._due is not None

    def decide(self) -> Reconnecting | None:
        """Return the next attempt, after `pause()` seconds, or None at the end of the stream.

        Raises:
            ClientError: the stream failed; the message says why there is no further attempt.
            EventTooLarge: an event beyond the limit.
        """
        assert self._due is not None
        due, self._due = self._due, None
        return due()

    def pause(self) -> float:
        """Return the seconds left until the next attempt; 0 or less: it is due."""
        return self._next_attempt - self._now()

    # ---- decisions ----

    def _queue(self, events: list[ServerSentEvent]) -> None:
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
        self, reason: str, make_error: _MakeError | None, cause: Exception | None = None
    ) -> Reconnecting | None:
        """Decide after the end of a body (`make_error` is None) or a cut."""
        if make_error is None and (self._policy is None or not self._may_repeat()):
            self.close()
            return None
        return self._retry(reason, make_error or partial(ConnectionLost, url=self._url), cause)

    def _retry(
        self,
        message: str,
        make_error: _MakeError,
        cause: Exception | None,
        wait: float | None = None,
        reason: str = "",
    ) -> Reconnecting:
        """Return the next attempt, or raise the error if there is none.

        Args:
            message, make_error, cause: of the error.
            wait: the seconds of a Retry-After.
            reason: for the attempt; "": the message.
        """
        policy, now = self._policy, self._now()
        if policy is None:
            self._fail(make_error(self._message(message)), cause)
        opened, self._opened_at = self._opened_at, None
        if opened is not None and now - opened >= policy.healthy_after:
            self._attempt, self._row_began = 0, now
        hint = None if self.retry is None else self.retry / 1000
        delay = policy.delay(self._attempt, hint, wait or 0, self._chance())
        elapsed = now - (now if self._row_began is None else self._row_began)
        obstacle = self._obstacle() or policy.exhausted(self._attempt, elapsed, delay)
        if obstacle:
            self._fail(make_error(self._message(message, obstacle)), cause)
        self._attempt += 1
        self._next_attempt = now + delay
        self._enter("waiting")
        return Reconnecting(self._attempt, delay, reason or message, self.last_event_id)

    def _obstacle(self) -> str:
        """Return why the request may not be repeated; "" if it may."""
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

    def _message(self, problem: str, obstacle: str = "") -> str:
        return f"{self._method} {self._url}: {problem}" + (f"; {obstacle}" if obstacle else "")


def _phrase(status: int) -> str:
    """Return a space and the usual name of a status; "" if it has none."""
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""


def _shown(body: bytes) -> str:
    """Return the message of a refused body, or the beginning of the body."""
    if message := error_message(body):
        return message
    return repr(body[:_LONGEST_SHOWN].decode(errors="replace")) + "…" * (len(body) > _LONGEST_SHOWN)
