"""Parts of the frames of AG-UI, as events and values of ours."""

from __future__ import annotations

import uuid
from typing import Any, Final

from ...core import read_json
from ...errors import EventError
from ...events import ApprovalRequest, Event, Usage
from ...message.words import COUNTS
from ..fields import WrongField, count_of, object_of, objects_of, text_of
from ..gai.from_dict import event_from_dict
from .words import OWN

Frame = dict[str, Any]
_OWN_KINDS: Final = frozenset({"audio_delta", "citations", "file", "safety"})


def metadata_of(frame: Frame) -> Frame:
    """Return the metadata of a frame."""
    return object_of(frame.get("metadata"))


def is_set(frame: Frame, name: str) -> bool:
    """Return True if the metadata of a frame has this flag."""
    return metadata_of(frame).get(name) is True


def number_of(frame: Frame) -> int | None:
    """Return the number of a step."""
    return count_of(metadata_of(frame).get("stepNumber"))


def usage_of(frame: Frame) -> Usage | None:
    """Return the sum of the counts of all models, None if there are none."""
    sums: dict[str, int] = {}
    for entry in objects_of(frame.get("usage")):
        counts = {ours: count_of(entry.get(theirs)) for ours, theirs in COUNTS.items()}
        if counts["total_tokens"] is None and (counts["input_tokens"] or counts["output_tokens"]):
            counts["total_tokens"] = (counts["input_tokens"] or 0) + (counts["output_tokens"] or 0)
        for name, count in counts.items():
            if count is not None:
                sums[name] = sums.get(name, 0) + count
    if not sums:
        return None
    inputs, outputs = sums.pop("input_tokens", 0), sums.pop("output_tokens", 0)
    return Usage(inputs, outputs, **sums)


def result_of(frame: Frame) -> Any:
    """Return the content of a tool's result: the value of an object or array in JSON, or text."""
    content = frame.get("content")
    if isinstance(content, list):
        return content
    if not isinstance(content, str):
        raise WrongField
    if content[:1] in ("{", "["):
        try:
            return read_json(content, "replace")
        except ValueError:
            pass
    return content


def approval_of(asked: Frame) -> ApprovalRequest:
    """Return the question to the user of an interrupt."""
    about = metadata_of(asked)
    return ApprovalRequest(
        text_of(asked.get("id")) or f"interrupt_{uuid.uuid4().hex}",
        text_of(asked.get("toolCallId")),
        message=text_of(asked.get("message")) or None,
        reason=text_of(asked.get("reason")) or None,
        response_schema=asked.get("responseSchema", about.get("responseSchema")),
        signature=text_of(about.get("signature")) or None,
    )


def own_event(name: str, value: Any) -> Event | None:
    """Return the event of ours that a custom one stands for; None if it stands for none."""
    kind = name.removeprefix(OWN)
    if not name.startswith(OWN) or kind not in _OWN_KINDS or not isinstance(value, dict):
        return None
    try:
        return event_from_dict({**value, "type": kind})
    except EventError:
        return None
