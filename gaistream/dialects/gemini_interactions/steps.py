"""The steps of an interaction, as a reader sees them: start, deltas, stop."""

from __future__ import annotations

from typing import Any, Final

from ...events import (
    Citations,
    Event,
    Raw,
    ReasoningDelta,
    ReasoningEnd,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallStart,
    ToolResult,
)
from ..base import half_call_error
from ..fields import CallIds, arguments_of, object_of, objects_of, text_of
from ..gemini.parts import AnswerText, media_event

_CALL: Final = "_call"
_RESULT: Final = "_result"
_MEDIA: Final = ("audio", "image", "video", "document")


class Answer:
    """What the steps of one interaction share.

    Attributes:
        id: the interaction's id.
        text: the text so far.
        ids: the ids of calls.
        unanswered: the calls that the client must answer.
        tools: the names of the tools, by the ids of their calls.
    """

    def __init__(self) -> None:
        self.id = ""
        self.text = AnswerText()
        self.ids = CallIds()
        self.unanswered: set[str] = set()
        self.tools: dict[str, str] = {}


class Step:
    """A step of an unknown type: a `Raw`; its deltas are `Raw` too.

    Args:
        fields: the `step` of its start.
        answer: its answer.
    """

    def __init__(self, fields: dict[str, Any], answer: Answer) -> None:
        self.fields = fields
        self.answer = answer

    def start(self) -> list[Event]:
        """Return the events of the step's start."""
        return [Raw(self.fields)]

    def add(self, delta: dict[str, Any]) -> list[Event] | None:
        """Return the events of a delta; None if it is not one of this step."""
        return None

    def stop(self) -> list[Event]:
        """Return the events of the step's stop, up to an Error if it is incomplete."""
        return []

    def half_name(self) -> str | None:
        """Return the name of the tool whose arguments so far are not JSON, or None."""
        return None


class OutputStep(Step):
    """Text, its sources, and media."""

    def start(self) -> list[Event]:
        events: list[Event] = []
        for content in objects_of(self.fields.get("content")):
            events += _or_raw(self.add(content), content)
            if annotations := content.get("annotations"):
                sources = {"type": "text_annotation_delta", "annotations": annotations}
                events += _or_raw(self.add(sources), content)
        return events

    def add(self, delta: dict[str, Any]) -> list[Event] | None:
        kind, text = delta.get("type"), delta.get("text")
        if kind == "text" and isinstance(text, str):
            self.answer.text.add(text)
            return [TextDelta(text)] if text else []
        if kind == "text_annotation_delta":
            return self._citations(objects_of(delta.get("annotations")))
        if kind in _MEDIA:
            media = media_event(
                delta.get("mime_type"), delta.get("data"), delta.get("uri"),
                rate=delta.get("sample_rate") or delta.get("rate"), channels=delta.get("channels"),
            )  # fmt: skip
            return None if media is None else [media]
        return None

    def _citations(self, annotations: list[dict[str, Any]]) -> list[Event]:
        found, others = [], []
        for each in annotations:
            names = (each.get("url"), each.get("document_uri"), each.get("source"))
            uri = next((name for name in map(text_of, names) if name), "")
            title = each.get("title") or each.get("file_name") or each.get("name")
            start, end = each.get("start_index"), each.get("end_index")
            citation = self.answer.text.citation(uri, start, end, title)
            if citation is None:
                others.append(each)
            else:
                found.append(citation)
        events: list[Event] = [Citations(found)] if found else []
        return [*events, Raw({"annotations": others})] if others else events


class ThoughtStep(Step):
    """Reasoning, which ends with its step."""

    def start(self) -> list[Event]:
        self._signature = text_of(self.fields.get("signature"))
        summary = objects_of(self.fields.get("summary"))
        return [event for each in summary for event in _or_raw(self._summary(each), each)]

    def add(self, delta: dict[str, Any]) -> list[Event] | None:
        kind, signature = delta.get("type"), delta.get("signature")
        if kind == "thought_signature" and isinstance(signature, str):
            self._signature = signature
            return []
        return self._summary(object_of(delta.get("content"))) if kind == "thought_summary" else None

    def _summary(self, content: dict[str, Any]) -> list[Event] | None:
        text = content.get("text")
        if not isinstance(text, str):
            return None
        return [ReasoningDelta(text)] if text else []

    def stop(self) -> list[Event]:
        return [ReasoningEnd(None, self._signature or None)]


class CallStep(Step):
    """A call of the client's function, or of a tool that the service runs itself."""

    def __init__(self, fields: dict[str, Any], answer: Answer) -> None:
        super().__init__(fields, answer)
        kind = text_of(fields.get("type"))
        self.provider_executed = None if kind == "function_call" else True
        self.name = text_of(fields.get("name")) or kind.removesuffix(_CALL)
        self.id = answer.ids.of(fields.get("id"), answer.id)
        self._signature = text_of(fields.get("signature"))
        self._value: object = fields.get("arguments")
        self._pieces: list[str] = []
        answer.tools[self.id] = self.name
        if self.provider_executed is None:
            answer.unanswered.add(self.id)

    def start(self) -> list[Event]:
        return [ToolCallStart(self.id, self.name, self.provider_executed)]

    def add(self, delta: dict[str, Any]) -> list[Event] | None:
        kind, arguments = delta.get("type"), delta.get("arguments")
        if kind == "arguments_delta" and isinstance(arguments, str):
            if not arguments:
                return []
            self._pieces.append(arguments)
            return [ToolCallDelta(self.id, arguments)]
        if kind == self.fields.get("type") and kind != "function_call":
            self._value = self._value if arguments is None else arguments
            self._signature = text_of(delta.get("signature")) or self._signature
            return []
        return None

    def stop(self) -> list[Event]:
        try:
            value = self._input()
        except ValueError:
            return [half_call_error(self.name)]
        signature = self._signature or None
        return [ToolCall(self.id, self.name, value, signature, self.provider_executed)]

    def half_name(self) -> str | None:
        try:
            self._input()
        except ValueError:
            return self.name
        return None

    def _input(self) -> Any:
        """Return the arguments; without pieces those of the start. Raise ValueError."""
        return arguments_of(self._pieces) if any(map(str.strip, self._pieces)) else self._value


class ResultStep(Step):
    """A result of a tool: of the service's own, or of a function that the client ran before."""

    def start(self) -> list[Event]:
        return []

    def add(self, delta: dict[str, Any]) -> list[Event] | None:
        if delta.get("type") != self.fields["type"]:
            return None
        changed = {name: value for name, value in delta.items() if value is not None}
        if isinstance(changed.get("result"), str) and isinstance(self.fields.get("result"), str):
            changed["result"] = self.fields["result"] + changed["result"]
        self.fields = {**self.fields, **changed}
        return []

    def stop(self) -> list[Event]:
        fields, kind = self.fields, self.fields["type"]
        identity = text_of(fields.get("call_id"))
        name = text_of(fields.get("name")) or self.answer.tools.get(identity, "")
        self.answer.unanswered.discard(identity)
        failed = True if fields.get("is_error") is True else None
        return [
            ToolResult(
                identity, name or kind.removesuffix(_RESULT), fields.get("result"), failed,
                None if kind == "function_result" else True,
            )
        ]  # fmt: skip


def open_step(fields: dict[str, Any], answer: Answer) -> Step:
    """Return the step that a `step.start` starts."""
    kind = text_of(fields.get("type"))
    if kind == "model_output":
        return OutputStep(fields, answer)
    if kind == "thought":
        return ThoughtStep(fields, answer)
    if kind.endswith(_CALL) and (kind != "function_call" or text_of(fields.get("name"))):
        return CallStep(fields, answer)
    if kind.endswith(_RESULT) and text_of(fields.get("call_id")):
        return ResultStep(fields, answer)
    return Step(fields, answer)


def _or_raw(events: list[Event] | None, value: Any) -> list[Event]:
    return [Raw(value)] if events is None else events
