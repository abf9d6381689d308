"""The base of providers that ask a service over HTTP, by httpx or httpx2.

Guarantees: events of the service's dialect as soon as their bytes arrive; every failure is a
`StreamError` or an `Error` event whose text may be shown to a client (it names the service's host,
but holds no key, header, address or HTML); the response, and an own client, are closed in every
outcome: the end, an error, a consumer that stops early, a cancellation.

How: one POST, its body read by an `EventDecoder`; what a service has of its own (URL, headers,
body, dialect, whole answers) are methods and attributes of its subclass. An attempt that fails
before its first event may be repeated. The library is an extra (`gaistream[httpx]` or `[httpx2]`),
imported when a provider is created.
"""

from __future__ import annotations

import contextlib
import itertools
import random
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from .._log import late_logger
from ..chat import ChatRequest
from ..client.http import Excerpt, check_url, http_library, public_url, refused_coding
from ..core import ServerSentEvent, json_bytes, read_json
from ..errors import ContentEncodingError, EventTooLarge, StreamError
from ..events import Done, Error, Event, Start, StepReset
from ..http import received
from ..loops import event_loop
from ..reading.chunks import abody_of
from ..reading.events import EventDecoder
from ..reading.linger import alinger
from ..reading.reader import MAX_BYTES
from ..reading.responses import REFUSED_BYTES
from .failures import FailedAttempt, failure, public_text, refusal, retries_status, retry_after

if TYPE_CHECKING:
    import httpx
    import httpx2

__all__ = ["HTTPProvider"]

_log = late_logger("gaistream.providers")

_SHORTEST_SECRET = 8  # characters: a shorter header value is a word, such as "beta"
_LINGER = 1.0  # seconds for a body to end after its terminator, so that its connection is kept
_FIRST_DELAY = 0.5  # seconds before the first repetition; each further delay is twice as long
_LONGEST_DELAY = 8.0  # seconds before a repetition if the service names no time
_LONGEST_RETRY_AFTER = 60.0  # seconds of a Retry-After that are waited; beyond it the request fails
_TRANSIENT: Final = frozenset(
    {"truncated", "truncated_tool_call", "overloaded_error", "api_error", "timeout_error",
     "rate_limit_error", "server_error", "rate_limit_exceeded", "overloaded", "internal_error",
     "UNAVAILABLE", "INTERNAL", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"}
)  # fmt: skip
"""Codes of an `Error` after which the same request may succeed."""


class HTTPProvider:
    """The base class of providers that ask a service over HTTP.

    A subclass declares what its service has of its own, and writes the body of a request.

    Args:
        base_url: the URL before the path of the service's method; a query stays. None: the
            vendor's own, `default_url`.
        api_key: the key, in the header that the service wants; None: none is sent. The environment
            is not read.
        model: for requests without a model; None: these are sent without one.
        client: an `AsyncClient` of httpx or httpx2, which stays open and keeps its connections.
            None: each request has its own, which is closed with it.
        timeout: seconds to wait for a connection, and for each next piece of the answer; None:
            unlimited.
        headers: further headers; they replace the provider's own of the same name.
        retries: how often a request is repeated that failed before anything of its answer came: a
            status of 408, 409, 429 or from 500 on, no connection, no answer in time, an answer
            that was cut or began with such an error. A Retry-After is obeyed, up to 60 seconds (a
            longer one ends the request); else the delays grow from 0.5 to 8 seconds. 0: never,
            since most clients repeat their requests themselves.
        restart: repeat a request, within `retries`, after a part of its answer came, too: a
            `StepReset` then says that this part is void.

    Raises:
        ImportError: neither httpx nor httpx2 is installed.
        ValueError: `base_url` is not an http or https URL, a header cannot carry the key, or
            `retries` is negative.

    A request fails with a `StreamError` whose `code` is `provider_auth`, `rate_limited` (status
    429, with `retry_after`), `provider_rejected`, `provider_failed`, `provider_unreachable` or
    `provider_timeout` (status 504); the others have status 502. It is raised before the first
    event, so with `hold_headers=True` a client gets that status. Redirects are not followed.
    """

    default_url: ClassVar[str]
    dialect: str  # of the answer
    format: str = "sse"
    own_headers: ClassVar[Mapping[str, str]] = {}  # of every request

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        model: str | None = None,
        client: httpx.AsyncClient | httpx2.AsyncClient | None = None,
        timeout: float | None = 60.0,
        headers: Mapping[str, str] | None = None,
        retries: int = 0,
        restart: bool = False,
    ) -> None:
        self._http: Any = http_library(type(self).__name__, client)
        if api_key is not None and not (api_key.isascii() and api_key.isprintable()):
            raise ValueError("api_key must be printable ASCII")  # its value must not be logged
        if retries < 0:
            raise ValueError(f"retries must be at least 0, not {retries}")
        url = self.default_url if base_url is None else base_url
        self._base = check_url(self._http, "base_url", url)
        self._model = model
        self._client: Any = client
        # Loading the certificates can take longer than a request, so they are loaded once.
        self._tls = self._http.create_ssl_context() if client is None else None
        self._timeout = timeout
        accept = received.MEDIA_TYPES[self.format][0]
        self._headers = self._http.Headers({"Accept": accept})
        self._headers["Accept-Encoding"] = "identity"  # a compressed stream is often a delayed one
        self._headers["Content-Type"] = "application/json"
        self._headers.update(self.own_headers)
        if api_key:
            self._headers.update(self.key_headers(api_key))
        self._headers.update(headers)
        values = (api_key or "", *(headers or {}).values())
        self._secrets = [value for value in values if len(value) >= _SHORTEST_SECRET]
        self._retries, self._restart = retries, restart

    # ---- what a service has of its own ----

    def key_headers(self, api_key: str) -> dict[str, str]:
        """Return the headers that carry the key."""
        return {"Authorization": f"Bearer {api_key}"}

    def url(self, request: ChatRequest) -> Any:
        """Return the URL for a request; see `under_base`."""
        raise NotImplementedError

    def body(self, request: ChatRequest) -> dict[str, Any]:
        """Return the JSON body for a request.

        Raises:
            InvalidRequest: the service has no way to say a part of it.
        """
        raise NotImplementedError

    def frames_of_whole(self, answer: Any) -> Iterable[Any]:  # noqa: ARG002
        """Yield a whole answer, parsed from JSON, as the payloads of a stream.

        Raise ValueError, LookupError or TypeError if it is not an answer of the service.
        """
        raise ValueError("no whole answers")

    def wait_in(self, body: bytes | bytearray) -> float | None:  # noqa: ARG002
        """Return the seconds to wait that the body of a refusal names, None if it names none."""
        return None

    # ---- the exchange ----

    def under_base(self, path: str, **query: str) -> Any:
        """Return a URL of the service; a query of the base (Azure's `api-version`) stays."""
        url = self._base.copy_with(path=f"{self._base.path.rstrip('/')}{path}")
        return url.copy_merge_params(query) if query else url

    @property
    def host(self) -> str:
        """The name of the service's host."""
        name: str = self._base.host
        return name

    async def stream_text(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Send a request and yield the events of the answer as they come, without a `Done`.

        Raises:
            StreamError: the service cannot be reached, refuses, fails, or stops sending.
            InvalidRequest: the service has no way to say a part of the request.
        """
        content = json_bytes(self.body(request), errors="replace")
        url = self.url(request)
        started, void = False, False  # a Start was yielded; since the last StepReset anything was
        for number in itertools.count():
            try:
                async with self._attempt(url, content) as events:
                    async for event in events:
                        if type(event) is Error:
                            self._check_repeatable(event, number, void)
                        elif started and type(event) is Start:
                            continue  # of a repetition
                        started = void = True
                        yield event
                return
            except FailedAttempt as failed:
                delay = self._delay(failed, number, void)
                if delay is None:
                    raise failed.error from failed.__cause__
            if void:
                void = False
                yield StepReset()
            await event_loop().sleep(delay)

    def _check_repeatable(self, error: Error, number: int, void: bool) -> None:
        """Raise FailedAttempt if the request of an answer that ends so can be repeated."""
        failed = FailedAttempt(
            StreamError(error.message), transient=error.code in _TRANSIENT, wait=error.retry_after
        )
        if self._delay(failed, number, void) is not None:
            raise failed

    def _delay(self, failed: FailedAttempt, number: int, void: bool) -> float | None:
        """Return the seconds before a request is repeated; None if it is not.

        Args:
            failed: the last attempt.
            number: of repetitions before it.
            void: a part of its answer was yielded.
        """
        if not failed.transient or number >= self._retries or (void and not self._restart):
            return None
        if failed.wait is not None:
            return failed.wait if failed.wait <= _LONGEST_RETRY_AFTER else None
        delay = min(_FIRST_DELAY * 2.0 ** min(number, 10), _LONGEST_DELAY)
        return delay * random.uniform(0.75, 1)  # noqa: S311, so that clients do not return at once

    @contextlib.asynccontextmanager
    async def _attempt(
        self, url: Any, content: bytes
    ) -> AsyncGenerator[AsyncGenerator[Event, None], None]:
        """Send the request once and open the events of its answer.

        Failures in the block, which reads them, become FailedAttempt too.
        """
        httpx = self._http
        try:
            async with contextlib.AsyncExitStack() as stack:
                client = self._client
                if client is None:
                    client = httpx.AsyncClient(verify=self._tls or True)
                    await stack.enter_async_context(client)
                opening = client.stream(
                    "POST",
                    url,
                    content=content,
                    headers=self._headers,
                    timeout=self._timeout,
                    follow_redirects=False,  # the key and the conversation are for this host
                )
                response = await stack.enter_async_context(opening)
                read = await self._reader_for(response)
                yield await stack.enter_async_context(contextlib.aclosing(read(response)))
        except (httpx.RequestError, httpx.InvalidURL, UnicodeError) as error:
            # The last two: a Location or a cookie of the service that no request can carry.
            kind, message = type(error).__name__, self._public(str(error))
            _log.warning("the provider at %s: %s: %s", public_url(url), kind, message)
            raise self._unreachable(error) from error
        except EventTooLarge as error:
            raise self._failed("sent too large an event") from error
        except ContentEncodingError as error:
            raise self._failed("sent an answer that cannot be decompressed") from error

    async def _reader_for(self, response: Any) -> Callable[[Any], AsyncGenerator[Event, None]]:
        """Return the method that reads a response; raise FailedAttempt if none can."""
        if not response.is_success:
            raise await self._refusal(response)
        if refused_coding(response):
            raise self._failed("compressed its answer without being asked")
        content_type = response.headers.get("content-type", "")
        if self.is_stream(content_type):
            return self._read
        if received.is_json(content_type):
            return self._read_whole
        raise self._failed(f"sent {received.media_type(content_type)[:80]} {self._instead()}")

    def is_stream(self, content_type: str) -> bool:
        """Return True if a response of this type is read as a stream."""
        if self.format == "sse":
            return received.is_event_stream(content_type)
        return received.media_type(content_type) in (*received.MEDIA_TYPES[self.format], "")

    def _instead(self) -> str:
        return f"instead of {received.MEDIA_TYPES[self.format][0]}"

    async def _refusal(self, response: Any) -> FailedAttempt:
        """Return the failure for a status that is not a success."""
        status, headers = response.status_code, response.headers
        excerpt = await Excerpt(response, REFUSED_BYTES).aread()
        message = self._public(received.error_message(excerpt.body))
        _log.warning("%s answered %d: %s", self._name, status, message or "(no message)")
        wait = retry_after(headers)
        wait = self.wait_in(excerpt.body) if wait is None else wait
        advice = headers.get("x-should-retry", "").lower()  # of OpenAI and Anthropic
        return FailedAttempt(
            refusal(self._name, status, message, wait),
            transient=advice == "true" or (advice != "false" and retries_status(status)),
            wait=wait,
        )

    async def _read_whole(self, response: Any) -> AsyncGenerator[Event, None]:
        """Yield the events of an answer that is one JSON value: a whole answer, or an error."""
        body = bytearray()
        async with contextlib.aclosing(abody_of(response)) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) > MAX_BYTES:
                    raise self._failed("sent too large an answer")
        message = self._public(received.error_message(body))
        if message:
            _log.warning("%s answered %d: %s", self._name, response.status_code, message)
            raise self._failed(f"failed: {message}")
        decoder = EventDecoder(self.format, self.dialect)
        for frame in self._frames(body):
            for event in self._public_events(decoder.feed(frame)):
                yield event
        for event in self._public_events(decoder.close()):
            yield event

    def _frames(self, body: bytearray) -> list[Any]:
        """Return a whole answer as the frames of a stream."""
        try:
            payloads = list(self.frames_of_whole(read_json(bytes(body), "replace")))
        except (ValueError, LookupError, TypeError, AttributeError):
            raise self._failed(f"sent JSON {self._instead()}") from None
        if self.format != "sse":
            return [json_bytes(each, newline=True, errors="replace") for each in payloads]
        return [
            ServerSentEvent(
                each if isinstance(each, str) else json_bytes(each, errors="replace").decode()
            )
            for each in payloads
        ]

    async def _read(self, response: Any) -> AsyncGenerator[Event, None]:
        """Yield the events of a body. A cut is an end; the dialect's reader recognises it."""
        decoder = EventDecoder(self.format, self.dialect)
        async with contextlib.aclosing(abody_of(response)) as chunks:
            with contextlib.suppress(self._http.ReadError, self._http.RemoteProtocolError):
                async for chunk in chunks:
                    too_large = None
                    try:
                        decoded = decoder.feed(chunk)
                    except EventTooLarge as error:
                        decoded, too_large = error.values, error
                    for event in self._public_events(decoded):
                        yield event
                    if too_large is not None:
                        raise too_large
                    if decoder.ended:
                        break
            for event in self._public_events(decoder.close()):
                yield event
            if self._client is not None:
                await alinger(response, chunks, _LINGER)

    def _public_events(self, events: list[Event]) -> list[Event]:
        """Return the events without a `Done` and without secrets in errors."""
        return [
            Error(self._public(event.message), event.code, event.retry_after)
            if isinstance(event, Error)
            else event
            for event in events
            if not isinstance(event, Done)
        ]

    def _public(self, message: str) -> str:
        return public_text(message, self._secrets)

    @property
    def _name(self) -> str:
        """How errors call the service."""
        return f"the provider at {self.host}"

    def _failed(self, what: str) -> FailedAttempt:
        return FailedAttempt(failure(f"{self._name} {what}", "failed"))

    def _unreachable(self, error: Exception) -> FailedAttempt:
        """Return the failure for an exchange that broke off; it holds no address."""
        transient = isinstance(error, self._http.TransportError)
        what, kind, status = "broke off the exchange", "failed", 502
        if isinstance(error, self._http.ConnectTimeout):
            what, kind, status = "could not be reached in time", "timeout", 504
        elif isinstance(error, self._http.TimeoutException):
            what, kind, status = "did not answer in time", "timeout", 504
        elif isinstance(error, self._http.NetworkError):
            what, kind = "could not be reached", "unreachable"
        return FailedAttempt(failure(f"{self._name} {what}", kind, status), transient=transient)
