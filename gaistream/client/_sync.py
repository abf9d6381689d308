"""`EventSource`: the client's blocking face, for one thread; any thread may close it.

It keeps nothing of its own but a connection: what to do is the plan's to say. `close` shuts the
socket down, which ends a read that blocks in another thread; that thread then lets go of the rest.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any, Self

import httpx

from .._backend import ServerSentEvent
from ._base import Excerpt, Source


class EventSource(Source):
    """Server-Sent Events over HTTP, over as many connections as it takes.

    `with connect_sse(url) as events: for event in events: ...`; entering connects, so that a
    refusal is raised there. Belongs to one thread, but `close` may be called by any.

    It reconnects after a cut, and after an end that was not the answer's, with Last-Event-ID: GET
    always, other methods where `repeatable` says so or an id was seen. Status 204 ends it; 408, 429
    and 5xx (but 501 and 505) are tried again, after the time of a Retry-After; any other status but
    200 is final. So that nothing is asked twice, an answer whose last event was seen is over.

    Args:
        url: an http or https URL.
        method: GET, or POST where there is a body, unless given.
        params: of the query, as httpx takes them.
        headers: as httpx takes them; they win over those that a client of streams sends.
        content: the body: bytes or str, whole, so that it can be sent again.
        data: the body as a form, as httpx takes it.
        json: the body as JSON, as httpx takes it.
        auth: as httpx takes it: a pair, an `httpx.Auth`, a function of the request; asked at each
            attempt.
        client: an `httpx.Client` to use (`httpx.AsyncClient` for the async face), which stays open;
            None: one of its own.
        last_event_id: where to resume from.
        reconnect: a `ReconnectPolicy`; True: the default one; False: one connection, whose proper
            end is the end.
        repeatable: the request may be repeated, though it is no GET.
        on_reconnect: called with a `Reconnecting` before each wait; the async face awaits what it
            returns.
        is_last: tells whether an event ends its answer; `ends_answer` knows those of the usual
            protocols.
        redirects: which are followed: "same-origin", "any" or "none"; never one that would drop
            the body.
        connect_timeout: seconds to connect, to send, and to wait for a connection of the client's.
        read_timeout: seconds without a byte, such as one of a heartbeat, after which a connection
            counts as lost; None: never.
        max_event_bytes: the limit of one event.

    Attributes:
        state, last_event_id, retry: see there.
        response: the last `httpx.Response`, for its headers; None before the first.

    Raises:
        ValueError, TypeError: an argument that cannot be used. When entered or iterated:
        StatusError, ContentTypeError: the server refused, finally or too often.
        ConnectionLost: the connection failed, and may not or could not be made again.
        EventTooLarge: an event beyond the limit.
    """

    _CLIENT = httpx.Client

    def _prepare(self) -> None:
        self._chunks: Iterator[bytes] | None = None
        self._stream: Any = None  # the network stream that a read may block on
        self._busy = False  # a thread is in __next__
        self._lock = threading.Lock()  # guards the two above
        self._closing = threading.Event()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ServerSentEvent:
        plan = self._plan
        if not plan.ready:
            self._work(until_open=False)
        event = plan.take()
        if event is None:
            raise StopIteration
        return event

    def __enter__(self) -> Self:
        try:
            self._work(until_open=True)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Be over: the connection is closed, and an iteration in another thread ends at once."""
        self._closing.set()  # first: the other thread may be between two questions to the plan
        self._plan.close()
        with self._lock:
            if self._busy:
                self._interrupt()
                return
        self._dispose()

    # ---- the work ----

    def _work(self, until_open: bool) -> None:
        """Connect, read and wait until an event is ready, or a stream open, or all is over."""
        plan = self._plan
        with self._lock:
            self._busy = True
        try:
            while not plan.ready and plan.state != "closed":
                if plan.is_due:
                    self._decide()
                elif (pause := plan.pause()) > 0:
                    self._closing.wait(pause)
                elif self._chunks is None:
                    self._attempt(self._open)
                else:
                    self._attempt(self._read)
                if until_open and plan.state == "open":
                    return
        except BaseException:
            self._drop()
            if not self._closing.is_set():
                plan.interrupted()
                raise
            plan.close()  # whatever a closed connection raised
        finally:
            with self._lock:
                self._busy = False
            if plan.state == "closed":
                self._dispose()

    def _decide(self) -> None:
        notice = self._plan.decide()
        if notice is not None and self._on_reconnect is not None:
            self._on_reconnect(notice)

    def _attempt(self, step: Any) -> None:
        try:
            step()
        except httpx.RequestError as error:
            self._drop()
            self._failed(error)

    def _read(self) -> None:
        assert self._chunks is not None
        chunk = next(self._chunks, None)
        if chunk is not None:
            self._plan.receive(chunk)
        else:
            self._drop()
            self._plan.ended()

    def _open(self) -> None:
        if self._client is None:
            self._client = httpx.Client(**self._own_settings())
        request = self._request(**({"trace": self._trace} if self._is_own else {}))
        auth = self._auth
        while True:
            response: httpx.Response = self._client.send(
                request, auth=auth, stream=True, follow_redirects=False
            )
            self.response = response
            verdict, following, why = self._judge(response)
            if following is None:
                break
            self._drop()
            request, auth = following, None
        if verdict == "open":
            self._watch(response)
            self._chunks = response.iter_bytes()
        elif verdict == "over":
            self._drop()
        else:
            self._refuse(response, why)

    def _refuse(self, response: httpx.Response, why: str) -> None:
        excerpt = Excerpt(response)
        with contextlib.suppress(httpx.RequestError):
            for chunk in response.iter_bytes():
                if excerpt.add(chunk):
                    break
        self._drop()
        status, headers = response.status_code, response.headers
        self._plan.refused(status, headers, excerpt.body, excerpt.size, why)

    # ---- the connection ----

    def _trace(self, name: str, info: dict[str, Any]) -> None:
        """Hear of each connection that our own client makes, from the first byte on."""
        if name in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._hold(info["return_value"])

    def _watch(self, response: httpx.Response) -> None:
        # over HTTP/2 a connection of the caller's client carries other streams, too
        if self._is_own or response.http_version.startswith("HTTP/1"):
            self._hold(response.extensions.get("network_stream"))

    def _hold(self, stream: Any) -> None:
        with self._lock:
            self._stream = stream
            if self._closing.is_set():
                self._interrupt()

    def _interrupt(self) -> None:
        """Shut the socket down: whoever reads from it reads its end."""
        held = None if self._stream is None else self._stream.get_extra_info("socket")
        if held is not None:
            with contextlib.suppress(OSError):
                # not SSLSocket's own shutdown, which takes TLS from under the reading thread
                socket.socket.shutdown(held, socket.SHUT_RDWR)

    def _drop(self) -> None:
        """Let go of the connection."""
        with self._lock:
            self._stream = None
        self._chunks = None
        if self.response is not None:
            self.response.close()

    def _dispose(self) -> None:
        self._drop()
        if self._is_own and self._client is not None:
            self._client.close()
