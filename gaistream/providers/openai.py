"""Any service with OpenAI's Chat Completions protocol, by httpx or httpx2.

Guarantees: events of the dialect `openai_chat` as soon as their bytes arrive; every failure is a
`StreamError` or an `Error` event whose text may be shown to a client (no key, header, address or
HTML); the response, and an own client, are closed in every outcome: the end, an error, a consumer
that stops early, a cancellation.

How: one POST with `stream: true`, its body read by an `EventDecoder`. The library is an extra
(`gaistream[httpx]` or `[httpx2]`), imported when a provider is created.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import TYPE_CHECKING, Any

from .._log import late_logger
from ..chat import ChatRequest
from ..client.http import Excerpt, check_url, http_library, public_url, refused_coding
from ..core import ServerSentEvent, json_bytes, read_json
from ..errors import ContentEncodingError, EventTooLarge, StreamError
from ..events import Done, Error, Event
from ..http import received
from ..reading.chunks import abody_of
from ..reading.events import EventDecoder
from ..reading.linger import alinger
from ..reading.reader import MAX_BYTES
from ..reading.responses import REFUSED_BYTES

if TYPE_CHECKING:
    import httpx
    import httpx2

__all__ = ["OpenAIProvider"]

_log = late_logger("gaistream.providers.openai")

_LONGEST_MESSAGE = 500  # characters of the service's own error message that are passed on
_SHORTEST_SECRET = 8  # characters: a shorter header value is a word, such as "beta"
_LINGER = 1.0  # seconds for a body to end after its terminator, so that its connection is kept


class OpenAIProvider:
    """Streams answers from OpenAI, or from any server with the same protocol.

    Args:
        base_url: the URL before `/chat/completions`; a query stays.
        api_key: sent as a bearer token; None: no Authorization header. The environment is not
            read.
        model: for requests without a model; None: these are sent without one.
        client: an `AsyncClient` of httpx or httpx2, which stays open and keeps its connections.
            None: each request has its own, which is closed with it.
        timeout: seconds to wait for a connection, and for each next piece of the answer; None:
            unlimited.
        headers: further headers; they replace the provider's own of the same name.

    Raises:
        ImportError: neither httpx nor httpx2 is installed.
        ValueError: `base_url` is not an http or https URL, or a header cannot carry the key.

    The fields of `request.extra` (`tools`, `top_p`, …) are sent too, but cannot replace those that
    the provider sets. A request fails with a `StreamError` whose `code` is `provider_auth`,
    `rate_limited` (status 429, with `retry_after`), `provider_rejected`, `provider_failed`,
    `provider_unreachable` or `provider_timeout` (status 504); the others have status 502. It is
    raised before the first event, so with `hold_headers=True` a client gets that status.
    """

    def __init__(
        self,
        base_url: str = "https://api.openai.com/v1",
        *,
        api_key: str | None = None,
        model: str | None = None,
        client: httpx.AsyncClient | httpx2.AsyncClient | None = None,
        timeout: float | None = 60.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._http: Any = http_library("OpenAIProvider", client)
        if api_key is not None and not (api_key.isascii() and api_key.isprintable()):
            raise ValueError("api_key must be printable ASCII")  # its value must not be logged
        self._url = self._endpoint(base_url)
        self._model = model
        self._client: Any = client
        # Loading the certificates can take longer than a request, so they are loaded once.
        self._tls = self._http.create_ssl_context() if client is None else None
        self._timeout = timeout
        self._headers = self._http.Headers({"Accept": "text/event-stream"})
        self._headers["Accept-Encoding"] = "identity"  # a compressed stream is often a delayed one
        self._headers["Content-Type"] = "application/json"
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._headers.update(headers)
        values = (api_key or "", *(headers or {}).values())
        self._secrets = [value for value in values if len(value) >= _SHORTEST_SECRET]

    async def stream_text(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Send a request and yield the events of the answer as they come, without a `Done`.

        Raises:
            StreamError: the service cannot be reached, refuses, fails, or stops sending.
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
                    self._url,
                    content=json_bytes(self._body(request), errors="replace"),
                    headers=self._headers,
                    timeout=self._timeout,
                )
                response = await stack.enter_async_context(opening)
                read = await self._reader_for(response)
                events = await stack.enter_async_context(contextlib.aclosing(read(response)))
                async for event in events:
                    yield event
        except (httpx.RequestError, httpx.InvalidURL, UnicodeError) as error:
            # The last two: a Location or a cookie of the service that no request can carry.
            kind, message = type(error).__name__, self._public(str(error))
            _log.warning("the provider at %s: %s: %s", public_url(self._url), kind, message)
            raise self._unreachable(error) from error
        except EventTooLarge as error:
            raise _failure("the provider sent too large an event", "failed") from error
        except ContentEncodingError as error:
            raise _failure("the provider's answer cannot be decompressed", "failed") from error

    def _body(self, request: ChatRequest) -> dict[str, Any]:
        body: dict[str, Any] = dict(request.extra)
        settings = {
            "model": request.model or self._model,
            "temperature": request.temperature,
            "max_tokens": request.max_tokens,
        }
        body |= {name: value for name, value in settings.items() if value is not None}
        body |= {"messages": [dict(message) for message in request.messages], "stream": True}
        options = body.get("stream_options")
        options = options if isinstance(options, dict) else {}
        body["stream_options"] = {**options, "include_usage": True}
        return body

    async def _reader_for(self, response: Any) -> Callable[[Any], AsyncGenerator[Event, None]]:
        """Return the method that reads a response; raise StreamError if none can."""
        if not response.is_success:
            raise await self._refusal(response)
        if refused_coding(response):
            raise _failure("the provider compressed its answer without being asked", "failed")
        content_type = response.headers.get("content-type", "")
        if received.is_event_stream(content_type):
            return self._read
        if received.is_json(content_type):
            return self._read_whole
        media_type = received.media_type(content_type)[:80]
        raise _failure(f"the provider sent {media_type} instead of text/event-stream", "failed")

    async def _refusal(self, response: Any) -> StreamError:
        """Return the public error for a status that is not a success."""
        status = response.status_code
        excerpt = await Excerpt(response, REFUSED_BYTES).aread()
        message = self._public(received.error_message(excerpt.body))
        _log.warning("the provider answered %d: %s", status, message or "(no message)")
        detail = f": {message}" if message else ""
        wait = received.retry_after(response.headers.get("retry-after", ""), time.time())
        if status in (401, 403):  # the message is about the server's key, not for its clients
            return _failure("the provider refused the server's credentials", "auth")
        if status == 429:
            message = f"the provider has no room for more requests{detail}"
            return StreamError(message, code="rate_limited", status=429, retry_after=wait)
        if 400 <= status <= 499:
            return _failure(f"the provider rejected the request{detail}", "rejected", wait=wait)
        return _failure(f"the provider failed with status {status}{detail}", "failed", wait=wait)

    async def _read_whole(self, response: Any) -> AsyncGenerator[Event, None]:
        """Yield the events of an answer that is one JSON value: a completion, or an error."""
        body = bytearray()
        async with contextlib.aclosing(abody_of(response)) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) > MAX_BYTES:
                    raise _failure("the provider sent too large an answer", "failed")
        message = self._public(received.error_message(body))
        if message:
            _log.warning("the provider answered %d: %s", response.status_code, message)
            raise _failure(f"the provider failed: {message}", "failed")
        chunk_of_stream = _as_chunk(body)
        if chunk_of_stream is None:
            raise _failure("the provider sent JSON instead of text/event-stream", "failed")
        decoder = EventDecoder(dialect="openai_chat")
        for data in (chunk_of_stream, "[DONE]"):
            for event in self._public_events(decoder.feed(ServerSentEvent(data))):
                yield event

    async def _read(self, response: Any) -> AsyncGenerator[Event, None]:
        """Yield the events of a body. A cut is an end; the dialect's reader recognises it."""
        decoder = EventDecoder(dialect="openai_chat")
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
            Error(self._public(event.message), event.code) if isinstance(event, Error) else event
            for event in events
            if not isinstance(event, Done)
        ]

    def _public(self, message: str) -> str:
        """Return a message as one short line, without secrets or control characters."""
        for secret in self._secrets:
            message = message.replace(secret, "…")
        message = "".join(char if char.isprintable() else " " for char in message)
        return " ".join(message.split())[:_LONGEST_MESSAGE]

    def _unreachable(self, error: Exception) -> StreamError:
        """Return the public error for an exchange that failed; it holds no address."""
        if isinstance(error, self._http.ConnectTimeout):
            return _failure("the provider could not be reached in time", "timeout", 504)
        if isinstance(error, self._http.TimeoutException):
            return _failure("the provider did not answer in time", "timeout", 504)
        if isinstance(error, self._http.NetworkError):
            return _failure("the provider could not be reached", "unreachable")
        return _failure("the exchange with the provider failed", "failed")

    def _endpoint(self, base_url: str) -> Any:
        """Return the URL of requests. A query of the base (Azure's `api-version`) stays."""
        url = check_url(self._http, "base_url", base_url)
        return url.copy_with(path=f"{url.path.rstrip('/')}/chat/completions")


def _failure(
    message: str, kind: str, status: int = 502, *, wait: float | None = None
) -> StreamError:
    return StreamError(message, code=f"provider_{kind}", status=status, retry_after=wait)


def _as_chunk(body: bytearray) -> str | None:
    """Return a whole completion as one chunk of a stream; None if the body is not a completion."""
    try:
        whole = read_json(bytes(body), "replace")
        choices = [{**choice, "delta": choice["message"]} for choice in whole["choices"]]
        return json_bytes({**whole, "choices": choices}, errors="replace").decode()
    except (ValueError, LookupError, TypeError):
        return None
