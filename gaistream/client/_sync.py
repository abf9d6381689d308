"""`EventSource`: the client's blocking face, for one thread; any thread may close it.

It keeps nothing of its own but a connection: what to do is the plan's to say. `close` shuts the
socket down, which ends a read that blocks in another thread; that thread then lets go of the rest.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from typing import Any, Self

from ..core import ServerSentEvent
from ..reading.chunks import body_of
from ._base import LINGER, Source
from ._plan import Verdict
from .http import Excerpt

_RESET = struct.pack("ii", 1, 0)  # on, and 0 s


class EventSource(Source):
    """Server-Sent Events over HTTP, over as many connections as it takes.

    `with connect_sse(url) as events: for event in events: ...`; entering connects, so that a
    refusal is raised there. Belongs to one thread, but `close` may be called by any.

    It reconnects after a cut, and after an end that was not the answer's, with Last-Event-ID: GET
    always, other methods where `repeatable` says so or an id was seen. Status 204 ends it; 408, 429
    and 5xx (but 501 and 505) are tried again, after the time of a Retry-After; any other status but
    200 is final. The last event of an answer is the end, whether or not the server closes.

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
        client: a `Client` of httpx or httpx2 to use (`AsyncClient` for the async face), which stays
            open. None: one is made and closed, of httpx if both are installed.
        last_event_id: where to resume from; at most 1024 bytes.
        reconnect: a `ReconnectPolicy`; True: the default one; False: one connection, whose proper
            end is the end.
        repeatable: the request may be repeated, though it is no GET.
        on_reconnect: called with a `Reconnecting` before each wait; the async face awaits what it
            returns.
        is_last: called with each event; what it returns True for is the last event, after which
            nothing is read. None: the last event of the protocol that the stream speaks (see
            `ends_answer`). For a feed without end: `lambda event: False`.
        redirects: which are followed: "same-origin", "any" or "none"; never one that would drop
            the body. To another origin go only the body, `Accept` and the cookies that the
            redirect itself sets.
        strict_content_type: insist on text/event-stream; else text/plain and no type at all are
            read, too, as some servers label their streams.
        connect_timeout: seconds to connect, to send, and to wait for a connection of the client's.
        open_timeout: seconds in all from the attempt's beginning to the head of the answer,
            whatever comes meanwhile (redirects, informational answers); None: no ceiling.
        read_timeout: seconds without a byte, such as one of a heartbeat, after which a connection
            counts as lost; None: never.
        max_event_bytes: the limit of one event.

    Attributes:
        state, last_event_id, retry: see there.
        response: the last `Response` of httpx or httpx2, for its headers; None before the first.

    Raises:
        ValueError, TypeError: an argument that cannot be used. When entered or iterated:
        StatusError, ContentTypeError: the server refused, finally or too often.
        ContentEncodingError: the body has a coding that the headers did not ask for.
        ConnectionLost: the connection failed, and may not or could not be made again.
        EventTooLarge: an event beyond the limit.
    """

    _CLIENT = "Client"

    def _prepare(self) -> None:
        self._chunks: Iterator[bytes] | None = None
        self._stream: Any = None  # the network stream that a read may block on
        self._busy = False  # a thread is in __next__
        self._taken: list[int] = []  # sockets that were taken from it, to be closed
        self._lock = threading.Lock()  # guards the three above
        self._closing = threading.Event()
        self._expired = False  # no answer came in time

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
        handled = sys.exception()
        try:
            step()
        except self._failures as error:
            self._drop()
            if self._expired:
                self._late()
            else:
                self._failed(error, handled)

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
            self._client = self._http.Client(**self._own_settings())
        with self._in_time(self._open_timeout), self._asking():
            verdict, why = self._ask()
        if self._expired:
            raise self._http.ReadTimeout("")  # the connection was ended just now
        response: Any = self.response
        if verdict == "open":
            self._watch(response)
            self._chunks = body_of(response)
        elif verdict == "over":
            self._drop()
        else:
            excerpt = Excerpt(response).read()
            self._drop()
            status, headers = response.status_code, response.headers
            self._plan.refused(status, headers, excerpt.body, excerpt.size, why)

    def _ask(self) -> tuple[Verdict, str]:
        """Ask, and follow redirects: the answer is then `response`."""
        request, auth = self._request(trace=self._trace), self._auth
        while True:
            response = self._client.send(request, auth=auth, stream=True, follow_redirects=False)
            self.response = response
            verdict, following, why = self._judge(response)
            if following is None:
                return verdict, why
            self._drop()
            request, auth = following, None

    # ---- the connection ----

    @contextlib.contextmanager
    def _in_time(self, seconds: float | None) -> Iterator[None]:
        """Make a block in which the connection ends after some seconds; None: never."""
        self._expired = False
        if seconds is None:
            yield
            return
        timer = threading.Timer(seconds, self._expire)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()

    def _expire(self) -> None:
        with self._lock:
            self._expired = True
            self._interrupt()

    def _trace(self, name: str, info: dict[str, Any]) -> None:
        """Hear of each new connection, from the first byte on."""
        if name in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            stream = info["return_value"]
            if self._is_own or not self._is_shared(stream):
                self._hold(stream)

    def _is_shared(self, stream: Any) -> bool:
        """True if a connection of the caller's client may carry other streams: over HTTP/2."""
        tls = stream.get_extra_info("ssl_object")
        protocol = None if tls is None else tls.selected_alpn_protocol()
        return bool(self._url.scheme == "https" if tls is None else protocol == "h2")

    def _watch(self, response: Any) -> None:
        if self._is_own or response.http_version.startswith("HTTP/1"):
            self._hold(response.extensions.get("network_stream"))

    def _hold(self, stream: Any) -> None:
        with self._lock:
            self._stream = stream
            if self._closing.is_set() or self._expired:
                self._interrupt()

    def _interrupt(self) -> None:
        """End the connection under a thread that reads from it."""
        held = None if self._stream is None else self._stream.get_extra_info("socket")
        if held is not None:
            with contextlib.suppress(OSError):
                # Reset at close: a server that has filled the receive window is not told otherwise.
                held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                # not SSLSocket's own shutdown, which takes TLS from under the reading thread
                socket.socket.shutdown(held, socket.SHUT_RDWR)
            # On Linux a server that goes on sending is read on: the next read must find no socket.
            if (taken := held.detach()) >= 0:
                self._taken.append(taken)

    def _drop(self) -> None:
        """Let go of the connection."""
        chunks, self._chunks = self._chunks, None
        if chunks is not None and self._plan.complete and not self._is_own:
            self._linger(chunks)
        with self._lock:
            self._stream, taken = None, self._taken
            self._taken = []
        if self.response is not None:
            self.response.close()
        for each in taken:
            socket.close(each)

    def _linger(self, chunks: Iterator[bytes]) -> None:
        """Read on to the end of a whole answer: then the caller's client keeps the connection."""
        if self._stream is not None:
            with contextlib.suppress(*self._failures), self._in_time(LINGER):
                for _ in chunks:
                    if self._expired:
                        break

    def _dispose(self) -> None:
        self._drop()
        if self._is_own and self._client is not None:
            self._client.close()
