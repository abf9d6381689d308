"""The parts of a message → the assistant message of Chat Completions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..core import Citations
from .parts import Call, Reasoning, Text, joined


def to_openai(parts: Iterable[Any]) -> dict[str, Any]:
    """Return the message as OpenAI's client accumulates it."""
    parts = list(parts)
    text = "".join(joined(part.pieces) for part in parts if type(part) is Text)
    message: dict[str, Any] = {"role": "assistant", "content": text or None}
    reasoning = [part for part in parts if type(part) is Reasoning]
    thoughts = "".join(joined(part.pieces) for part in reasoning)
    if thoughts:
        message["reasoning_content"] = thoughts
    details = list(_details(reasoning))
    if details:
        message["reasoning_details"] = details
    annotations = [
        {
            "type": "url_citation",
            "url_citation": {
                "url": each.uri,
                "title": each.title or "",
                "start_index": each.start,
                "end_index": each.end,
            },
        }
        for part in parts
        if type(part) is Citations
        for each in part.citations
    ]
    if annotations:
        message["annotations"] = annotations
    calls = [
        {
            "id": part.id,
            "type": "function",
            "function": {"name": part.name, "arguments": part.arguments},
            **_signed(part),
        }
        for part in parts
        if type(part) is Call and not part.provider_executed
    ]
    if calls:
        message["tool_calls"] = calls
    return message


def _signed(call: Call) -> dict[str, Any]:
    """Return the signature of a call, where Google's own server has it."""
    if call.signature is None:
        return {}
    return {"extra_content": {"google": {"thought_signature": call.signature}}}


def _details(reasoning: list[Reasoning]) -> Iterator[dict[str, Any]]:
    """Yield what must go back to the provider with the reasoning."""
    signed = [part for part in reasoning if part.redacted or part.signature]
    for index, part in enumerate(signed):
        about = {"index": index, **({} if part.id is None else {"id": part.id})}
        if part.redacted:
            yield {"type": "reasoning.encrypted", "data": part.redacted, **about}
        else:
            text = joined(part.pieces)
            yield {"type": "reasoning.text", "text": text, "signature": part.signature, **about}
