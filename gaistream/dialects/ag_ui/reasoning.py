"""The reasoning of a run of AG-UI that is read: spans, messages in them, their encrypted values.

A message of reasoning is one block. It ends with the span around it, or by itself if there is none,
and is held for one frame if its encrypted value has not come: that may be the next one.
"""

from __future__ import annotations

from ...events import Event, ReasoningDelta, ReasoningEnd
from ..fields import Unexpected, required_text, text_of
from .fields import Frame, metadata_of


class _Thought:
    """A message of reasoning, the span around it, and what must go back to the provider."""

    def __init__(self, span: str | None) -> None:
        self.span = span
        self.message: str | None = None
        self.signature: str | None = None
        self.about: Frame = {}  # the metadata of its end

    def end(self) -> ReasoningEnd:
        identity = text_of(self.about.get("id")) or self.message or self.span
        redacted = text_of(self.about.get("redacted")) or None
        return ReasoningEnd(id=identity, signature=self.signature, redacted=redacted)


class Reasoning:
    """Reads the frames of reasoning of one run."""

    def __init__(self) -> None:
        self._spans: dict[str, _Thought] = {}  # open
        self._messages: dict[str, _Thought] = {}  # open
        self._held: _Thought | None = None

    def start_span(self, frame: Frame) -> list[Event]:
        identity = required_text(frame, "messageId")
        if identity in self._spans:
            raise Unexpected
        self._spans[identity] = _Thought(identity)
        return []

    def start(self, frame: Frame) -> list[Event]:
        identity = required_text(frame, "messageId")
        if identity in self._messages:
            raise Unexpected
        thought = next(reversed(self._spans.values()), None) or _Thought(None)
        ended: list[Event] = []
        if thought.message is not None and thought.span is not None:  # the span's second message
            ended = [thought.end()]
            thought = self._spans[thought.span] = _Thought(thought.span)
        thought.message, self._messages[identity] = identity, thought
        return ended

    def delta(self, frame: Frame) -> list[Event]:
        identity, delta = required_text(frame, "messageId"), required_text(frame, "delta")
        if identity not in self._messages:
            raise Unexpected
        return [ReasoningDelta(delta)] if delta else []

    def end(self, frame: Frame) -> list[Event]:
        thought = self._messages.pop(required_text(frame, "messageId"), None)
        if thought is None:
            raise Unexpected
        thought.about |= metadata_of(frame)
        return self._end(thought) if thought.span is None else []

    def end_span(self, frame: Frame) -> list[Event]:
        thought = self._spans.pop(required_text(frame, "messageId"), None)
        if thought is None:
            raise Unexpected
        if thought.message is not None:
            self._messages.pop(thought.message, None)
        return self._end(thought)

    def set_value(self, frame: Frame) -> list[Event]:
        """Read an encrypted value, and return the end of the reasoning that waited for it."""
        entity, value = required_text(frame, "entityId"), required_text(frame, "encryptedValue")
        known = [*self._spans.values(), *self._messages.values()]
        if self._held is not None:
            known.insert(0, self._held)
        for thought in known:
            if entity in (thought.message, thought.span):
                thought.signature = value
                return self.release()
        raise Unexpected

    def release(self) -> list[Event]:
        """Return the end of the reasoning that is held."""
        held, self._held = self._held, None
        return [] if held is None else [held.end()]

    def _end(self, thought: _Thought) -> list[Event]:
        if thought.signature is not None:
            return [thought.end()]
        self._held = thought
        return []
