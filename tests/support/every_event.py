"""Uses of every event and value of the core, by name: see every_name.py."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import ModuleType
from typing import Any

WIDE = "é\u2028\x85😀\x00\"\\ \u0391" * 9
ERRORS = (ValueError, TypeError, BufferError, ArithmeticError, AttributeError, LookupError)
Use = Callable[[ModuleType], Any]


def refused(call: Callable[..., Any], *args: Any, **named: Any) -> tuple[str, str]:
    """Return the error that a call raises; fail if it raises none."""
    try:
        call(*args, **named)
    except ERRORS as error:
        return type(error).__name__, str(error)
    raise AssertionError(call)


EVENTS: dict[str, tuple[Any, ...]] = {
    "Start": ("id", "model"),
    "TextDelta": (WIDE,),
    "ReasoningDelta": ("because",),
    "AudioDelta": (bytearray(b"\x00" * 50),),
    "ReasoningEnd": ("id", "signature", "redacted"),
    "ToolCallStart": ("1", "name", True),
    "ToolCallDelta": ("1", WIDE),
    "ToolCall": ("1", "name", {"x": [1, None]}, "signature", False),
    "ToolResult": ("1", "name", [WIDE], True, True),
    "ApprovalRequest": ("2", "1", "message", "reason", {"type": "object"}, "signature"),
    "Data": ("name", {"x": WIDE}, "id", True),
    "File": ("text/plain", None, bytearray(b"data")),
    "StepStart": (1, "name"),
    "StepReset": (),
    "Citations": ([],),
    "Safety": ("category", "action", 0.5, "note"),
    "FinishStep": (3,),
    "Finish": (None, "stop", "end_turn"),
    "Error": ("message", "code", 2.5),
    "Done": (),
    "Raw": ({"any": 1},),
    "Usage": (1, 2, None, 3, 4, 5),
    "Citation": ("uri", 1, 2, "title"),
    "AudioFormat": ("audio/pcm", 24000, 1, 16),
}

UNHASHABLE = {"ApprovalRequest", "Data", "Raw", "ToolCall", "ToolResult"}  # here, by their JSON


def event(name: str) -> Use:
    """Return the use of a kind of event or value."""

    def use(gs: ModuleType) -> Any:
        kind = getattr(gs.core, name)
        made, again = (kind(*EVENTS[name]) for _ in range(2))
        rebuild, arguments = made.__reduce__()[:2]
        return [
            repr(made), made == again == copy.copy(made) == rebuild(*arguments),
            refused(hash, made) if name in UNHASHABLE else
            hash(made) == hash(again),
            [repr(getattr(made, field)) for field in kind.__match_args__],
            refused(setattr, made, "text", 1), refused(kind, object(), object(), 3, 5, 6, 7, 8),
        ]  # fmt: skip

    return use


def base_event(gs: ModuleType) -> Any:
    return issubclass(gs.events.Done, gs.core.Event)


def delta_collector(gs: ModuleType) -> Any:
    class Collector(gs.core.DeltaCollector):  # type: ignore[name-defined, misc]
        def add_other(self, event: Any) -> None:
            self.text_pieces = []

    collector = Collector()
    for each in (gs.events.TextDelta("no block"), gs.events.TextDelta(WIDE), 5):
        collector.add(each)
        collector.add(gs.events.TextDelta("kept"))
    return collector.text_pieces, collector.reasoning_pieces


EVENT_USES: dict[str, Use] = {
    **{name: event(name) for name in EVENTS},
    "DeltaCollector": delta_collector,
    "Event": base_event,
}
