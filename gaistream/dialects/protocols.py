"""How each AI protocol begins and ends: the one list for the client, `check` and `tail`.

A protocol is recognised by its first event that no other protocol has, never by a guess at the
whole. A stream of no known protocol needs no last event, but some last events are unmistakable in
any stream. No input or output.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..core import ServerSentEvent

_Fields = Mapping[str, Any]
DONE = "[DONE]"  # data, not a kind


def _never(_: str, __: _Fields) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Protocol:
    """One protocol.

    Attributes:
        name: for people.
        terminator: its last event, for people.
        first: kinds of events that only this protocol has.
        begins: True for the kind and the fields of an event that only this protocol has.
        ends: the kinds of its last event.
        ends_with: True for the data and the fields of a last event whose kind does not tell.
        shared_ends: True if other protocols have events of these kinds that end nothing.
    """

    name: str
    terminator: str
    first: tuple[str, ...] = ()
    begins: Callable[[str, _Fields], bool] = _never
    ends: tuple[str, ...] = ()
    ends_with: Callable[[str, _Fields], bool] = _never
    shared_ends: bool = False


def _is_done(data: str, _: _Fields) -> bool:
    return data.strip() == DONE


def _begins_gai(kind: str, fields: _Fields) -> bool:
    if kind in ("text_delta", "reasoning_delta"):
        return type(fields.get("text")) is str
    return kind == "start" and fields.get("started") is True


def _begins_ollama(_: str, fields: _Fields) -> bool:
    return "created_at" in fields and "model" in fields and type(fields.get("done")) is bool


PROTOCOLS = (
    Protocol(
        "OpenAI Chat Completions",
        DONE,
        begins=lambda _, fields: fields.get("object") == "chat.completion.chunk",
        ends_with=_is_done,
    ),
    Protocol(
        "gai.events.v1",
        "done",
        begins=lambda _, fields: fields.get("schema") == "gai.events.v1",
        ends=("done",),
    ),
    Protocol(
        "Ollama",
        '"done":true',
        begins=_begins_ollama,
        ends_with=lambda _, fields: fields.get("done") is True,
    ),
    Protocol("Anthropic Messages", "message_stop", ("message_start",), ends=("message_stop",)),
    Protocol(
        "OpenAI Responses",
        "response.completed",
        begins=lambda kind, _: kind.startswith("response."),
        ends=("response.completed", "response.failed", "response.incomplete"),
    ),
    Protocol(
        "AI SDK UI messages",
        "finish",
        ("start-step", "text-start", "text-delta"),
        ends=("finish", "abort"),
        shared_ends=True,  # gai has a `finish` before its `done`
    ),
    Protocol("AG-UI", "RUN_FINISHED", ("RUN_STARTED",), ends=("RUN_FINISHED", "RUN_ERROR")),
    Protocol("gai", "done", begins=_begins_gai, ends=("done",)),
)
# Other protocols, which any of these ends: their own last event is not known.
_UNKNOWN = Protocol(
    "",
    "",
    ends=tuple(kind for each in PROTOCOLS if not each.shared_ends for kind in each.ends),
    ends_with=_is_done,
)
# The kinds that `is_last` has to look at: no other event ends a stream, in whatever protocol.
_TELLING = frozenset(
    kind for each in PROTOCOLS for kind in (*each.ends, *(each.first if each.shared_ends else ()))
)
_TYPE = re.compile(r'"type"\s*:\s*"([^"\\]*)"')
_FAILURES = ("error", "RUN_ERROR", "response.failed")


class Ending:
    """Looks at the events of one stream as they come. Belongs to one task.

    Attributes:
        protocol: the name of a protocol, or "" while none is known.
        terminator: the last event of that protocol, for people; if none is known, the event that
            ended the stream.
        terminated: the protocol's last event was seen.
        over: the server has said that nothing follows: `terminated`, or the unmistakable last event
            of another protocol, as gateways send `[DONE]` after everything.
        failed: the last event was the server's own report of a failure.
    """

    def __init__(self) -> None:
        self._protocol = _UNKNOWN
        self.terminator = ""
        self.terminated = False
        self.over = False
        self.failed = False

    @property
    def protocol(self) -> str:
        """The name of the protocol, or "" while none is known."""
        return self._protocol.name

    @property
    def truncated(self) -> bool:
        """True if the stream, once it is over, was cut: its last event is missing."""
        return bool(self.protocol) and not self.terminated and not self.failed

    def see(self, name: str, data: str, payload: Any) -> None:
        """Take an event.

        Args:
            name: its name, "message" if it has none; of NDJSON too.
            data: its data, as it came.
            payload: the value of the data, or None if it is not JSON.
        """
        fields: _Fields = payload if isinstance(payload, dict) else {}
        kind = _kind(name, fields)
        if kind == "ping":
            return
        if self._protocol is _UNKNOWN:
            self._protocol = next(
                (each for each in PROTOCOLS if _begins(each, kind, fields)), _UNKNOWN
            )
            self.terminator = self._protocol.terminator
        self.failed = kind in _FAILURES or (kind == "message" and fields.get("error") is not None)
        if not self.terminated and _ends(self._protocol, kind, data, fields):
            self.terminated = True
            self.terminator = self.terminator or (DONE if _is_done(data, fields) else kind)
        self.over = self.over or self.terminated or _ends(_UNKNOWN, kind, data, fields)

    def is_last(self, event: ServerSentEvent) -> bool:
        """Take an event of SSE. Return True if the stream is over with it."""
        name, data = event.event or "message", str(event.data)
        payload = None
        if name != "message":
            if name not in _TELLING:
                return False
        elif not _TELLING.isdisjoint(_TYPE.findall(data)):  # far cheaper than reading all JSON
            with contextlib.suppress(ValueError):
                payload = event.json()
        elif data.strip() != DONE:
            return False
        self.see(name, data, payload)
        return self.over

    def is_after_end(self, data: str) -> bool:
        """Return True if an event with this data, not seen yet, follows the end of its stream."""
        extra = self.protocol == "AI SDK UI messages" and data.strip() == DONE
        return self.terminated and not extra


def _begins(protocol: Protocol, kind: str, fields: _Fields) -> bool:
    return kind in protocol.first or protocol.begins(kind, fields)


def _ends(protocol: Protocol, kind: str, data: str, fields: _Fields) -> bool:
    return kind in protocol.ends or protocol.ends_with(data, fields)


def _kind(name: str, fields: _Fields) -> str:
    inner = fields.get("type")
    return inner if name == "message" and isinstance(inner, str) else name


# Where a piece of the answer's text is: by an event's kind, and for events that have none.
_TEXT_OF_KIND: Mapping[str, tuple[str, ...]] = {
    "text_delta": ("text",),
    "text.delta": ("text",),
    "response.output_text.delta": ("delta",),
    "content_block_delta": ("delta", "text"),
    "text-delta": ("delta",),
    "TEXT_MESSAGE_CONTENT": ("delta",),
}
_TEXT_OF_SHAPE: tuple[tuple[str | int, ...], ...] = (
    ("choices", 0, "delta", "content"),  # OpenAI Chat Completions
    ("message", "content"),  # Ollama: a chat
    ("response",),  # Ollama: a completion
    ("candidates", 0, "content", "parts", 0, "text"),  # Gemini
)


def text_of(name: str, payload: Any) -> str:
    """Return the piece of the answer's text that an event holds, "" if none.

    Args:
        name, payload: see `Ending.see`.
    """
    if not isinstance(payload, dict):
        return ""
    kind = _kind(name, payload)
    known = _TEXT_OF_KIND.get(kind)
    for path in [known] if known else _TEXT_OF_SHAPE if kind == "message" else ():
        value: Any = payload
        try:
            for step in path:
                value = value[step]
        except (LookupError, TypeError):
            continue
        if isinstance(value, str):
            return value
    return ""
