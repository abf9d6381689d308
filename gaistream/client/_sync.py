"""`EventSource`: the blocking client, for one thread; any thread may close it.

It owns the connection and does what its plan decides. `close` shuts the socket down, which ends a
read that blocks in another thread; that thread then closes the connection.
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
from ..reading.linger import linger
from ._base import EventSourceBase
from ._plan import Verdict
from .http import Excerpt

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, for 0 s


class EventSource(EventSourceBase):
    """Server-Sent Events over HTTP, over as many connections as it takes.

    `with connect_sse(url) as events: for event in events: ...`. Entering connects, so a refusal is
    raised there. Belongs to one thread, but any thread may call `close`.

    It reconnects, with Last-Event-ID, after a cut and after an end before the answer is complete: a
    GET always, other methods if `repeatable` is True or an id was read. Status 204 is the end; 408,
    429 and 5xx (but 501 and 505) are tried again, not before the time of a Retry-After; any other
    status but 200 is final, and so is a certificate that cannot be verified. After the last event
    of an answer nothing is read, even if the server keeps the connection open.

    Args:
        url: an http or https URL.
        method: the method; None: POST if there is a body, else GET.
        params: the query, as httpx takes it.
        headers: as httpx takes them; they replace the client's own of the same name.
        content: the body: bytes or str, whole, so that it can be sent again.
        data: the body as a form, as httpx takes it.
        json: the body as JSON, as httpx takes it.
        auth: as httpx takes it (a pair, an `httpx.Auth`, a function of the request); used for each
            attempt.
        client: a `Client` of httpx or httpx2 (for the async class an `AsyncClient`), which stays
            open. None: an own one, of httpx if both are installed.
        last_event_id: where to resume from; at most 1024 bytes.
        reconnect: a `ReconnectPolicy`; True: the default one; False: one connection only.
        repeatable: True if a request other than GET may be repeated.
        on_reconnect: called with a `Reconnecting` before each wait; the async class awaits its
            result if that is awaitable.
        is_last: called with each event; True ends the stream after that event. None: the last event
            of the stream's protocol; see `ends_answer`. Endless feed: `lambda event: False`.
        redirects: which are followed: "same-origin", "any" or "none"; never one that would drop
            the body. To another origin go only the body, `Accept` and the cookies that the redirect
            itself sets.
        strict_content_type: accept text/event-stream only; otherwise also text/plain and no type,
            as some servers label their streams.
        connect_timeout: seconds to connect, to send, and to wait for a connection of the client.
        open_timeout: seconds from the beginning of an attempt to the headers of its response,
            redirects and informational responses included; None: unlimited.
        read_timeout: seconds without a byte (of a heartbeat, for example) after which a connection
            counts as lost; None: unlimited.
        max_event_bytes: the limit of one event, in bytes (16 MiB).

    Attributes:
        state, last_event_id, retry: see the properties.
        response: the last `Response` of httpx or httpx2, for its headers; None before the first.

    Raises:
        ValueError, TypeError: an argument that cannot be used.
        StatusError, ContentTypeError: on entering or iterating: the server refused, finally or too
            often.
        ContentEncodingError: on entering or iterating: the body has a coding that the headers did
            not ask for.
        ConnectionLost: on entering or iterating: the connection failed, and no reconnect was
            allowed or succeeded.
        EventTooLarge: on iterating: an event beyond the limit.
    """

    _CLIENT = "Client"

    def _prepare(self) -> None:
        self._chunks: Iterator[bytes] | None = None
        self._stream: Any = None  # the network stream that a read may block on
        self._busy = False  # a thread runs `_advance`
        self._detached: list[int] = []  # file descriptors of interrupted sockets, to be closed
        self._lock = threading.Lock()  # guards the three above
        self._closing = threading.Event()
        self._expired = False  # no response began in time

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ServerSentEvent:
        plan = self._plan
        if not plan.ready:
            self._advance(until_open=False)
        event = plan.take()
        if event is None:
            raise StopIteration
        return event

    def __enter__(self) -> Self:
        try:
            self._advance(until_open=True)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. An iteration in another thread ends at once."""
        self._closing.set()  # first: the other thread may be between two steps
        self._plan.close()
        with self._lock:
            if self._busy:
                self._interrupt()
                return
        self._dispose()

    # ---- steps ----

    def _advance(self, until_open: bool) -> None:
        """Connect, read and wait until an event is ready, the stream is open or it is closed.

        Args:
            until_open: return as soon as the stream is open.
        """
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
            plan.close()  # `close` caused the exception
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
                self._timed_out()
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
        with self._interrupted_after(self._open_timeout), self._requesting():
            verdict, why = self._send()
        if self._expired:
            raise self._http.ReadTimeout("")  # the connection was interrupted just now
        response: Any = self.response
        if verdict == "open":
            self._watch_response(response)
            self._chunks = body_of(response)
        elif verdict == "over":
            self._drop()
        else:
            excerpt = Excerpt(response).read()
            self._drop()
            status, headers = response.status_code, response.headers
            self._plan.refused(status, headers, excerpt.body, excerpt.size, why)

    def _send(self) -> tuple[Verdict, str]:
        """Send the request and follow redirects. Set `response`, return the verdict and why."""
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
    def _interrupted_after(self, seconds: float | None) -> Iterator[None]:
        """Interrupt the connection if the block takes longer than this; None: never."""
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
        """Watch each new connection, from before its first byte."""
        if name in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            stream = info["return_value"]
            if self._is_own or not self._may_be_shared(stream):
                self._watch_stream(stream)

    def _may_be_shared(self, stream: Any) -> bool:
        """Return True if a connection may carry other streams too, over HTTP/2."""
        tls = stream.get_extra_info("ssl_object")
        protocol = None if tls is None else tls.selected_alpn_protocol()
        return bool(self._url.scheme == "https" if tls is None else protocol == "h2")

    def _watch_response(self, response: Any) -> None:
        if self._is_own or response.http_version.startswith("HTTP/1"):
            self._watch_stream(response.extensions.get("network_stream"))

    def _watch_stream(self, stream: Any) -> None:
        with self._lock:
            self._stream = stream
            if self._closing.is_set() or self._expired:
                self._interrupt()

    def _interrupt(self) -> None:
        """End the connection while another thread may read from it."""
        sock = None if self._stream is None else self._stream.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):
                # Closing resets: a server that waits for a full window to open hears nothing else.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                # SSLSocket.shutdown would take TLS away from under the reading thread.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            # Linux reads on after a shutdown while the server sends, so take the socket away too.
            if (descriptor := sock.detach()) >= 0:
                self._detached.append(descriptor)

    def _drop(self) -> None:
        """Close the connection."""
        chunks, self._chunks = self._chunks, None
        if chunks is not None and self._plan.complete and not self._is_own:
            linger(self.response, chunks)  # the client may keep the connection
        with self._lock:
            self._stream, detached = None, self._detached
            self._detached = []
        if self.response is not None:
            self.response.close()
        for descriptor in detached:
            socket.close(descriptor)

    def _dispose(self) -> None:
        self._drop()
        if self._is_own and self._client is not None:
            self._client.close()
