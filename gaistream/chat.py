"""Chat requests and the providers that answer them: `ChatRequest` and `Provider`.

A request is immutable: the client's messages, the three settings that every model has, and all
other fields in `extra`. `ChatRequest.from_json` is strict, since its input comes from the network:
a missing field or a wrong type is a `ValueError` that names the field, which handlers answer with
400. A provider is any object with a `stream_text` method.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterable, Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol, Self, TypeAlias

from .core import ServerSentEvent
from .events import Event

__all__ = ["ChatRequest", "Message", "Provider", "Source", "SourceItem"]

Message: TypeAlias = Mapping[str, Any]
"""One message: `role`, `content`, and any other fields."""

SourceItem: TypeAlias = Event | str | dict[str, Any] | ServerSentEvent | bytes | None
"""An item that a source may yield: an event, text, a dict with a known `type`, a frame, or bytes of
whole frames or lines; None is skipped. `dialect="json"` and `"raw"` take other items too."""

Source: TypeAlias = AsyncIterable[Any] | Iterable[Any]
"""An async or sync iterable, of `SourceItem` unless the dialect takes other items."""

_KNOWN = frozenset({"messages", "model", "temperature", "max_tokens"})


@dataclass(frozen=True)
class ChatRequest:
    """A client's request for an answer.

    Attributes:
        messages: the conversation, oldest first; kept as a tuple. Each message has a `role`
            (`user`, `assistant`, `system`, …) and a `content`: text, or a list of parts such as
            `{"type": "text", "text": "…"}`.
        model: name of the requested model; None leaves the choice to the provider.
        temperature: randomness of the answer; None is the provider's default.
        max_tokens: limit for the length of the answer; None is the provider's limit.
        extra: all other fields of the request. A provider may pass them on to the service that it
            calls, so a server that is open to strangers should check them first.
    """

    messages: Sequence[Message]
    model: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "messages", tuple(self.messages))

    @classmethod
    def from_json(cls, payload: object) -> Self:
        """Make a request from a decoded JSON body.

        Args:
            payload: an object with `messages` (at least one), and optionally `model`, `temperature`
                and `max_tokens`; null counts as absent. Other keys go to `extra`.

        Raises:
            ValueError: a field is missing or has the wrong type; the message names it.
        """
        if not isinstance(payload, dict):
            _refuse("the request", "an object", payload)
        return cls(
            messages=_messages(payload),
            model=_model(payload.get("model")),
            temperature=_temperature(payload.get("temperature")),
            max_tokens=_max_tokens(payload.get("max_tokens")),
            extra={name: value for name, value in payload.items() if name not in _KNOWN},
        )

    @classmethod
    def from_question(cls, text: str) -> Self:
        """Make a request of a single user message.

        Raises:
            ValueError: `text` is not a str.
        """
        if not isinstance(text, str):
            _refuse("the question", "a string", text)
        return cls(messages=({"role": "user", "content": text},))

    @property
    def question(self) -> str:
        """The text of the last user message, with its text parts on separate lines, or ""."""
        for message in reversed(self.messages):
            if message.get("role") == "user":
                return _text_of(message.get("content"))
        return ""


class Provider(Protocol):
    """A model, a service or a test that answers chat requests."""

    def stream_text(self, request: ChatRequest, /) -> Source | Awaitable[Source]:
        """Return a source of events that answers `request`.

        Usually this is an async generator method; a coroutine or a plain function that returns a
        source works too. The source need not yield `Done`, which is written when it ends without
        an error. A `StreamError` that it raises is shown to the client, any other exception is
        not. When the client leaves, the source is closed wherever it waits.
        """
        ...


def _refuse(name: str, expected: str, value: object) -> NoReturn:
    raise ValueError(f"{name} must be {expected}, not {type(value).__name__}")


def _messages(payload: dict[str, Any]) -> tuple[Message, ...]:
    if "messages" not in payload:
        raise ValueError("messages is missing")
    messages = payload["messages"]
    if not isinstance(messages, list | tuple):
        _refuse("messages", "a list", messages)
    if not messages:
        raise ValueError("messages must not be empty")
    for position, message in enumerate(messages):
        _check_message(f"messages[{position}]", message)
    return tuple(messages)


def _check_message(name: str, message: object) -> None:
    if not isinstance(message, dict):
        _refuse(name, "an object", message)
    if "role" not in message:
        raise ValueError(f"{name}.role is missing")
    _check_text(f"{name}.role", message["role"], may_be_empty=False)
    content = message.get("content")
    if isinstance(content, list):
        for position, part in enumerate(content):
            _check_part(f"{name}.content[{position}]", part)
    elif content is None and message.get("tool_calls"):
        pass  # the content of an assistant that only called tools is null or absent
    elif "content" not in message:
        raise ValueError(f"{name}.content is missing")
    elif not isinstance(content, str):
        _refuse(f"{name}.content", "a string or a list of parts", content)


def _check_part(name: str, part: object) -> None:
    if not isinstance(part, dict):
        _refuse(name, "an object", part)
    if "type" not in part:
        raise ValueError(f"{name}.type is missing")
    _check_text(f"{name}.type", part["type"], may_be_empty=False)
    if part["type"] == "text":
        _check_text(f"{name}.text", part.get("text"))


def _check_text(name: str, value: object, *, may_be_empty: bool = True) -> None:
    if not isinstance(value, str):
        _refuse(name, "a string", value)
    if not value and not may_be_empty:
        raise ValueError(f"{name} must not be empty")


def _model(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        _refuse("model", "a string", value)
    return value


def _temperature(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse("temperature", "a number", value)
    if not math.isfinite(value):
        raise ValueError(f"temperature must be a finite number, not {value}")
    return value


def _max_tokens(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        _refuse("max_tokens", "an integer", value)
    if value < 1:
        raise ValueError(f"max_tokens must be at least 1, not {value}")
    return value


def _text_of(content: object) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list | tuple):
        return ""
    texts = [part.get("text") for part in content if isinstance(part, Mapping)]
    return "\n".join(text for text in texts if isinstance(text, str))
