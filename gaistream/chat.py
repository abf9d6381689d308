"""Chat requests and the providers that answer them: `ChatRequest` and `Provider`.

A request is immutable: the client's messages, the three settings that every model has, and all
other fields in `extra`. `ChatRequest.from_json` is strict, since its input comes from the network:
a missing field or a wrong type is an `InvalidRequest` (a `ValueError` too) that names the field,
which handlers answer with 400. A provider is any object with a `stream_text` method.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterable, Awaitable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol, Self, TypeAlias

from .core import ServerSentEvent
from .errors import InvalidRequest
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
            InvalidRequest: a field is missing or has the wrong type; the message names it.
        """
        fields = Fields(payload)
        return cls(
            messages=_messages(fields),
            model=fields.optional_text("model"),
            temperature=fields.number("temperature"),
            max_tokens=fields.count("max_tokens"),
            extra={name: value for name, value in fields.value.items() if name not in _KNOWN},
        )

    @classmethod
    def from_question(cls, text: str) -> Self:
        """Make a request of a single user message.

        Raises:
            InvalidRequest: `text` is not a str.
        """
        if not isinstance(text, str):
            refuse_type("the question", "a string", text)
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


class Fields:
    """A JSON object of a request, and the path to it.

    Its methods return a field of the right type, or raise `InvalidRequest`, whose message names the
    field. A field that is null counts as absent.

    Args:
        value: any JSON value; another one than an object is refused.
        path: the path, "" for the request itself.
    """

    __slots__ = ("path", "value")

    def __init__(self, value: object, path: str = "") -> None:
        if not isinstance(value, dict):
            refuse_type(path or "the request", "an object", value)
        self.value: dict[str, Any] = value
        self.path = path

    def at(self, name: str) -> str:
        """Return the path of a field."""
        return f"{self.path}.{name}" if self.path else name

    def get(self, name: str) -> Any:
        """Return a field of any type, None if it is absent."""
        return self.value.get(name)

    def require(self, name: str) -> Any:
        """Return a field of any type that must be there."""
        value = self.value.get(name)
        if value is None:
            self.refuse(name, "is missing")
        return value

    def text(self, name: str, *, may_be_empty: bool = True) -> str:
        """Return a string that must be there."""
        value = self.require(name)
        if not isinstance(value, str):
            refuse_type(self.at(name), "a string", value)
        if not value and not may_be_empty:
            self.refuse(name, "must not be empty")
        return value

    def optional_text(self, name: str) -> str | None:
        """Return a string, None if it is absent."""
        return None if self.value.get(name) is None else self.text(name)

    def flag(self, name: str) -> bool | None:
        """Return a boolean, None if it is absent."""
        value = self.value.get(name)
        if value is not None and not isinstance(value, bool):
            refuse_type(self.at(name), "a boolean", value)
        return value

    def number(self, name: str) -> float | None:
        """Return a finite number, None if it is absent."""
        value = self.value.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            refuse_type(self.at(name), "a number", value)
        try:
            if not math.isfinite(value):
                self.refuse(name, f"must be a finite number, not {value}")
        except OverflowError:  # an integer beyond the floats
            self.refuse(name, "is too large")
        return value

    def count(self, name: str, *, least: int = 1) -> int | None:
        """Return an integer of at least `least`, None if it is absent."""
        value = self.value.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            refuse_type(self.at(name), "an integer", value)
        if value < least:
            self.refuse(name, f"must be at least {least}, not {value}")
        return value

    def optional_object(self, name: str) -> Fields | None:
        """Return an object, None if it is absent."""
        value = self.value.get(name)
        return None if value is None else Fields(value, self.at(name))

    def required_object(self, name: str) -> Fields:
        """Return an object that must be there."""
        return Fields(self.require(name), self.at(name))

    def items(self, name: str) -> list[Any] | None:
        """Return a list, None if it is absent."""
        value = self.value.get(name)
        if value is not None and not isinstance(value, list):
            refuse_type(self.at(name), "a list", value)
        return value

    def objects(self, name: str) -> Iterator[Fields]:
        """Yield the objects of a list, none if it is absent."""
        for index, value in enumerate(self.items(name) or ()):
            yield Fields(value, f"{self.at(name)}[{index}]")

    def required_objects(self, name: str) -> Iterator[Fields]:
        """Yield the objects of a list that must be there and not empty."""
        self.require(name)
        if not self.items(name):
            self.refuse(name, "must not be empty")
        return self.objects(name)

    def text_or_objects(self, name: str) -> str | list[Fields]:
        """Return a field that must be a string, or a list of objects."""
        value = self.require(name)
        if isinstance(value, str):
            return value
        if not isinstance(value, list):
            refuse_type(self.at(name), "a string or a list of parts", value)
        return list(self.objects(name))

    def rest(self, *known: str) -> dict[str, Any]:
        """Return the fields that are set and have none of these names."""
        return {
            name: value
            for name, value in self.value.items()
            if name not in known and value is not None
        }

    def refuse(self, name: str, why: str) -> NoReturn:
        """Refuse a field: `why` goes on after its path."""
        raise InvalidRequest(f"{self.at(name)} {why}", self.at(name))


def refuse_type(name: str, expected: str, value: object) -> NoReturn:
    """Raise InvalidRequest for a value of the wrong type."""
    raise InvalidRequest(f"{name} must be {expected}, not {type(value).__name__}", name)


def _messages(fields: Fields) -> tuple[Message, ...]:
    messages = list(fields.required_objects("messages"))
    for message in messages:
        _check_message(message)
    return tuple(message.value for message in messages)


def _check_message(message: Fields) -> None:
    message.text("role", may_be_empty=False)
    content = message.get("content")
    if content is None and message.get("tool_calls"):
        return  # the content of an assistant that only called tools is null or absent
    if content is None and "content" in message.value:
        refuse_type(message.at("content"), "a string or a list of parts", content)
    parts = message.text_or_objects("content")
    for part in parts if isinstance(parts, list) else ():
        if part.text("type", may_be_empty=False) == "text":
            part.text("text")


def _text_of(content: object) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list | tuple):
        return ""
    texts = [part.get("text") for part in content if isinstance(part, Mapping)]
    return "\n".join(text for text in texts if isinstance(text, str))
