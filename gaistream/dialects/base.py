"""The interface of a protocol: `Dialect`, and the writer and reader that it makes for each stream.

A dialect is one object that serves every stream and thread. It declares the protocol's name and
how its streams begin and end, and makes a `DialectWriter` (events to frames) or a
`DialectReader` (frames to events) for each stream. Writers and readers are state machines without
input or output, and belong to one task.
"""

from __future__ import annotations

import json as stdlib_json
from collections.abc import Callable, Mapping
from copy import copy
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from ..core import FrameTemplate, ServerSentEvent, json, read_json
from ..errors import EventError, FrameTypeError, StreamError, ungrouped
from ..events import Error, Event, ReasoningDelta, TextDelta
from .frame import Frame, Path

if TYPE_CHECKING:
    from ..chat import ChatRequest
    from ..message import Message

OWN_JSON: Final = 'for your own JSON objects pass dialect="json"'


class Dialect:
    """A protocol. Subclass it, and pass an instance as `dialect=`.

    The declarations have defaults: a protocol that is only written declares `name` and `writes`,
    and makes a writer.

    Attributes:
        name: the dialect's name, which is its module's.
        title: the protocol's name for people; "" if it is `name`.
        writes: the formats that it can be written in: "sse", "ndjson".
        reads: the formats that it can be read from.
        media_type: the Content-Type of its responses; None: that of the format.
        headers: more headers of its responses.
        terminator: the last event of a stream, for people.
        first_kinds: kinds of events that no other protocol has.
        last_kinds: kinds of the last event.
        end_mark: the data of the last event, if it is not JSON, such as `[DONE]`.
        failure_kinds: kinds of events that report a failure of the server.
        last_is_unmistakable: False if other protocols have such an event before their end. It
            then ends only a stream that was recognised.
        trailer: data of an event that may follow the last one; "" if nothing may.
        text_paths: pairs of a kind of event and the place of a piece of the answer's text in it.
        has_events: False if its items are no events, so that no `Message` can be made of them.
        resume_suffix: end of the path of a GET by which clients ask for a stream again; "" if the
            protocol has none.
        requested_model: the model that a request asks for, which answers without a model of their
            own bear.
    """

    name: str
    title: str = ""
    writes: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    media_type: str | None = None
    headers: Mapping[str, str] = {}
    terminator: str = ""
    first_kinds: frozenset[str] = frozenset()
    last_kinds: frozenset[str] = frozenset()
    end_mark: str = ""
    failure_kinds: frozenset[str] = frozenset({"error"})
    last_is_unmistakable: bool = True
    trailer: str = ""
    text_paths: tuple[tuple[str, Path], ...] = ()
    has_events: bool = True
    resume_suffix: str = ""
    requested_model: str = ""

    def sniff(self, first: Frame) -> bool:
        """Return True if no other protocol has such a frame."""
        return first.kind in self.first_kinds

    def is_last(self, frame: Frame) -> bool:
        """Return True if this frame is the last of a stream."""
        if frame.kind in self.last_kinds:
            return True
        return bool(self.end_mark) and frame.data.strip() == self.end_mark

    def error_body(self, status: int, error: Error, field: str = "") -> tuple[int, Any]:
        """Return the status and the body of a response that fails before its stream begins.

        Args:
            status: the HTTP status of the failure, 400 to 599.
            error: the failure.
            field: path of the request's field that was refused, "" if none was.

        Returns:
            The status, which a protocol may have its own for, and a JSON payload, or a str for a
            body of plain text.
        """
        return status, error_object(error.code, error.message)

    def writer(
        self, format: str, *, retry: int | None = None, compact: bool = True,
        timestamps: bool = False,
    ) -> DialectWriter:  # fmt: skip
        """Make the writer of one stream.

        Take only the keywords that you need, and `**_`: later releases may pass more of them.

        Args:
            format: one of `writes`.
            retry: milliseconds of the `retry:` hint that goes with an error (SSE); None: no hint.
            compact: False: a space after each `:` and `,` of a line (NDJSON).
            timestamps: each line has the time of its event (NDJSON).
        """
        raise NotImplementedError

    def reader(self, format: str) -> DialectReader:
        """Make the reader of one stream.

        Args:
            format: one of `reads`.
        """
        raise NotImplementedError

    @property
    def has_requests(self) -> bool:
        """True if the requests of the protocol can be read."""
        return type(self).read_request is not Dialect.read_request

    def answering(self, request: ChatRequest) -> Self:
        """Return a copy that writes the answer to a request."""
        other = copy(self)
        other.requested_model = request.model or ""
        return other

    def read_request(self, payload: object) -> ProtocolRequest:
        """Read the JSON body of a request.

        Raises:
            InvalidRequest: a field is missing, or has a wrong value.
        """
        raise NotImplementedError


class ProtocolRequest(NamedTuple):
    """A request of a protocol.

    Attributes:
        request: the provider's argument.
        dialect: writes the answer as this request wants it.
        stream: False if the whole answer is wanted at once.
    """

    request: ChatRequest
    dialect: Dialect
    stream: bool = True


class DialectModule(ModuleType):
    """A module whose `dialect` has options: `dialects.NAME(…)` makes another one with them."""

    dialect: Dialect

    def __call__(self, **options: Any) -> Dialect:
        return type(self.dialect)(**options)


class DialectWriter:
    """Writes the items of one stream as frames, through the stream's encoder.

    Attributes:
        text_template: the frame of a TextDelta or a str; None: `write` is called for it. Read once,
            when the encoder is made; `write` may replace it by `encoder.set_templates`.
        reasoning_template: the frame of a ReasoningDelta; likewise.
        joins_text: True if a str is a text delta, which may begin with half of a surrogate pair.
        default_heartbeat: "comment" or "native", for options that do not say it (SSE).
    """

    text_template: FrameTemplate | None = None
    reasoning_template: FrameTemplate | None = None
    joins_text: bool = False
    default_heartbeat: str = "comment"
    drain_is_error: bool = False  # True: to its clients an end without an error is a success

    def write(self, encoder: Any, item: Any) -> None:
        """Write an item of the source, by the encoder's `write_frame`, `write_line`, …

        Set `encoder.failed` after an `Error`, and `encoder.ended` after a `Done`. Raise EventError
        for an item that the dialect does not take.
        """
        raise NotImplementedError

    def fail(self, encoder: Any, error: Error) -> None:
        """Write the end of a stream that failed.

        Raise UnsayableError if the protocol has no frame for it: the connection is then broken.
        """
        raise NotImplementedError

    def finish(self, encoder: Any) -> None:
        """Write the end of a stream that succeeded; a writer that holds an Error back fails."""
        raise NotImplementedError

    def whole(self, message: Message) -> dict[str, Any]:
        """Return the answer to a request without streaming, once the end was written."""
        raise NotImplementedError

    def heartbeat(self, encoder: Any) -> None:
        """Write the protocol's own heartbeat, in SSE; a comment if it has none.

        It may come before the first event. Write it by `encoder.write_ready`, which neither takes
        an id nor resets `encoder.failed`.
        """
        encoder.write_comment("keep-alive")


class DialectReader:
    """Reads the events of one stream, frame by frame.

    Attributes:
        ended: True once nothing can follow; frames that are fed afterwards are dropped.
        half_line_is_cut: True if a last line that is not JSON is a cut, not a bad frame (NDJSON).
    """

    ended: bool = False
    half_line_is_cut: bool = False
    _halves: _Halves | None = None  # made by the first `read_leniently`

    def feed(self, event: ServerSentEvent) -> list[Event]:
        """Read an SSE event and return the events that it completes."""
        raise NotImplementedError

    def feed_value(self, value: Any) -> list[Event]:
        """Read the value of an NDJSON line and return the events that it completes."""
        raise NotImplementedError

    def close(self) -> list[Event]:
        """Read the end of the body and return the last events."""
        raise NotImplementedError

    def fail(self, error: Error) -> list[Event]:
        """End the stream, and return the error as its last event."""
        self.ended = True
        return [error]

    def read(self, data: Any) -> Any:
        """Return the value of a frame's JSON, read leniently if need be. Raise ValueError."""
        try:
            return read_json(data)
        except ValueError:
            return self.read_leniently(data)

    def read_leniently(self, data: Any) -> Any:
        """Return the value of JSON with NaN, infinities or half surrogate pairs. Raise ValueError.

        The events that are made of it must pass `mended`.
        """
        value = json.lenient_loads(data)
        self._halves = self._halves or _Halves()
        return value

    def mended(self, events: list[Event]) -> list[Event]:
        """Return the events of `feed` and `close` with whole text.

        A half surrogate pair at the end of a delta waits for the next delta, and becomes U+FFFD if
        the other half does not come. Elsewhere halves become U+FFFD at once.
        """
        return events if self._halves is None else self._halves.join(events)

    @property
    def was_lenient(self) -> bool:
        """True if `read_leniently` was used."""
        return self._halves is not None

    @property
    def halves_replaced(self) -> int:
        """The number of half surrogate pairs that became U+FFFD."""
        return 0 if self._halves is None else self._halves.replaced


class _Halves:
    """Joins surrogate pairs whose halves came in two deltas."""

    def __init__(self) -> None:
        self.replaced = 0
        self._half = ""
        self._kind: type[Any] = TextDelta  # of the delta that the half ended

    def join(self, events: list[Event]) -> list[Event]:
        joined: list[Event] = []
        for event in events:
            if isinstance(event, TextDelta | ReasoningDelta):
                if type(event) is not self._kind:
                    joined += self._take_half()
                self._kind = type(event)
                text = self._half + event.text
                self._half = text[-1:] if "\ud800" <= text[-1:] < "\udc00" else ""
                if text := text[: len(text) - len(self._half)]:
                    joined.append(self._kind(self._whole(text), timestamp=event.timestamp))
            else:
                joined += [*self._take_half(), self._whole(event)]
        return joined

    def _take_half(self) -> list[Event]:
        half, self._half = self._half, ""
        return [self._kind(self._whole(half))] if half else []

    def _whole(self, value: Any) -> Any:
        """Return a value or an event with U+FFFD for half surrogate pairs."""
        if isinstance(value, str):
            whole = json.whole_text(value)
            self.replaced += whole.count("\ufffd") - value.count("\ufffd")
            return whole
        if isinstance(value, dict | list):
            text = stdlib_json.dumps(value)
            whole = json.whole_json(text)
            self.replaced += whole.count("\\ufffd") - text.count("\\ufffd")
            return stdlib_json.loads(whole)
        if isinstance(value, tuple):
            return tuple(map(self._whole, value))
        if hasattr(value, "__match_args__"):
            fields = {name: self._whole(getattr(value, name)) for name in value.__match_args__}
            if isinstance(value, Event):
                fields["timestamp"] = value.timestamp
            return type(value)(**fields)
        return value


# ---- what several dialects share ----

CUT: Final = Error("the stream was cut", "truncated")
NOT_JSON: Final = Error("the stream has a frame that is not JSON", "invalid_frame")


@cache
def load_writer(package: str, name: str) -> Callable[..., DialectWriter]:
    """Return the class `name` of a dialect's module `writer`, which its first use imports."""
    return getattr(import_module(f"{package}.writer"), name)  # type: ignore[no-any-return]


@cache
def load_reader(package: str, name: str) -> Callable[..., DialectReader]:
    """Return the class `name` of a dialect's module `reader`, which its first use imports."""
    found: Callable[..., DialectReader] = getattr(import_module(f"{package}.reader"), name)
    return found


@cache
def load_request_reader(package: str) -> Callable[[object], Any]:
    """Return `read_body` of a dialect's module `request`, which its first use imports."""
    found: Callable[[object], Any] = import_module(f"{package}.request").read_body
    return found


def half_call_error(name: str) -> Error:
    """Return the end of a stream in which the arguments of a call of this tool are not whole."""
    message = f"the tool call {name!r} was cut: its arguments are not whole"
    return Error(message, "truncated_tool_call")


def check_model(model: object) -> None:
    """Raise FrameTypeError unless a dialect's option `model` is a str or None."""
    if model is not None and not isinstance(model, str):
        raise FrameTypeError(f"model must be str or None, not {type(model).__name__}")


def error_event(error: BaseException) -> Error:
    """Return the event that reports an exception; only a StreamError shows its text."""
    error = ungrouped(error)
    if isinstance(error, StreamError):
        return Error(error.message, error.code, error.retry_after)
    return Error("internal error", "internal")


def error_object(code: str | None, message: str) -> dict[str, dict[str, str]]:
    """Return the object that reports a failure in the `json` dialect and in HTTP bodies."""
    return {"error": {"code": code or "error", "message": message}}


def check_error(error: object) -> None:
    """Raise EventError unless a stream can fail with this value."""
    if type(error) is not Error:
        raise EventError(f"a stream fails with an Error, not {type(error).__name__}")


def write_event_line(encoder: Any, event: ServerSentEvent, unnamed: str | None = None) -> None:
    """Write a ServerSentEvent as a line; its id, retry and comment are left out.

    Args:
        encoder: the stream's NDJSON encoder.
        event: a named event becomes a line of that type; the data of a nameless one is the line.
        unnamed: the type of the line for a nameless event.
    """
    name = unnamed if event.event in (None, "", "message") else event.event
    if name is None:
        if event.data is not None:
            encoder.write_text_line(event.data)
    elif event.data is not None or event.event is not None:
        encoder.write_event(name, event.json() if event._is_json else event.data)
