"""The reader of Gemini's Interactions: steps to events.

Guaranteed: text, reasoning and pieces of arguments are returned as soon as they arrive. A tool call
is returned whole or not at all. A stream without `interaction.completed` was cut: it ends with an
`Error`, never with a `Done`. A field of an unexpected type, and a step, delta or event that is
unknown, becomes a `Raw`.

How: a small state machine of the steps that are open, by their indexes.
"""

from __future__ import annotations

from typing import Any, Final

from ...core import ServerSentEvent
from ...events import Done, Error, Event, Finish, Raw, Start, Usage
from ..base import CUT, NOT_JSON, DialectReader, half_call_error
from ..fields import count_of, object_of, sum_of, text_of
from ..gemini.parts import error_of
from .steps import Answer, Step, open_step

__all__ = ["InteractionsReader"]

_REASONS: Final = {
    "requires_action": "tool_calls",
    "incomplete": "length",
    "budget_exceeded": "length",
    "cancelled": "cancelled",
}


class InteractionsReader(DialectReader):
    """Reads the frames of one interaction. Belongs to one task."""

    def __init__(self) -> None:
        self.ended = False
        self._started = False
        self._steps: dict[int, Step | None] = {}  # None: the step has stopped
        self._answer = Answer()

    def feed(self, event: ServerSentEvent) -> list[Event]:
        data = text_of(event.data).strip()
        if self.ended or not data:
            return []
        if data == "[DONE]":
            return self.close()
        try:
            payload = self.read(data)
        except ValueError:
            return self.fail(NOT_JSON)
        fields = object_of(payload)
        kind = text_of(fields.get("event_type")) or text_of(event.event)
        if kind == "error" or fields.get("error"):
            return self.fail(error_of(fields.get("error"), "code"))
        if kind == "interaction.status_update":
            return []
        read = _READERS.get(kind)
        events = None if read is None or not fields else read(self, fields)
        return [Raw(payload)] if events is None else events

    def close(self) -> list[Event]:
        """Read the end of the body; an interaction that is not completed was cut."""
        if self.ended:
            return []
        open_steps = [step for step in self._steps.values() if step is not None]
        name = next((name for each in open_steps if (name := each.half_name()) is not None), None)
        return self.fail(CUT if name is None else half_call_error(name))

    # ---- one kind of frame each; None: its fields have other types ----

    def _created(self, fields: dict[str, Any]) -> list[Event] | None:
        interaction = fields.get("interaction")
        if not isinstance(interaction, dict) or self._started:
            return None
        self._started = True
        self._answer.id = text_of(interaction.get("id"))
        model = text_of(interaction.get("model")) or text_of(interaction.get("agent"))
        return [Start(self._answer.id or None, model or None)]

    def _step_start(self, fields: dict[str, Any]) -> list[Event] | None:
        index, step = fields.get("index"), fields.get("step")
        if type(index) is not int or not isinstance(step, dict):
            return None
        if index in self._steps:
            twice = f"the provider used the step index {index} twice"
            return self.fail(Error(twice, "invalid_frame"))
        if failure := step.get("error"):
            return self.fail(error_of(failure, "status"))
        opened = self._steps[index] = open_step(step, self._answer)
        return opened.start()

    def _step_delta(self, fields: dict[str, Any]) -> list[Event] | None:
        index, delta = fields.get("index"), fields.get("delta")
        step = self._steps.get(index) if type(index) is int else None
        if step is None or not isinstance(delta, dict):
            return None
        events = step.add(delta)
        return [Raw(delta)] if events is None else events

    def _step_stop(self, fields: dict[str, Any]) -> list[Event] | None:
        index = fields.get("index")
        if type(index) is not int or (step := self._steps.get(index)) is None:
            return None
        self._steps[index] = None
        return self._stop(step)

    def _stop(self, step: Step) -> list[Event]:
        events = step.stop()
        self.ended = bool(events) and type(events[-1]) is Error
        return events

    def _completed(self, fields: dict[str, Any]) -> list[Event] | None:
        interaction = fields.get("interaction")
        if not isinstance(interaction, dict):
            return None
        status = text_of(interaction.get("status"))
        if status == "failed":
            return self.fail(Error("the interaction failed", status))
        events: list[Event] = []
        for index, step in self._steps.items():
            if step is not None:
                self._steps[index] = None
                events += self._stop(step)
                if self.ended:
                    return events
        reason = _REASONS.get(status, "other")
        if status in ("", "completed"):
            reason = "tool_calls" if self._answer.unanswered else "stop"
        self.ended = True
        usage = _usage_of(object_of(interaction.get("usage")))
        return [*events, Finish(usage, reason, raw_reason=status or None), Done()]


_READERS: Final = {
    "interaction.created": InteractionsReader._created,
    "interaction.completed": InteractionsReader._completed,
    "step.start": InteractionsReader._step_start,
    "step.delta": InteractionsReader._step_delta,
    "step.stop": InteractionsReader._step_stop,
}


def _usage_of(usage: dict[str, Any]) -> Usage | None:
    """Return the counts, whose output includes the thoughts; None if there are none."""
    counts = {name: count_of(value) for name, value in usage.items()}
    if all(count is None for count in counts.values()):
        return None
    found = counts.get
    thoughts = found("total_thought_tokens")
    return Usage(
        found("total_input_tokens") or 0,
        sum_of(found("total_output_tokens"), thoughts),
        found("total_tokens"),
        found("total_cached_tokens"),
        None,
        thoughts,
    )
