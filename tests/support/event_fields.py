"""Arguments of every kind of event and value, and the types of their fields, by name."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest


def wav(gs: ModuleType) -> Any:
    return gs.events.AudioFormat("audio/wav", 24000, 1, 16)


def cited(gs: ModuleType) -> Any:
    return gs.events.Citation("u", 1, 2, "t")


# name -> (the fewest arguments, the fields of that event, the most arguments)
KINDS: dict[str, tuple[tuple[Any, ...], dict[str, Any], tuple[Any, ...]]] = {
    "AudioFormat": (
        ("m",), {"mime": "m", "sample_rate": 0, "channels": 0, "bit_depth": 0}, ("m", 8000, 2, 16)
    ),
    "Citation": (("u",), {"uri": "u", "start": 0, "end": 0, "title": None}, ("u", 1, 2, "t")),
    "Usage": (
        (),
        {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0, "cached_input_tokens": None,
         "cache_write_tokens": None, "reasoning_tokens": None},
        (1, 2, 4, 0, 5, 6),
    ),
    "Start": ((), {"id": None, "model": None}, ("i", "m")),
    "TextDelta": (("t",), {"text": "t"}, ("é",)),
    "ReasoningDelta": (("t",), {"text": "t"}, ("é",)),
    "AudioDelta": ((b"a",), {"audio": b"a", "format": None}, (b"\0\xff", wav)),
    "ReasoningEnd": (
        (), {"id": None, "signature": None, "redacted": None}, ("i", "s", "r"),
    ),
    "ToolCallStart": (
        ("i", "n"), {"id": "i", "name": "n", "provider_executed": None}, ("i", "n", True),
    ),
    "ToolCallDelta": (("i", "t"), {"id": "i", "text": "t"}, ("i", "é")),
    "ToolCall": (
        ("i", "n"),
        {"id": "i", "name": "n", "input": None, "signature": None, "provider_executed": None},
        ("i", "n", (1, "x"), "s", False),
    ),
    "ToolResult": (
        ("i", "n"),
        {"id": "i", "name": "n", "result": None, "is_error": None, "provider_executed": None},
        ("i", "n", (1, "x"), True, False),
    ),
    "ApprovalRequest": (
        ("i", "c"),
        {"id": "i", "tool_call_id": "c", "message": None, "reason": None, "response_schema": None,
         "signature": None},
        ("i", "c", "m", "r", (1, "x"), "s"),
    ),
    "Data": (
        ("n",), {"name": "n", "data": None, "id": None, "transient": None}, ("n", (1,), "i", True),
    ),
    "File": (("m", "u"), {"media_type": "m", "url": "u", "data": None}, ("m", None, b"\0\xff")),
    "StepStart": ((), {"step_number": None, "name": None}, (7, "n")),
    "StepReset": ((), {}, ()),
    "Citations": (([],), {"citations": ()}, (lambda gs: (cited(gs), cited(gs)),)),
    "Safety": (
        ("c", "a"),
        {"category": "c", "action": "a", "score": 0.0, "note": None},
        ("c", "a", 0.5, "n"),
    ),
    "FinishStep": ((1,), {"step_number": 1}, (7,)),
    "Finish": (
        (),
        {"usage": None, "finish_reason": None, "raw_reason": None},
        (lambda gs: gs.events.Usage(1, 2), "stop", "end_turn"),
    ),
    "Error": (("m",), {"message": "m", "code": None, "retry_after": None}, ("m", "c", 1.5)),
    "Done": ((), {}, ()),
    "Raw": ((), {"raw": None}, ((1, "x"),)),
}
# name -> the type of each field, as an error names it; None: any value
TYPES: dict[str, list[str | None]] = {
    "AudioFormat": ["str", "int", "int", "int"],
    "Citation": ["str", "int", "int", "str or None"],
    "Usage": ["int", "int", "int", "int or None", "int or None", "int or None"],
    "Start": ["str or None", "str or None"],
    "TextDelta": ["str"],
    "ReasoningDelta": ["str"],
    "AudioDelta": ["bytes, bytearray or memoryview", "AudioFormat or None"],
    "ReasoningEnd": ["str or None", "str or None", "str or None"],
    "ToolCallStart": ["str", "str", "bool or None"],
    "ToolCallDelta": ["str", "str"],
    "ToolCall": ["str", "str", None, "str or None", "bool or None"],
    "ToolResult": ["str", "str", None, "bool or None", "bool or None"],
    "ApprovalRequest": ["str", "str", "str or None", "str or None", None, "str or None"],
    "Data": ["str", None, "str or None", "bool or None"],
    "File": ["str", "str or None", "bytes, bytearray, memoryview or None"],
    "StepStart": ["int or None", "str or None"],
    "StepReset": [],
    "Citations": ["an iterable of Citation"],
    "Safety": ["str", "str", "int or float", "str or None"],
    "FinishStep": ["int"],
    "Finish": ["Usage or None", "str or None", "str or None"],
    "Error": ["str", "str or None", "int, float or None"],
    "Done": [],
    "Raw": [None],
}
VALUES = {"AudioFormat", "Citation", "Usage"}
EVERY = pytest.mark.parametrize("name", KINDS)


def filled(gs: ModuleType, values: tuple[Any, ...]) -> list[Any]:
    return [value(gs) if callable(value) else value for value in values]


def fewest(gs: ModuleType, name: str) -> Any:
    return getattr(gs.events, name)(*KINDS[name][0])


def most(gs: ModuleType, name: str, **timestamp: float) -> Any:
    return getattr(gs.events, name)(*filled(gs, KINDS[name][2]), **timestamp)


def timestamp(name: str) -> dict[str, float]:
    return {} if name in VALUES else {"timestamp": 1700000000.5}
