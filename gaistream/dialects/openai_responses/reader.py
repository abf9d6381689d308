"""The reader of OpenAI's Responses protocol: the items of a response to events.

Guaranteed: text is returned as soon as it arrives. A tool call is returned whole or not at all. A
stream without `response.completed` or `response.incomplete` was cut or has failed: it ends with an
`Error`, never with a `Done`. A field of an unexpected type, and an item or event that is unknown,
becomes a `Raw`.

How: a state machine of the items by their `output_index`. What repeats the deltas is skipped;
servers that send no deltas are read by the ends of the items, or by the response at the end.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any, Final

from ...core import ServerSentEvent
from ...events import (
    ApprovalRequest,
    AudioDelta,
    Citation,
    Citations,
    Done,
    Error,
    Event,
    Finish,
    Raw,
    ReasoningDelta,
    Safety,
    Start,
    TextDelta,
    ToolCall,
    ToolResult,
    Usage,
)
from ..base import CUT, NOT_JSON, DialectReader, half_call_error
from ..deltas import SteadyDelta
from ..fields import count_of, object_of, text_of
from .read_items import KINDS, Call, Item, json_value, made_id
from .words import INCOMPLETE

__all__ = ["ResponsesReader"]

_VARYING: Final = ("sequence_number", "obfuscation")
_Payload = dict[str, Any]
# Events that repeat what others say, or tell of progress only.
_SILENT: Final = re.compile(
    r"response\.(content_part\..*|reasoning_summary_part\..*|audio\.done"
    r"|(output_text|refusal|reasoning_summary_text|reasoning_text|reasoning|reasoning_summary)\.done"
    r"|function_call_arguments\.done"
    r"|(web_search|file_search|code_interpreter|mcp|image_generation)_call(_code|_arguments)?\..*)"
    r"|keepalive"
)


class ResponsesReader(DialectReader):
    """Reads the frames of one stream of the Responses protocol. Belongs to one task."""

    steady_deltas = (
        SteadyDelta(TextDelta, ("delta",), _VARYING),
        SteadyDelta(ReasoningDelta, ("delta",), _VARYING),
    )

    def __init__(self) -> None:
        self.ended = False
        self._started = False
        self._items: dict[int, Item | None] = {}  # by their index; None: the item is done
        self._calls: dict[str, Call] = {}  # by the ids of their events

    def feed(self, event: ServerSentEvent) -> list[Event]:
        if self.ended or event.data is None:
            return []
        data = text_of(event.data).strip()
        if data == "[DONE]":
            return self.close()
        try:
            payload = self.read(data)
        except ValueError:
            if event.event == "error":
                return self.fail(Error(data))
            return self.fail(NOT_JSON) if data else []
        fields = object_of(payload)
        kind = fields.get("type")
        if not isinstance(kind, str):
            kind = event.event or "message"
        if "error" in (kind, event.event) or (fields.get("error") and "response" not in fields):
            return self._error(payload, fields.get("error"))
        if _SILENT.fullmatch(kind):
            return []
        read = _READERS.get(kind)
        events = None if read is None or not fields else read(self, fields)
        return [Raw(payload)] if events is None else events

    def close(self) -> list[Event]:
        """Read the end of the body; a stream that is not over was cut."""
        if self.ended:
            return []
        broken = next((call for call in self._open_calls() if call.is_broken()), None)
        return self.fail(CUT if broken is None else half_call_error(broken.name))

    def _open_calls(self) -> list[Call]:
        return [item for item in self._items.values() if isinstance(item, Call)]

    # ---- one kind of frame each; None: its fields have other types ----

    def _start(self, payload: _Payload) -> list[Event] | None:
        response = payload.get("response")
        if not isinstance(response, dict):
            return None
        if self._started:
            return []
        self._started = True
        identity, model = text_of(response.get("id")), text_of(response.get("model"))
        return [Start(identity or None, model or None)]

    def _item_added(self, payload: _Payload) -> list[Event] | None:
        index, fields = payload.get("output_index"), payload.get("item")
        if type(index) is not int or not isinstance(fields, dict):
            return None
        if index in self._items:
            twice = f"the provider used the output index {index} twice"
            return self.fail(Error(twice, "invalid_frame"))
        item = self._items[index] = self._open(fields)
        return item.start()

    def _open(self, fields: _Payload) -> Item:
        kind = fields.get("type")
        if kind == "function_call" and isinstance(fields.get("name"), str):
            id = text_of(fields.get("call_id"))
            if not id or id in self._calls:
                id = made_id()
            call = self._calls[id] = Call(fields, id)
            return call
        return KINDS.get(text_of(kind), Item)(fields)

    def _item_done(self, payload: _Payload) -> list[Event] | None:
        index, fields = payload.get("output_index"), payload.get("item")
        if type(index) is not int or not isinstance(fields, dict):
            return None
        started: list[Event] = []
        if index not in self._items:
            started = self._item_added(payload) or []
        item = self._items[index]
        if item is None:
            return None
        self._items[index] = None
        read = _WHOLE_ITEMS.get(text_of(fields.get("type")))
        return started + (self._end(item, fields) if read is None else read(self, fields))

    def _end(self, item: Item, fields: _Payload) -> list[Event]:
        events = item.end(fields)
        self.ended = bool(events) and type(events[-1]) is Error
        return events

    def _call_output(self, fields: _Payload) -> list[Event]:
        identity = text_of(fields.get("call_id"))
        call = self._calls.get(identity)
        if call is not None:
            call.answered = True
        name = text_of(fields.get("name")) if call is None else call.name
        return [ToolResult(identity, name, fields.get("output"))]

    def _approval(self, fields: _Payload) -> list[Event]:
        """Return a request for approval, of a call that was read or is made of it."""
        identity = text_of(fields.get("id")) or made_id()
        name, value = text_of(fields.get("name")), json_value(fields.get("arguments"))
        for call in reversed(self._calls.values()):
            if (call.name, call.input) == (name, value) and not call.answered:
                return [ApprovalRequest(identity, call.id)]
        made = ToolCall(identity, name, value, provider_executed=True)
        return [made, ApprovalRequest(identity, identity)]

    def _delta(self, payload: _Payload, place: object = None) -> list[Event] | None:
        index, text = payload.get("output_index"), payload.get("delta")
        if not isinstance(text, str):
            return None
        item = self._items.get(index) if type(index) is int else None
        if item is None:
            return None
        return item.add(place, text) if text else []

    def _text(self, payload: _Payload) -> list[Event] | None:
        events, text = self._delta(payload), payload.get("delta")
        if events is None and isinstance(text, str):  # of an item that was not added
            return [TextDelta(text)] if text else []
        return events

    def _summary(self, payload: _Payload) -> list[Event] | None:
        return self._delta(payload, ("summary", count_of(payload.get("summary_index"))))

    def _reasoning(self, payload: _Payload) -> list[Event] | None:
        return self._delta(payload, ("content", count_of(payload.get("content_index"))))

    def _annotation(self, payload: _Payload) -> list[Event] | None:
        fields = payload.get("annotation")
        url, title = object_of(fields).get("url"), object_of(fields).get("title")
        if not isinstance(fields, dict) or not isinstance(url, str) or not url:
            return None
        start, end = count_of(fields.get("start_index")), count_of(fields.get("end_index"))
        return [Citations([Citation(url, start or 0, end or 0, text_of(title) or None)])]

    def _audio(self, payload: _Payload) -> list[Event] | None:
        try:
            data = base64.b64decode(text_of(payload.get("delta")), validate=True)
        except ValueError:  # binascii.Error, or one for text that is not ASCII
            return None
        return [AudioDelta(data)] if data else []

    # ---- the end ----

    def _complete(self, payload: _Payload) -> list[Event] | None:
        response = payload.get("response")
        if not isinstance(response, dict):
            return None
        events = self._start(payload) or []
        details = object_of(response.get("incomplete_details"))
        is_incomplete = payload.get("type") == "response.incomplete"
        events += self._rest(response, is_incomplete)
        if self.ended:
            return events
        unanswered = any(not call.answered for call in self._calls.values())
        word = text_of(details.get("reason")) if is_incomplete else ""
        if is_incomplete:
            reason = INCOMPLETE.get(word, "other") if word else "cancelled"
        else:
            reason = "tool_calls" if unanswered else "stop"
        if reason == "content_filter":
            events.append(Safety(reason, "block"))
        self.ended = True
        usage = _usage(response.get("usage"))
        raw_reason = word if word not in ("", reason) else None
        return [*events, Finish(usage, reason, raw_reason), Done()]

    def _rest(self, response: _Payload, is_incomplete: bool) -> list[Event]:
        """Return what no other frame has said: the items that are open, or all of them."""
        events: list[Event] = []
        seen, output = bool(self._items), response.get("output")
        for index, item in enumerate(output if isinstance(output, list) else ()):
            if not self.ended and (not seen or self._items.get(index) is not None):
                events += self._item_done({"output_index": index, "item": item}) or []
        for index, left in self._items.items():
            if left is not None and not self.ended:
                self._items[index] = None
                status = "incomplete" if is_incomplete else "completed"
                events += self._end(left, {**left.fields, "status": status})
        return events

    def _failed(self, payload: _Payload) -> list[Event]:
        return self._error(payload, object_of(payload.get("response")).get("error"))

    def _error(self, payload: Any, error: Any) -> list[Event]:
        fields = object_of(error if isinstance(error, dict) else payload)
        message = text_of(fields.get("message"))
        if not message:
            message = error if isinstance(error, str) and error else "the provider failed"
        code = text_of(fields.get("code"))
        kind = text_of(fields.get("type")) if fields is not payload else ""
        return self.fail(Error(message, code or kind or None))


_READERS: Final[dict[str, Callable[[ResponsesReader, _Payload], list[Event] | None]]] = {
    "response.created": ResponsesReader._start,
    "response.queued": ResponsesReader._start,
    "response.in_progress": ResponsesReader._start,
    "response.output_item.added": ResponsesReader._item_added,
    "response.output_item.done": ResponsesReader._item_done,
    "response.output_text.delta": ResponsesReader._text,
    "response.refusal.delta": ResponsesReader._text,
    "response.output_text.annotation.added": ResponsesReader._annotation,
    "response.reasoning_summary_text.delta": ResponsesReader._summary,
    "response.reasoning_summary.delta": ResponsesReader._summary,
    "response.reasoning_text.delta": ResponsesReader._reasoning,
    "response.reasoning.delta": ResponsesReader._reasoning,
    "response.function_call_arguments.delta": ResponsesReader._delta,
    "response.audio.delta": ResponsesReader._audio,
    "response.completed": ResponsesReader._complete,
    "response.incomplete": ResponsesReader._complete,
    "response.failed": ResponsesReader._failed,
}
_WHOLE_ITEMS: Final[dict[str, Callable[[ResponsesReader, _Payload], list[Event]]]] = {
    "function_call_output": ResponsesReader._call_output,
    "mcp_approval_request": ResponsesReader._approval,
}


def _usage(usage: object) -> Usage | None:
    """Return the counts, None if there are none."""
    counts = object_of(usage)
    read, written = count_of(counts.get("input_tokens")), count_of(counts.get("output_tokens"))
    total = count_of(counts.get("total_tokens"))
    if read is written is total is None:
        return None
    of_input = object_of(counts.get("input_tokens_details"))
    of_output = object_of(counts.get("output_tokens_details"))
    return Usage(
        read or 0,
        written or 0,
        total,
        count_of(of_input.get("cached_tokens")),
        count_of(of_input.get("cache_write_tokens")),
        count_of(of_output.get("reasoning_tokens")),
    )
