"""Recognises a stream's protocol and its end, for the client and the commands.

A protocol is recognised by its first frame that no other protocol has, never by a guess at the
whole. A stream of an unknown protocol needs no last frame, but some last frames are unmistakable in
any stream. No input or output.
"""

from __future__ import annotations

import re
from typing import Any

from ..core import ServerSentEvent
from .ag_ui import dialect as ag_ui
from .ai_sdk import dialect as ai_sdk
from .anthropic import dialect as anthropic
from .base import Dialect
from .frame import Frame, Path
from .gai import dialect as gai
from .gai_events_v1 import dialect as gai_events_v1
from .gemini import dialect as gemini
from .gemini_interactions import dialect as gemini_interactions
from .ollama import dialect as ollama
from .openai_chat import dialect as openai_chat
from .openai_responses import dialect as openai_responses

DIALECTS: tuple[Dialect, ...] = (
    openai_chat, gai_events_v1, ollama, anthropic, openai_responses, ai_sdk, ag_ui,
    gemini_interactions, gemini, gai,
)  # fmt: skip
"""The known protocols; the first one that `sniff`s a frame is the stream's."""

END_MARKS = frozenset(each.end_mark for each in DIALECTS if each.end_mark)
"""Data of last events that are not JSON."""
_LAST_KINDS = frozenset().union(
    *(each.last_kinds for each in DIALECTS if each.last_is_unmistakable)
)
_FAILURES = frozenset().union(*(each.failure_kinds for each in DIALECTS))
# the kinds that `Detector.is_last` looks at; with END_MARKS, no other event ends a stream
_TELLING = _LAST_KINDS.union(
    *(each.last_kinds | each.first_kinds for each in DIALECTS if not each.last_is_unmistakable)
)
_TYPE = re.compile(r'"type"\s*:\s*"([^"\\]*)"')


class Detector:
    """Watches the frames of one stream for its protocol and its end. Belongs to one task.

    Args:
        own: your own dialects, which are asked before the known ones.

    Attributes:
        dialect: the stream's dialect; None while it is unknown.
        terminator: the last event of that protocol, for people; in an unknown one, the event that
            ended the stream.
        terminated: the protocol's last event was seen.
        over: the server has said that nothing follows: `terminated`, or the unmistakable last event
            of another protocol was seen, as gateways send `[DONE]` after everything.
        failed: the last event was the server's own report of a failure.
    """

    def __init__(self, *own: Dialect) -> None:
        self.dialect: Dialect | None = None
        self.terminator = ""
        self.terminated = False
        self.over = False
        self.failed = False
        self._dialects = (*own, *DIALECTS)
        self._own = own
        self._failures = _FAILURES.union(*(each.failure_kinds for each in own))

    @property
    def protocol(self) -> str:
        """The protocol's name for people; "" while it is unknown."""
        return "" if self.dialect is None else self.dialect.title or self.dialect.name

    @property
    def truncated(self) -> bool:
        """True if the stream, once its body has ended, was cut: its last event is missing."""
        return self.dialect is not None and not self.terminated and not self.failed

    def see(self, frame: Frame) -> None:
        """Look at the next frame."""
        kind = frame.kind
        if kind == "ping" or self._is_trailer(frame.data):
            return
        if self.dialect is None:
            self.dialect = next((each for each in self._dialects if each.sniff(frame)), None)
            if self.dialect is not None:
                self.terminator = self.dialect.terminator
        self.failed = kind in self._failures or (
            kind == "message" and frame.fields.get("error") is not None
        )
        ends_any = kind in _LAST_KINDS or frame.data.strip() in END_MARKS
        if self._own and not ends_any:
            ends_any = any(each.is_last(frame) for each in self._own if each.last_is_unmistakable)
        ends = ends_any if self.dialect is None else self.dialect.is_last(frame)
        if ends and not self.terminated:
            self.terminated = True
            mark = frame.data.strip()
            self.terminator = self.terminator or (mark if mark in END_MARKS else kind)
        self.over = self.over or self.terminated or ends_any

    def is_last(self, event: ServerSentEvent) -> bool:
        """Look at the next SSE event. Return True if the stream is over with it."""
        if not self._own:
            name, data = event.event or "message", str(event.data)
            if name != "message":
                if name not in _TELLING:
                    return False
            elif _TELLING.isdisjoint(_TYPE.findall(data)) and data.strip() not in END_MARKS:
                return False  # decided without reading its JSON, which is far cheaper
        self.see(Frame.of_event(event))
        return self.over

    def is_after_end(self, data: str) -> bool:
        """Return True if the next event, which has this data, follows the end of its stream."""
        return self.terminated and not self._is_trailer(data)

    def _is_trailer(self, data: str) -> bool:
        trailer = self.dialect.trailer if self.dialect is not None else ""
        return self.terminated and bool(trailer) and data.strip() == trailer


# ---- the text of an answer ----


_TEXT_PATHS: dict[str, list[Path]] = {}
for _each in DIALECTS:
    for _kind, _path in _each.text_paths:
        _TEXT_PATHS.setdefault(_kind, []).append(_path)


def text_of(frame: Frame) -> str:
    """Return the piece of the answer's text that a frame of any protocol holds, "" if none."""
    for path in _TEXT_PATHS.get(frame.kind, ()):
        value: Any = frame.fields
        try:
            for step in path:
                value = value[step]
        except (LookupError, TypeError):
            continue
        if isinstance(value, str):
            return value
    return ""
