"""The reader of Gemini's `generateContent` protocol: parts of a candidate to events.

Guaranteed: text and reasoning are returned as soon as they arrive. A stream without a finish reason
or block reason was cut: it ends with an `Error`, never with a `Done`. A part of an unknown kind or
with a field of an unexpected type becomes a `Raw`.

How: a small state machine. Calls come whole. Reasoning ends with its signature, or when something
else begins; a signature may also stand on text, and is then a `ReasoningEnd` after it. Usage is
repeated and the last counts, so `Finish` waits for the end of the body.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from ...core import ServerSentEvent
from ...events import (
    Citations,
    Done,
    Error,
    Event,
    Finish,
    Raw,
    ReasoningDelta,
    ReasoningEnd,
    Safety,
    Start,
    TextDelta,
    ToolCall,
    ToolResult,
    Usage,
)
from ..base import CUT, NOT_JSON, DialectReader, half_call_error
from ..fields import CallIds, count_of, object_of, objects_of, sum_of, text_of
from .parts import AnswerText, error_of, media_event

__all__ = ["GenerateContentReader"]

_KNOWN: Final = frozenset(
    {"candidates", "promptFeedback", "usageMetadata", "modelVersion", "responseId"}
)
_FILTERS: Final = frozenset(
    {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE", "MODEL_ARMOR"}
)
_FAILURES: Final = frozenset(
    {"UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE"}
)
_CODE: Final = "code_execution"


class GenerateContentReader(DialectReader):
    """Reads the frames of one stream of Gemini; only candidate 0. Belongs to one task."""

    def __init__(self) -> None:
        self.ended = False
        self._started = False
        self._answer = ""  # the answer's id
        self._text = AnswerText()
        self._reasons = False  # reasoning is arriving
        self._ids = CallIds()
        self._half: str | None = None  # the name of a call whose arguments come in pieces
        self._called = False  # a call that the client must answer was read
        self._code_id = ""  # the last code that the server ran
        self._cited: set[tuple[str, int, int]] = set()
        self._reason = ""
        self._blocked = False
        self._counts: dict[str, Any] = {}

    def feed(self, event: ServerSentEvent) -> list[Event]:
        data = text_of(event.data).strip()
        if self.ended or not data:
            return []
        if data == "[DONE]":  # of a gateway
            return self.close()
        try:
            payload = self.read(data)
        except ValueError:
            return self.fail(NOT_JSON)
        fields = object_of(payload)
        if fields.get("error"):
            return self.fail(error_of(fields["error"], "status"))
        return self._frame(fields) if _KNOWN & fields.keys() else [Raw(payload)]

    def close(self) -> list[Event]:
        """Read the end of the body, which is the end of an answer with a finish reason."""
        if self.ended:
            return []
        if self._half is not None:
            return self.fail(half_call_error(self._half))
        if not self._reason and not self._blocked:
            return self.fail(CUT)
        self.ended = True
        reason = Finish(_usage_of(self._counts), self._finish_reason(), raw_reason=self._reason)
        return [*self._end_reasoning(), reason, Done()]

    def _frame(self, fields: dict[str, Any]) -> list[Event]:
        events: list[Event] = []
        if not self._started:
            self._started = True
            self._answer, model = text_of(fields.get("responseId")), fields.get("modelVersion")
            events.append(Start(self._answer or None, text_of(model) or None))
        self._counts.update(object_of(fields.get("usageMetadata")))
        for candidate in objects_of(fields.get("candidates")):
            if not candidate.get("index") and not self.ended:
                events += self._candidate(candidate)
        if not self.ended:
            events += self._feedback(object_of(fields.get("promptFeedback")))
        return events

    def _candidate(self, candidate: dict[str, Any]) -> list[Event]:
        events: list[Event] = []
        parts = object_of(candidate.get("content")).get("parts")
        for part in parts if isinstance(parts, list) else ():
            if part:
                found = self._part(object_of(part))
                events += [*self._end_reasoning(), Raw(part)] if found is None else found
        events += self._citations(candidate)
        events += _ratings(candidate)
        reason = text_of(candidate.get("finishReason"))
        if reason.startswith("MALFORMED_") or reason in _FAILURES:
            message = text_of(candidate.get("finishMessage")) or f"the provider ended by {reason}"
            return [*events, *self._end_reasoning(), *self.fail(Error(message, reason))]
        self._reason = reason or self._reason
        return events

    # ---- parts ----

    def _part(self, part: dict[str, Any]) -> list[Event] | None:
        """Return the events of a part, or None if it is of an unknown kind."""
        signature = text_of(part.get("thoughtSignature"))
        text = part.get("text")
        if isinstance(text, str):
            return self._words(text, part.get("thought") is True, signature)
        for kind, read in _PARTS.items():
            found = part.get(kind)
            if isinstance(found, dict) and not part.get("thought"):
                event = read(self, found, signature)
                if event is not None:
                    # the signature of a call is in its event, any other one is an end
                    signed = signature and not isinstance(event, ToolCall)
                    end = [ReasoningEnd(None, signature)] if signed else []
                    return [*self._end_reasoning(), event, *end]
        if signature and not part.keys() - {"thoughtSignature", "thought"}:
            return self._words("", False, signature)
        return None

    def _words(self, text: str, thought: bool, signature: str) -> list[Event]:
        """Return the events of text; those of empty text are none but its signature."""
        events: list[Event] = []
        if text and thought:
            self._reasons = True
            events.append(ReasoningDelta(text))
        elif text:
            self._text.add(text)
            events += [*self._end_reasoning(), TextDelta(text)]
        if signature:
            self._reasons = False
            events.append(ReasoningEnd(None, signature))
        return events

    def _function_call(self, call: dict[str, Any], signature: str) -> Event | None:
        name = text_of(call.get("name"))
        if call.get("partialArgs") or call.get("willContinue"):
            self._half = name or self._half or ""
            return None
        if not name:
            return None
        self._called = True
        identity = self._ids.of(call.get("id"), self._answer)
        return ToolCall(identity, name, call.get("args"), signature or None)

    def _inline_data(self, blob: dict[str, Any], signature: str) -> Event | None:
        return media_event(blob.get("mimeType"), blob.get("data"))

    def _file_data(self, file: dict[str, Any], signature: str) -> Event | None:
        return media_event(file.get("mimeType"), None, file.get("fileUri"))

    def _code(self, code: dict[str, Any], signature: str) -> Event | None:
        self._code_id = self._ids.of(code.get("id"), self._answer)
        fields = {name: value for name, value in code.items() if name != "id"}
        return ToolCall(self._code_id, _CODE, fields, signature or None, True)

    def _code_result(self, result: dict[str, Any], signature: str) -> Event | None:
        outcome = text_of(result.get("outcome"))
        failed = outcome not in ("", "OUTCOME_OK") or None
        identity = text_of(result.get("id")) or self._code_id
        fields = {name: value for name, value in result.items() if name != "id"}
        return ToolResult(identity, _CODE, fields, failed, True)

    def _server_call(self, call: dict[str, Any], signature: str) -> Event | None:
        name = text_of(call.get("toolType")).lower()
        if not name:
            return None
        identity = self._ids.of(call.get("id"), self._answer)
        return ToolCall(identity, name, call.get("args"), signature or None, True)

    def _server_result(self, result: dict[str, Any], signature: str) -> Event | None:
        name, identity = text_of(result.get("toolType")).lower(), text_of(result.get("id"))
        if not name or not identity:
            return None
        return ToolResult(identity, name, result.get("response"), None, True)

    def _end_reasoning(self) -> list[Event]:
        is_open, self._reasons = self._reasons, False
        return [ReasoningEnd()] if is_open else []

    # ---- sources and judgements ----

    def _citations(self, candidate: dict[str, Any]) -> Iterator[Event]:
        """Yield the sources of the answer; those that are repeated only once."""
        metadata = object_of(candidate.get("citationMetadata"))
        sources = objects_of(metadata.get("citationSources")) + objects_of(
            metadata.get("citations")
        )
        yield from self._cite(
            (text_of(each.get("uri")), each, each.get("title")) for each in sources
        )
        grounding = object_of(candidate.get("groundingMetadata"))
        chunks = grounding.get("groundingChunks")
        for support in objects_of(grounding.get("groundingSupports")):
            segment = object_of(support.get("segment"))
            yield from self._cite(
                (text_of(page.get("uri")), segment, page.get("title"))
                for page in _pages(chunks, support.get("groundingChunkIndices"))
            )

    def _cite(self, sources: Iterator[tuple[str, dict[str, Any], object]]) -> list[Event]:
        found = []
        for uri, place, title in sources:
            start, end = place.get("startIndex"), place.get("endIndex")
            citation = self._text.citation(uri, start, end, title)
            if citation is not None:
                key = (citation.uri, citation.start, citation.end)
                if key not in self._cited:
                    self._cited.add(key)
                    found.append(citation)
        return [Citations(found)] if found else []

    def _feedback(self, feedback: dict[str, Any]) -> list[Event]:
        """Return the judgement of the prompt."""
        reason = text_of(feedback.get("blockReason"))
        if not reason or self._blocked:
            return []
        self._blocked = True
        self._reason = self._reason or reason
        return [*self._end_reasoning(), Safety(reason, "block")]

    def _finish_reason(self) -> str:
        if self._blocked or self._reason.removeprefix("IMAGE_") in _FILTERS:
            return "content_filter"
        if self._reason == "STOP":
            return "tool_calls" if self._called else "stop"
        return "length" if self._reason in ("MAX_TOKENS", "CONTINUATION") else "other"


_PARTS: Final[dict[str, Callable[[GenerateContentReader, dict[str, Any], str], Event | None]]] = {
    "functionCall": GenerateContentReader._function_call,
    "inlineData": GenerateContentReader._inline_data,
    "fileData": GenerateContentReader._file_data,
    "executableCode": GenerateContentReader._code,
    "codeExecutionResult": GenerateContentReader._code_result,
    "toolCall": GenerateContentReader._server_call,
    "toolResponse": GenerateContentReader._server_result,
}


def _pages(chunks: object, indexes: object) -> Iterator[dict[str, Any]]:
    """Yield the pages that a support of the answer names by their indexes."""
    known = chunks if isinstance(chunks, list) else []
    for index in indexes if isinstance(indexes, list) else ():
        if type(index) is int and 0 <= index < len(known):
            chunk = object_of(known[index])
            kinds = ("web", "retrievedContext", "maps")
            yield next((object_of(chunk[kind]) for kind in kinds if kind in chunk), {})


def _ratings(candidate: dict[str, Any]) -> list[Event]:
    """Return the judgements that blocked the answer."""
    return [
        Safety(
            text_of(rating.get("category")) or "SAFETY", "block",
            note=text_of(rating.get("probability")) or None,
        )
        for rating in objects_of(candidate.get("safetyRatings"))
        if rating.get("blocked") is True
    ]  # fmt: skip


def _usage_of(usage: dict[str, Any]) -> Usage | None:
    """Return the counts, whose output includes the thoughts; None if there are none."""
    counts = {name: count_of(value) for name, value in usage.items()}
    found = counts.get
    if all(count is None for count in counts.values()):
        return None
    thoughts = found("thoughtsTokenCount")
    return Usage(
        sum_of(found("promptTokenCount"), found("toolUsePromptTokenCount")),
        sum_of(found("candidatesTokenCount"), thoughts),
        found("totalTokenCount"),
        found("cachedContentTokenCount"),
        None,
        thoughts,
    )
