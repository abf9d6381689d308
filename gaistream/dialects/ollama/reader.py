"""The reader of Ollama's protocol: the lines of `/api/chat`, and of `/api/generate`, to events.

Guaranteed: text and thinking are returned as soon as they arrive. A stream without a line that is
`done` was cut: it ends with an `Error`, never with a `Done`. A value of an unexpected type becomes
a `Raw` or is ignored.

How: each line is a piece of the message. Calls come whole; those without an id get one. Thinking
has no end of its own: it ends when something else begins.
"""

from __future__ import annotations

from typing import Any, Final

from ...events import (
    Done,
    Error,
    Event,
    File,
    Finish,
    Raw,
    ReasoningDelta,
    ReasoningEnd,
    Start,
    TextDelta,
    ToolCall,
    Usage,
)
from ..base import CUT, DialectReader, half_call_error
from ..deltas import SteadyDelta
from ..fields import CallIds, arguments_of, bytes_of, count_of, object_of, text_of

__all__ = ["OllamaReader"]

_VARYING: Final = ("created_at",)
_MAGIC: Final = (
    (b"\x89PNG", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"),
    (b"RIFF", "image/webp"), (b"BM", "image/bmp"),
)  # fmt: skip


class OllamaReader(DialectReader):
    """Reads the lines of one stream of Ollama. Belongs to one task."""

    half_line_is_cut = True

    steady_deltas = (
        SteadyDelta(TextDelta, ("message", "content"), _VARYING),
        SteadyDelta(TextDelta, ("response",), _VARYING),
        SteadyDelta(ReasoningDelta, ("message", "thinking"), _VARYING),
        SteadyDelta(ReasoningDelta, ("thinking",), _VARYING),
    )

    def __init__(self) -> None:
        self.ended = False
        self._started = False
        self._thinks = False  # thinking is arriving
        self._ids = CallIds()
        self._called = False
        self._time = ""  # of the answer

    def feed_value(self, value: Any) -> list[Event]:
        if self.ended:
            return []
        fields = object_of(value)
        if error := fields.get("error"):
            message = text_of(error) or text_of(object_of(error).get("message"))
            return self.fail(Error(message or "the provider failed"))
        if not {"message", "response", "done", "model"} & fields.keys():
            return [Raw(value)]
        events: list[Event] = []
        if not self._started:
            self._started = True
            self._time = text_of(fields.get("created_at"))
            events.append(Start(None, text_of(fields.get("model")) or None))
        events += self._message(object_of(fields.get("message")) or fields)
        if fields.get("done") is True and not self.ended:
            self.ended = True
            events += [*self._end_thinking(), self._finish(fields), Done()]
        return events

    def close(self) -> list[Event]:
        """Read the end of the body; a stream that is not over was cut."""
        return [] if self.ended else self.fail(CUT)

    def _message(self, message: dict[str, Any]) -> list[Event]:
        events: list[Event] = []
        if thinking := text_of(message.get("thinking")):
            self._thinks = True
            events.append(ReasoningDelta(thinking))
        said: list[Event] = []
        if text := text_of(message.get("content")) or text_of(message.get("response")):
            said.append(TextDelta(text))
        said += [_image(each) for each in _items(message.get("images"))]
        for call in _items(message.get("tool_calls")):
            if not self.ended:
                said.append(self._call(call))
        return [*events, *self._end_thinking(), *said] if said else events

    def _call(self, call: object) -> Event:
        fields = object_of(call)
        function = object_of(fields.get("function"))
        name, arguments = text_of(function.get("name")), function.get("arguments")
        if not name:
            return Raw(call)
        if isinstance(arguments, str):  # of servers that speak the protocol their own way
            try:
                arguments = arguments_of([arguments])
            except ValueError:
                self.ended = True
                return half_call_error(name)
        self._called = True
        return ToolCall(self._ids.of(fields.get("id"), self._time), name, arguments)

    def _end_thinking(self) -> list[Event]:
        is_open, self._thinks = self._thinks, False
        return [ReasoningEnd()] if is_open else []

    def _finish(self, fields: dict[str, Any]) -> Finish:
        word = text_of(fields.get("done_reason"))
        reason = word if word == "length" else "other"
        if word in ("", "stop"):
            reason = "tool_calls" if self._called else "stop"
        asked, answered = (
            count_of(fields.get("prompt_eval_count")),
            count_of(fields.get("eval_count")),
        )
        known = asked is not None or answered is not None
        usage = Usage(asked or 0, answered or 0) if known else None
        return Finish(usage, reason, raw_reason=word or None)


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _image(data: object) -> Event:
    """Return the file of an image, whose type its first bytes tell."""
    content = bytes_of(data)
    if content is None:
        return Raw({"images": [data]})
    kinds = (kind for magic, kind in _MAGIC if content.startswith(magic))
    return File(next(kinds, "application/octet-stream"), data=content)
