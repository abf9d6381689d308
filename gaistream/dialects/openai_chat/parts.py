"""The parts of a chunk that need no state to be read: text, reasoning, sound, sources, counts."""

from __future__ import annotations

import base64
import math
from typing import Any

from ...events import (
    AudioDelta,
    Citation,
    Citations,
    Error,
    Event,
    Raw,
    ReasoningDelta,
    ReasoningEnd,
    Safety,
    TextDelta,
    Usage,
)
from ..fields import count_of, object_of, objects_of, text_of


def reasoning_of(delta: dict[str, Any]) -> list[Event]:
    """Return the reasoning of a delta, and the ends of its signed or encrypted blocks.

    The text has one of two names; `reasoning_details` repeat it, or have it if neither is there.
    """
    events: list[Event] = []
    text = text_of(delta.get("reasoning_content")) or text_of(delta.get("reasoning"))
    pieces = [text, *_thoughts_of(delta.get("content"))]
    events += [ReasoningDelta(piece) for piece in pieces if piece]
    for detail in objects_of(delta.get("reasoning_details")):
        piece = "" if text else text_of(detail.get("text")) or text_of(detail.get("summary"))
        if piece:
            events.append(ReasoningDelta(piece))
        signature, data = text_of(detail.get("signature")), text_of(detail.get("data"))
        if signature or data:
            identity = text_of(detail.get("id")) or None
            # Anthropic's encrypted blocks replace the text; those of others go with it
            if data and text_of(detail.get("format")).startswith("anthropic"):
                events.append(ReasoningEnd(identity, signature or None, data))
            else:
                events.append(ReasoningEnd(identity, signature or data))
    return events


def _thoughts_of(content: object) -> list[str]:
    """Return the texts of the parts of reasoning, as Mistral sends them."""
    thoughts = [part for part in objects_of(content) if part.get("type") == "thinking"]
    return [
        text_of(each.get("text")) for part in thoughts for each in objects_of(part.get("thinking"))
    ]


def texts_of(delta: dict[str, Any]) -> list[Event]:
    """Return the text of a delta: a string, or a list of parts as some servers send it."""
    events: list[Event] = []
    for content in (delta.get("content"), delta.get("refusal")):
        if isinstance(content, str):
            if content:
                events.append(TextDelta(content))
        elif isinstance(content, list):
            events += _parts_of(content)
        elif content:
            events.append(Raw(content))
    return events


def _parts_of(content: list[Any]) -> list[Event]:
    events: list[Event] = []
    unknown = []
    for part in content:
        fields = object_of(part)
        kind, text = fields.get("type"), fields.get("text")
        if kind == "text" and isinstance(text, str):
            events += [TextDelta(text)] if text else []
        elif kind != "thinking":
            unknown.append(part)
    return [*events, Raw(unknown)] if unknown else events


def sounds_of(audio: dict[str, Any]) -> list[Event]:
    """Return the transcript of a delta, which is the text of a spoken answer, then its sound."""
    events: list[Event] = []
    transcript, data = text_of(audio.get("transcript")), text_of(audio.get("data"))
    if transcript:
        events.append(TextDelta(transcript))
    if data:
        try:
            events.append(AudioDelta(base64.b64decode(data, validate=True)))
        except ValueError:  # binascii.Error, or one for text that is not ASCII
            events.append(Raw({"audio": audio}))
    return events


def citations_of(annotations: object) -> list[Event]:
    """Return the sources of a delta; annotations of other kinds are a Raw."""
    found, others = [], []
    for annotation in objects_of(annotations):
        fields = object_of(annotation.get("url_citation"))
        if url := text_of(fields.get("url")):
            start, end = count_of(fields.get("start_index")), count_of(fields.get("end_index"))
            title = text_of(fields.get("title")) or None
            found.append(Citation(url, start or 0, end or 0, title))
        else:
            others.append(annotation)
    events: list[Event] = [Citations(found)] if found else []
    return [*events, Raw({"annotations": others})] if others else events


def judgements_of(moderation: dict[str, Any]) -> list[Event]:
    """Return an event for each category in which the question or the answer was flagged."""
    events: list[Event] = []
    for side in ("input", "output"):
        for result in objects_of(object_of(moderation.get(side)).get("results")):
            scores = object_of(result.get("category_scores"))
            for category, flagged in object_of(result.get("categories")).items():
                if flagged is True:
                    score = _score_of(scores.get(category))
                    events.append(Safety(category, "warn", score, note=side))
    return events


def _score_of(score: object) -> float:
    if not isinstance(score, int | float) or abs(score) > 1 or math.isnan(score):
        return 0.0
    return float(score)


def usage_of(usage: object) -> Usage | None:
    """Return the counts of tokens, None if there are none."""
    counts = object_of(usage)
    total = count_of(counts.get("total_tokens"))
    prompt = count_of(counts.get("prompt_tokens"))
    completion = count_of(counts.get("completion_tokens"))
    if prompt is completion is total is None:
        return None
    of_prompt = object_of(counts.get("prompt_tokens_details"))
    of_completion = object_of(counts.get("completion_tokens_details"))
    return Usage(
        prompt or 0,
        completion or 0,
        total,
        count_of(of_prompt.get("cached_tokens")),
        count_of(of_prompt.get("cache_write_tokens")),
        count_of(of_completion.get("reasoning_tokens")),
    )


def problem_of(chunk: dict[str, Any], name: str | None) -> Error | None:
    """Return the error of an error frame of any known shape; None for other frames."""
    error = chunk.get("error")
    if not error:
        if name != "error" and chunk.get("object") != "error":
            return None
        error = chunk
    if not isinstance(error, dict):
        return Error(str(error))
    code = error.get("code") or error.get("type")
    message = text_of(error.get("message")) or "the provider failed"
    return Error(message, str(code) if code else None)
