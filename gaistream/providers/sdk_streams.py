"""Streams of OpenAI's and Anthropic's SDKs as sources of events.

Guarantees: the events of the dialect's own reader, for the objects go through it as the frames that
they were; the SDK's stream is closed in every outcome, also if nothing was read; the SDK's errors
become the public errors of providers. The SDKs are not imported.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Generator, Iterable, Mapping
from typing import Any, Final, overload

from ..core import ServerSentEvent, json_bytes
from ..errors import FrameTypeError
from ..events import Done, Error, Event
from ..loops.sources import close_blocking, close_source
from ..reading.chunks import Chunks
from ..reading.events import AsyncEventReader, EventDecoder, EventReader
from .failures import failure, public_text, refusal, retry_after

__all__ = ["from_anthropic", "from_openai"]

_OPENAI: Final = "openai"
_ANTHROPIC: Final = "anthropic"
_LIBRARIES: Final = frozenset({_OPENAI, _ANTHROPIC, "httpx", "httpx2"})
_RAW_EVENTS: Final = frozenset(
    {"message_start", "content_block_start", "content_block_delta", "content_block_stop",
     "message_delta", "message_stop", "ping", "error"}
)  # fmt: skip
"""Anthropic's own events; the helpers of its SDK put more between them."""
_KEY_HEADERS: Final = ("authorization", "x-api-key", "api-key")


@overload
def from_openai(
    stream: AsyncIterable[Any] | Awaitable[Any] | contextlib.AbstractAsyncContextManager[Any],
) -> AsyncEventReader: ...


@overload
def from_openai(
    stream: Iterable[Any] | contextlib.AbstractContextManager[Any],
) -> EventReader: ...


def from_openai(stream: Any) -> AsyncEventReader | EventReader:
    """Read the events of a stream of OpenAI's SDK, of Chat Completions or of Responses.

    Args:
        stream: what `create(…, stream=True)` returns, awaited or not, or what `stream(…)` returns,
            entered or not. Its items may be dicts, too.

    Returns:
        A source of events, without a `Done`: an async iterator for a stream of `AsyncOpenAI`, else
        an iterator. Closing it closes the stream, which also happens at its end and if it fails.

    Raises:
        FrameTypeError: `stream` is nothing of these.
        StreamError: while iterating: the SDK's error, as `OpenAIProvider` reports it.
    """
    return _read(stream, _OPENAI)


@overload
def from_anthropic(
    stream: AsyncIterable[Any] | Awaitable[Any] | contextlib.AbstractAsyncContextManager[Any],
) -> AsyncEventReader: ...


@overload
def from_anthropic(
    stream: Iterable[Any] | contextlib.AbstractContextManager[Any],
) -> EventReader: ...


def from_anthropic(stream: Any) -> AsyncEventReader | EventReader:
    """Read the events of a stream of Anthropic's SDK.

    Args:
        stream: what `messages.create(…, stream=True)` returns, awaited or not, or what
            `messages.stream(…)` returns, entered or not. Its items may be dicts, too.

    Returns:
        A source of events, as `from_openai` returns it.

    Raises:
        FrameTypeError: `stream` is nothing of these.
        StreamError: while iterating: the SDK's error, as `AnthropicProvider` reports it.
    """
    return _read(stream, _ANTHROPIC)


def _read(stream: Any, vendor: str) -> AsyncEventReader | EventReader:
    decoder: Any = _ItemDecoder(vendor)
    iterates = isinstance(stream, Iterable | AsyncIterable)
    if isinstance(stream, AsyncIterable | Awaitable) or (
        hasattr(stream, "__aenter__") and not iterates
    ):
        return AsyncEventReader(Chunks(_AsyncItems(stream)), decoder)
    if isinstance(stream, str | bytes | Mapping) or not (iterates or hasattr(stream, "__enter__")):
        raise FrameTypeError(
            f"stream must be a stream of {vendor}'s SDK, not {type(stream).__name__}"
        )
    return EventReader(Chunks(_Items(stream)), decoder)


class _Items:
    """The items of a blocking stream; an Error in place of the SDK's exception."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._entered: Any = None  # the manager that was entered here

    def __iter__(self) -> Generator[Any, None, None]:
        begun = False
        try:
            if not isinstance(self._stream, Iterable):
                manager, self._stream = self._stream, self._stream.__enter__()
                self._entered = manager
            for item in self._stream:
                begun = True
                yield item
        except Exception as error:
            if (end := _end_of(error, self._stream, begun)) is not None:
                yield end

    def close(self) -> None:
        if self._entered is not None:
            self._entered.__exit__(None, None, None)
        close_blocking(self._stream, self._stream)


class _AsyncItems:
    """The items of an async stream, as `_Items`."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._entered: Any = None

    async def __aiter__(self) -> AsyncGenerator[Any, None]:
        begun = False
        try:
            if isinstance(self._stream, Awaitable) and not isinstance(self._stream, AsyncIterable):
                self._stream = await self._stream
            if not isinstance(self._stream, AsyncIterable):
                manager, self._stream = self._stream, await self._stream.__aenter__()
                self._entered = manager
            async for item in self._stream:
                begun = True
                yield item
        except Exception as error:
            if (end := _end_of(error, self._stream, begun)) is not None:
                yield end

    async def aclose(self) -> None:
        if self._entered is not None:
            await self._entered.__aexit__(None, None, None)
        await close_source(self._stream)


class _ItemDecoder:
    """Events from the SDK's objects. The API is recognised by the first of them."""

    def __init__(self, vendor: str) -> None:
        self._vendor = vendor
        self._decoder: EventDecoder | None = None
        self._failed = False
        self._helper = False

    @property
    def ended(self) -> bool:
        return self._failed or (self._decoder is not None and self._decoder.ended)

    def feed(self, item: Any) -> list[Event]:
        if isinstance(item, Error):
            self._failed = True
            return [item]
        kind = getattr(item, "type", None)
        if kind == "chunk":  # of the helper of Chat Completions, which says it in other ways too
            item, self._helper = item.chunk, True
        elif self._helper:
            return []
        payload = _payload_of(item)
        kind = payload.get("type")
        if self._vendor == _ANTHROPIC and kind not in _RAW_EVENTS:
            return []
        if self._decoder is None:
            dialect = _ANTHROPIC
            if self._vendor == _OPENAI:
                is_chat = "choices" in payload or not str(kind).startswith(("response.", "error"))
                dialect = "openai_chat" if is_chat else "openai_responses"
            self._decoder = EventDecoder(dialect=dialect)
        return _without_done(self._decoder.feed(ServerSentEvent(_json_of(payload))))

    def close(self) -> list[Event]:
        if self._failed:
            return []
        decoder = self._decoder or EventDecoder(dialect=_ANTHROPIC)  # any of them says it was cut
        return _without_done(decoder.close())


def _payload_of(item: Any) -> dict[str, Any]:
    """Return an item of a stream as the JSON object that it was."""
    if isinstance(item, Mapping):
        return dict(item)
    dump = getattr(item, "model_dump", None)
    if dump is None:
        raise FrameTypeError(f"an item of the stream is {type(item).__name__}, not an SDK's object")
    fields: dict[str, Any] = dump(exclude_unset=True, by_alias=True, warnings=False)
    return fields


def _json_of(payload: dict[str, Any]) -> str:
    try:
        return json_bytes(payload).decode()
    except UnicodeEncodeError:  # half a surrogate pair, whose other half may come next
        return json.dumps(payload)


def _without_done(events: list[Event]) -> list[Event]:
    return [event for event in events if not isinstance(event, Done)]


# ---- errors of the SDKs and their HTTP libraries, by the names of their classes ----


def _end_of(error: Exception, stream: Any, begun: bool) -> Error | None:
    """Return the error that ends a stream; None for a cut.

    Raises:
        StreamError: the request failed.
        Exception: `error`, if it is not the SDK's.
    """
    bases = type(error).__mro__
    names = {base.__name__ for base in bases}
    if not _LIBRARIES.intersection(base.__module__.partition(".")[0] for base in bases):
        raise error
    request = getattr(error, "request", None) or _attribute(stream, "response", "request")
    host = _attribute(request, "url", "host")
    provider = f"the provider at {host}" if host else "the provider"
    headers = getattr(request, "headers", None) or {}
    values = [headers.get(name, "").removeprefix("Bearer ") for name in _KEY_HEADERS]
    secrets = [value for value in values if value]
    if names & {"APITimeoutError", "TimeoutException"}:
        raise failure(f"{provider} did not answer in time", "timeout", 504) from error
    if names & {"APIConnectionError", "TransportError"}:
        if begun:
            return None
        raise failure(f"{provider} could not be reached", "unreachable") from error
    fields = getattr(error, "body", None)
    if isinstance(fields, Mapping):
        fields = fields.get("error", fields)
    fields = fields if isinstance(fields, Mapping) else {}
    message = public_text(str(fields.get("message") or ""), secrets)
    status = getattr(error, "status_code", None)
    if isinstance(status, int) and status >= 300:
        wait = retry_after(_attribute(error, "response", "headers") or {})
        raise refusal(provider, status, message, wait) from error
    if "APIError" not in names:
        raise error
    code = fields.get("code") or fields.get("type")
    return Error(message or f"{provider} failed", code if isinstance(code, str) else None)


def _attribute(value: Any, *names: str) -> Any:
    for name in names:
        try:
            value = getattr(value, name, None)
        except RuntimeError:  # httpx: no request was set
            return None
    return value
