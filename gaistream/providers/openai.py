"""Any service that speaks OpenAI's Chat Completions protocol, through httpx.

What it guarantees: the events of `dialects/openai_chat.py`, as soon as their bytes arrive; every
failure is a `StreamError` or an `Error` event whose text is fit for a client (no key, no header,
no address, no page of HTML); and the response, and the client where it is the provider's own, are
closed in every outcome: the end, an error, a consumer that stops early, a cancellation.

How: one POST with `stream: true`, its body read by an `EventDecoder`.
httpx is an extra (`pip install gaistream[httpx]`) and imported when a provider is made.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, Any, cast

from .. import _json, http
from .._backend import read_json
from ..chat import ChatRequest
from ..errors import EventTooLarge, StreamError
from ..event_loop import event_loop
from ..events import Done, Error, Event
from ..reader import EventDecoder

if TYPE_CHECKING:
    import httpx

__all__ = ["OpenAIProvider"]

_log = logging.getLogger("gaistream.providers.openai")

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
        client: an `httpx.AsyncClient` to use; it stays open and keeps connections between
            requests. None: each request has its own, which is closed with it.
        timeout: seconds to wait for a connection, and for each next piece of the answer; None:
            for ever.
        headers: further headers, which win over the provider's own.

    Raises:
        ImportError: httpx is not installed.
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
        client: httpx.AsyncClient | None = None,
        timeout: float | None = 60.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        try:
            import httpx
        except ImportError as error:
            raise ImportError("OpenAIProvider needs httpx: pip install gaistream[httpx]") from error
        if api_key is not None and not (api_key.isascii() and api_key.isprintable()):
            raise ValueError("api_key must be printable ASCII")  # its value is not for a log
        self._url = _endpoint(base_url)
        self._model = model
        self._client = client
        # Loading the certificates takes longer than many a request: once, and not for each.
        self._tls = httpx.create_ssl_context() if client is None else None
        self._timeout = timeout
        self._headers = httpx.Headers({"Accept": "text/event-stream"})
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
        import httpx

        try:
            async with contextlib.AsyncExitStack() as stack:
                client = self._client
                if client is None:
                    own = httpx.AsyncClient(verify=self._tls or True)
                    client = await stack.enter_async_context(own)
                sent = client.stream(
                    "POST",
                    self._url,
                    content=_json.dumps(self._body(request), errors="replace"),
                    headers=self._headers,
                    timeout=self._timeout,
                )
                response = await stack.enter_async_context(sent)
                await self._check(response)
                events = await stack.enter_async_context(contextlib.aclosing(self._read(response)))
                async for event in events:
                    yield event
        except httpx.RequestError as error:
            where = self._url.copy_with(query=None, fragment=None, userinfo=b"")  # may hold keys
            said = self._public(str(error))
            _log.warning("the provider at %s: %s: %s", where, type(error).__name__, said)
            raise _unreachable(error) from error
        except EventTooLarge as error:
            raise _failure("the provider sent too large an event", "failed") from error

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

    async def _check(self, response: httpx.Response) -> None:
        """Raise unless the answer is a stream."""
        if not response.is_success:
            raise await self._refusal(response)
        mime = http.media_type(response.headers.get("content-type", ""))
        if mime not in ("", "text/event-stream"):
            raise _failure(f"the provider sent {mime[:80]} instead of text/event-stream", "failed")

    async def _refusal(self, response: httpx.Response) -> StreamError:
        """What an answer that is not a success means for the client."""
        status = response.status_code
        said = self._public(_message_of(await _beginning(response)))
        _log.warning("the provider answered %d: %s", status, said or "(no message)")
        colon = f": {said}" if said else ""
        wait = http.retry_after(response.headers.get("retry-after", ""), time.time())
        if status in (401, 403):  # the message is about the server's key: not for its clients
            return _failure("the provider refused the server's credentials", "auth")
        if status == 429:
            message = f"the provider has no room for more requests{colon}"
            return StreamError(message, code="rate_limited", status=429, retry_after=wait)
        if 400 <= status <= 499:
            return _failure(f"the provider rejected the request{colon}", "rejected", wait=wait)
        return _failure(f"the provider failed with status {status}{colon}", "failed", wait=wait)

    async def _read(self, response: httpx.Response) -> AsyncGenerator[Event, None]:
        """The events of a body; httpx saying that it was cut is the end of it, as any other."""
        import httpx

        decoder = EventDecoder(dialect="openai_chat")
        async with contextlib.aclosing(_chunks_of(response)) as chunks:
            with contextlib.suppress(httpx.ReadError, httpx.RemoteProtocolError):
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
                await _linger(chunks)

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


def _endpoint(base_url: str) -> httpx.URL:
    """Where requests go; a query of the base (Azure's `api-version`) stays."""
    import httpx

    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise ValueError(f"base_url must be a URL: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("base_url must be an http or https URL with a host")
    return url.copy_with(path=f"{url.path.rstrip('/')}/chat/completions")


def _failure(
    message: str, kind: str, status: int = 502, *, wait: float | None = None
) -> StreamError:
    return StreamError(message, code=f"provider_{kind}", status=status, retry_after=wait)


def _unreachable(error: httpx.RequestError) -> StreamError:
    """Return what clients are told of an exchange that failed, without an address."""
    import httpx

    if isinstance(error, httpx.ConnectTimeout):
        return _failure("the provider could not be reached in time", "timeout", 504)
    if isinstance(error, httpx.TimeoutException):
        return _failure("the provider did not answer in time", "timeout", 504)
    if isinstance(error, httpx.NetworkError):
        return _failure("the provider could not be reached", "unreachable")
    return _failure("the exchange with the provider failed", "failed")


def _chunks_of(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """The body's bytes; httpx declares an iterator, but gives a generator, which can be closed."""
    return cast("AsyncGenerator[bytes, None]", response.aiter_bytes())


async def _beginning(response: httpx.Response) -> bytes:
    """The body of an error answer, up to a limit; what cannot be read is left out."""
    import httpx

    body = b""
    async with contextlib.aclosing(_chunks_of(response)) as chunks:
        with contextlib.suppress(httpx.RequestError):
            async for chunk in chunks:
                body += chunk
                if len(body) > _LONGEST_ERROR_BODY:
                    break
    return body


def _message_of(body: bytes) -> str:
    """The service's own error message; "" where the body is not its JSON (a proxy's page)."""
    try:
        error = read_json(body, "replace")["error"]
        message = error if isinstance(error, str) else error["message"]
    except (ValueError, LookupError, TypeError):
        return ""
    return message if isinstance(message, str) else ""


async def _linger(chunks: AsyncGenerator[bytes, None]) -> None:
    """Read on to the end of a body that has said everything, but not for long."""
    import httpx

    loop = event_loop()
    with contextlib.suppress(httpx.RequestError), loop.breakable() as block:
        timer = loop.call_at(loop.time() + _LINGER, block.break_off)
        try:
            async for _ in chunks:
                pass
        finally:
            timer.cancel()
