"""The reader of Anthropic's Messages protocol: content blocks to events.

Guaranteed: text is returned as soon as it arrives. A tool call is returned whole or not at all. A
stream without `message_stop` was cut: it ends with an `Error`, never with a `Done`. A field of an
unexpected type, and a block, delta or event that is unknown, becomes a `Raw`.

How: a small state machine of the blocks that are open, by their indexes. Usage and stop reason wait
for `message_stop`, because later counts overwrite earlier ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ...core import ServerSentEvent
from ...events import (
    Done,
    Error,
    Event,
    Finish,
    Raw,
    ReasoningDelta,
    Safety,
    Start,
    TextDelta,
    Usage,
)
from ..base import CUT, NOT_JSON, DialectReader, half_call_error
from ..deltas import SteadyDelta
from ..fields import count_of, object_of, text_of
from .blocks import Block, ToolBlock, open_block
from .words import FINISH_REASONS

__all__ = ["MessagesReader"]

_COUNTS: Final = (
    "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
)  # fmt: skip


class MessagesReader(DialectReader):
    """Reads the frames of one stream of Anthropic's protocol. Belongs to one task."""

    steady_deltas = (
        SteadyDelta(TextDelta, ("delta", "text")),
        SteadyDelta(ReasoningDelta, ("delta", "thinking")),
    )

    def __init__(self) -> None:
        self.ended = False
        self._started = False
        self._blocks: dict[int, Block | None] = {}  # None: the block has ended
        self._tools: dict[str, str] = {}  # the names of the server's tools that ran, by id
        self._unanswered = False  # a call that the client must answer was read
        self._counts: dict[str, int] = {}
        self._stop_reason: str | None = None

    def feed(self, event: ServerSentEvent) -> list[Event]:
        if self.ended or event.data is None:
            return []
        try:
            payload = self.read(event.data)
        except ValueError:
            if event.event == "ping":
                return []
            if event.event == "error":
                return self.fail(Error(str(event.data)))
            return self.fail(NOT_JSON)
        fields = object_of(payload)
        kind = fields.get("type")
        if not isinstance(kind, str):
            kind = event.event or "message"
        if "error" in (kind, event.event) or fields.get("error"):
            return self._error(payload, fields.get("error"))
        if kind == "ping":
            return []
        read = _READERS.get(kind)
        if read is None or not isinstance(payload, dict):
            return [Raw(payload)]
        events = read(self, payload)
        return [Raw(payload)] if events is None else events

    def close(self) -> list[Event]:
        """Read the end of the body; a stream that is not over was cut."""
        if self.ended:
            return []
        for block in self._blocks.values():
            if isinstance(block, ToolBlock) and block.is_broken():
                return self.fail(half_call_error(block.name))
        return self.fail(CUT)

    # ---- one kind of frame each; None: its fields have other types ----

    def _message_start(self, payload: dict[str, Any]) -> list[Event] | None:
        message = payload.get("message")
        if not isinstance(message, dict) or self._started:
            return None
        self._started = True
        self._count(message.get("usage"))
        identity, model = text_of(message.get("id")), text_of(message.get("model"))
        return [Start(identity or None, model or None)]

    def _block_start(self, payload: dict[str, Any]) -> list[Event] | None:
        index, fields = payload.get("index"), payload.get("content_block")
        if type(index) is not int or not isinstance(fields, dict):
            return None
        if index in self._blocks:
            twice = f"the provider used the block index {index} twice"
            return self.fail(Error(twice, "invalid_frame"))
        block = self._blocks[index] = open_block(fields, self._tools)
        if isinstance(block, ToolBlock):
            if block.provider_executed:
                self._tools[block.id] = block.name
            else:
                self._unanswered = True
        return block.start()

    def _block_delta(self, payload: dict[str, Any]) -> list[Event] | None:
        index, delta = payload.get("index"), payload.get("delta")
        block = self._blocks.get(index) if type(index) is int else None
        if block is None or not isinstance(delta, dict):
            return None
        events = block.add(delta)
        return [Raw(delta)] if events is None else events

    def _block_stop(self, payload: dict[str, Any]) -> list[Event] | None:
        index = payload.get("index")
        if type(index) is not int or (block := self._blocks.get(index)) is None:
            return None
        self._blocks[index] = None
        return self._stop(block)

    def _stop(self, block: Block) -> list[Event]:
        events = block.stop()
        self.ended = bool(events) and type(events[-1]) is Error
        return events

    def _message_delta(self, payload: dict[str, Any]) -> list[Event] | None:
        delta = payload.get("delta")
        if not isinstance(delta, dict):
            return None
        self._count(payload.get("usage"))
        reason = text_of(delta.get("stop_reason"))
        if not reason:
            return []
        first = self._stop_reason is None
        self._stop_reason = reason
        return [_refusal(delta.get("stop_details"))] if first and reason == "refusal" else []

    def _message_stop(self, payload: dict[str, Any]) -> list[Event]:
        events: list[Event] = []
        for index, block in self._blocks.items():
            if block is not None:
                self._blocks[index] = None
                events += self._stop(block)
                if self.ended:
                    return events
        raw = self._stop_reason
        reason = "tool_calls" if self._unanswered else "stop"
        if raw is not None:
            reason = FINISH_REASONS.get(raw, "other")
        self.ended = True
        return [*events, Finish(self._usage(), reason, raw), Done()]

    def _error(self, payload: Any, error: Any) -> list[Event]:
        fields = object_of(error if isinstance(error, dict) else payload)
        message, code = fields.get("message"), text_of(fields.get("type"))
        if not isinstance(message, str):
            message = error if isinstance(error, str) else "the provider failed"
        return self.fail(Error(message, code if code not in ("", "error") else None))

    # ---- usage ----

    def _count(self, usage: Any) -> None:
        """Remember counts; those that come later overwrite."""
        if not isinstance(usage, dict):
            return
        found = {name: count_of(usage.get(name)) for name in _COUNTS}
        details = object_of(usage.get("output_tokens_details"))
        found["thinking_tokens"] = count_of(details.get("thinking_tokens"))
        self._counts |= {name: count for name, count in found.items() if count is not None}

    def _usage(self) -> Usage | None:
        """Return the counts, whose input includes what was read from and written to caches."""
        if not self._counts:
            return None
        found = self._counts.get
        cached, written = found("cache_read_input_tokens"), found("cache_creation_input_tokens")
        return Usage(
            found("input_tokens", 0) + (cached or 0) + (written or 0),
            found("output_tokens", 0),
            None,
            cached,
            written,
            found("thinking_tokens"),
        )


_READERS: Final[dict[str, Callable[[MessagesReader, dict[str, Any]], list[Event] | None]]] = {
    "message_start": MessagesReader._message_start,
    "content_block_start": MessagesReader._block_start,
    "content_block_delta": MessagesReader._block_delta,
    "content_block_stop": MessagesReader._block_stop,
    "message_delta": MessagesReader._message_delta,
    "message_stop": MessagesReader._message_stop,
}


def _refusal(details: Any) -> Safety:
    fields = object_of(details)
    note = fields.get("explanation")
    return Safety(
        text_of(fields.get("category")) or "refusal",
        "block",
        note=note if isinstance(note, str) else None,
    )
