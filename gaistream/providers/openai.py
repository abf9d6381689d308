"""Any service that speaks OpenAI's Chat Completions protocol, through httpx or httpx2.

What it guarantees: the events of `dialects/openai_chat.py`, as soon as their bytes arrive; every
failure is a `StreamError` or an `Error` event whose text is fit for a client (no key, no header,
no address, no page of HTML); and the response, and the client where it is the provider's own, are
closed in every outcome: the end, an error, a consumer that stops early, a cancellation.

How: one POST with `stream: true`, its body read by an `EventDecoder`.
The library is an extra (`gaistream[httpx]` or `[httpx2]`) and imported when a provider is made.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import TYPE_CHECKING, Any

from .._log import late_logger
from ..chat import ChatRequest
from ..client.http import Excerpt, check_url, http_library, public_url, refused_coding
from ..core import ServerSentEvent, json, read_json
from ..errors import ContentEncodingError, EventTooLarge, StreamError
from ..events import Done, Error, Event
from ..http import received
from ..loops.event_loop import event_loop
from ..reading.chunks import abody_of
from ..reading.events import EventDecoder
from ..reading.reader import MAX_BYTES

if TYPE_CHECKING:
    import httpx
    import httpx2

__all__ = ["OpenAIProvider"]

_log = late_logger("gaistream.providers.openai")

_LONGEST_ERROR_BODY = 65_536  # bytes that are read of an answer that is not a stream
_LONGEST_MESSAGE = 500  # characters of the service's own error message that are passed on
_SHORTEST_SECRET = 8  # characters: a shorter header value is a word, such as "beta"
_LINGER = 1.0  # seconds for a body to end after its terminator, so that its connection is kept


class OpenAIProvider:
    """Streams answers from OpenAI, or from any server with the same protocol.

    Args:
        base_url: where `/chat/completions` is.
        api_key: sent as a bearer token; None: no Authorization header. The environment is not
            read.
        model: for requests that name none; None: such requests go out without a model.
        client: an `AsyncClient` of httpx or httpx2 to use; it stays open and keeps connections
            between requests. None: each request has its own, which is closed with it.
        timeout: seconds to wait for a connection, and for each next piece of the answer; None:
            for ever.
        headers: further headers, which win over the provider's own.

    Raises:
        ImportError: neither httpx nor httpx2 is installed.
        ValueError: `base_url` is not an http(s) URL, or the key cannot stand in a header.

    What stands in `request.extra` is sent along (`tools`, `top_p`, …), but cannot override what
    the provider itself sets. A request fails with a `StreamError` whose `code` is
    `provider_auth`, `rate_limited` (status 429, with `retry_after`), `provider_rejected`,
    `provider_failed`, `provider_unreachable` or `provider_timeout` (status 504); the others have
    status 502. It comes before the first event, so with `hold_headers=True` a client gets that
    status.
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
            raise ValueError("api_key must be printable ASCII")  # its value is not for a log
        self._url = self._endpoint(base_url)
        self._model = model
        self._client: Any = client
        # Loading the certificates takes longer than many a request: once, and not for each.
        self._tls = self._http.create_ssl_context() if client is None else None
        self._timeout = timeout
        self._headers = self._http.Headers({"Accept": "text/event-stream"})
        self._headers["Accept-Encoding"] = "identity"  # a compressed stream is often a delayed one
        self._headers["Content-Type"] = "application/json"
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._headers.update(headers)
        own = (api_key or "", *(headers or {}).values())
        self._secrets = [value for value in own if len(value) >= _SHORTEST_SECRET]

    async def stream_text(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Ask the service, and give its answer's events as they come; the engine adds the `Done`.

        Raises:
            StreamError: the service cannot be reached, refuses, fails, or stops sending.
        """
        httpx = self._http
        try:
            async with contextlib.AsyncExitStack() as stack:
                client = self._client
                if client is None:
                    own = httpx.AsyncClient(verify=self._tls or True)
                    client = await stack.enter_async_context(own)
                sent = client.stream(
                    "POST",
                    self._url,
                    content=json.dumps(self._body(request), errors="replace"),
                    headers=self._headers,
                    timeout=self._timeout,
                )
                response = await stack.enter_async_context(sent)
                read = await self._check(response)
                events = await stack.enter_async_context(contextlib.aclosing(read(response)))
                async for event in events:
                    yield event
        except (httpx.RequestError, httpx.InvalidURL, UnicodeError) as error:
            # the last two: a Location or a cookie of the service that no request can carry
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
        asked = body.get("stream_options")
        options = asked if isinstance(asked, dict) else {}
        body["stream_options"] = {**options, "include_usage": True}
        return body

    async def _check(self, response: Any) -> Callable[[Any], AsyncGenerator[Event, None]]:
        """Return what reads an answer; raise if there is nothing to read."""
        if not response.is_success:
            raise await self._refusal(response)
        if refused_coding(response):
            raise _failure("the provider compressed its answer without being asked", "failed")
        kind = response.headers.get("content-type", "")
        if received.is_event_stream(kind):
            return self._read
        if received.is_json(kind):
            return self._read_whole
        mime = received.media_type(kind)[:80]
        raise _failure(f"the provider sent {mime} instead of text/event-stream", "failed")

    async def _refusal(self, response: Any) -> StreamError:
        """What an answer that is not a success means for the client."""
        status = response.status_code
        excerpt = await Excerpt(response, _LONGEST_ERROR_BODY).aread()
        said = self._public(received.error_message(excerpt.body))
        _log.warning("the provider answered %d: %s", status, said or "(no message)")
        colon = f": {said}" if said else ""
        wait = received.retry_after(response.headers.get("retry-after", ""), time.time())
        if status in (401, 403):  # the message is about the server's key: not for its clients
            return _failure("the provider refused the server's credentials", "auth")
        if status == 429:
            message = f"the provider has no room for more requests{colon}"
            return StreamError(message, code="rate_limited", status=429, retry_after=wait)
        if 400 <= status <= 499:
            return _failure(f"the provider rejected the request{colon}", "rejected", wait=wait)
        return _failure(f"the provider failed with status {status}{colon}", "failed", wait=wait)

    async def _read_whole(self, response: Any) -> AsyncGenerator[Event, None]:
        """Yield the events of an answer that is one JSON value: a completion, or an error."""
        body = bytearray()
        async with contextlib.aclosing(abody_of(response)) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) > MAX_BYTES:
                    raise _failure("the provider sent too large an answer", "failed")
        said = self._public(received.error_message(body))
        if said:
            _log.warning("the provider answered %d: %s", response.status_code, said)
            raise _failure(f"the provider failed: {said}", "failed")
        chunk_of_stream = _as_chunk(body)
        if chunk_of_stream is None:
            raise _failure("the provider sent JSON instead of text/event-stream", "failed")
        decoder = EventDecoder(dialect="openai_chat")
        for data in (chunk_of_stream, "[DONE]"):
            for event in self._told(decoder.feed(ServerSentEvent(data))):
                yield event

    async def _read(self, response: Any) -> AsyncGenerator[Event, None]:
        """The events of a body; the library saying that it was cut is the end of it, as any."""
        decoder = EventDecoder(dialect="openai_chat")
        async with contextlib.aclosing(abody_of(response)) as chunks:
            with contextlib.suppress(self._http.ReadError, self._http.RemoteProtocolError):
                async for chunk in chunks:
                    too_large = None
                    try:
                        given = decoder.feed(chunk)
                    except EventTooLarge as error:
                        given, too_large = error.values, error
                    for event in self._told(given):
                        yield event
                    if too_large is not None:
                        raise too_large
                    if decoder.ended:
                        break
            for event in self._told(decoder.close()):
                yield event
            if self._client is not None:
                await self._linger(chunks)

    def _told(self, events: list[Event]) -> list[Event]:
        """What the provider's consumer gets: no `Done`, no secret in an error."""
        return [
            Error(self._public(event.message), event.code) if isinstance(event, Error) else event
            for event in events
            if not isinstance(event, Done)
        ]

    def _public(self, message: str) -> str:
        """A message of the service, in one short line without control characters or our secrets."""
        for secret in self._secrets:
            message = message.replace(secret, "…")
        message = "".join(each if each.isprintable() else " " for each in message)
        return " ".join(message.split())[:_LONGEST_MESSAGE]

    def _unreachable(self, error: Exception) -> StreamError:
        """Return the public error of an exchange that failed, without an address."""
        if isinstance(error, self._http.ConnectTimeout):
            return _failure("the provider could not be reached in time", "timeout", 504)
        if isinstance(error, self._http.TimeoutException):
            return _failure("the provider did not answer in time", "timeout", 504)
        if isinstance(error, self._http.NetworkError):
            return _failure("the provider could not be reached", "unreachable")
        return _failure("the exchange with the provider failed", "failed")

    async def _linger(self, chunks: AsyncGenerator[bytes, None]) -> None:
        """Read on to the end of a body that has said everything, but not for long."""
        loop = event_loop()
        ended = self._http.RequestError, ContentEncodingError
        with contextlib.suppress(*ended), loop.breakable() as block:
            timer = loop.call_at(loop.time() + _LINGER, block.break_off)
            try:
                async for _ in chunks:
                    pass
            finally:
                timer.cancel()

    def _endpoint(self, base_url: str) -> Any:
        """Where requests go; a query of the base (Azure's `api-version`) stays."""
        url = check_url(self._http, "base_url", base_url)
        return url.copy_with(path=f"{url.path.rstrip('/')}/chat/completions")


def _failure(
    message: str, kind: str, status: int = 502, *, wait: float | None = None
) -> StreamError:
    return StreamError(message, code=f"provider_{kind}", status=status, retry_after=wait)


def _as_chunk(body: bytearray) -> str | None:
    """Return a whole completion as the one chunk of a stream; None if it is none."""
    try:
        whole = read_json(bytes(body), "replace")
        choices = [{**choice, "delta": choice["message"]} for choice in whole["choices"]]
        return json.dumps({**whole, "choices": choices}, errors="replace").decode()
    except (ValueError, LookupError, TypeError):
        return None
