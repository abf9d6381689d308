"""The parts of a message → the UIMessage of the AI SDK."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator
from typing import Any

from ..core import (
    ApprovalRequest,
    Citation,
    Citations,
    Data,
    Error,
    File,
    Safety,
    ToolResult,
    Usage,
    json_bytes,
)
from .partial_json import read_partial_json
from .parts import Call, Reasoning, Step, Text, joined
from .words import COUNTS, SIGNATURES, UNFINISHED, position_of


def ui_metadata(model: str | None, usage: Usage | None, raw_reason: str | None) -> dict[str, Any]:
    """Return the metadata of the message."""
    metadata: dict[str, Any] = {"model": model} if model else {}
    if usage is not None:
        counts = {name: getattr(usage, field) for field, name in COUNTS.items()}
        metadata["usage"] = {name: count for name, count in counts.items() if count is not None}
    if raw_reason:
        metadata["rawFinishReason"] = raw_reason
    return metadata


def ui_parts(
    parts: Iterable[Any], error: Error | None, version: int, provider: str
) -> list[dict[str, Any]]:
    """Return the parts as `readUIMessageStream` makes them of the UI message stream.

    Args:
        parts: those of the message.
        error: the error by which it failed.
        version: of the AI SDK; from 7 on a text that has ended has its citations too.
        provider: the name under which signatures stand.
    """
    found: list[dict[str, Any]] = []
    sources = 0
    text: dict[str, Any] = {}  # the last part but for sources, if it is a text
    for part in parts:
        if isinstance(part, Citations):
            for each in part.citations:
                sources += 1
                found.append(_source(each, f"source-{sources}", provider))
                if version >= 7 and text.get("state") == "done":
                    text.setdefault("citations", []).append(_cited(each, f"source-{sources}"))
            continue
        made = list(_ui_parts(part, error, version, provider))
        found += made
        if not isinstance(part, Safety | Error):  # a text goes on after these
            text = made[-1] if isinstance(part, Text) else {}
    return found


def _cited(citation: Citation, id: str) -> dict[str, Any]:
    source = {"type": "source", "sourceType": "url", "id": id, "url": citation.uri}
    title = {"title": citation.title} if citation.title else {}
    return {"source": {**source, **title}, **position_of(citation)}


def _source(citation: Citation, id: str, provider: str) -> dict[str, Any]:
    source = {"type": "source-url", "sourceId": id, "url": citation.uri}
    if citation.title:
        source["title"] = citation.title
    place = position_of(citation)
    return {**source, "providerMetadata": {provider: place}} if place else source


def _ui_parts(
    part: Any, error: Error | None, version: int, provider: str
) -> Iterator[dict[str, Any]]:
    if isinstance(part, Step):
        yield {"type": "step-start"}
    elif isinstance(part, Text):
        yield {"type": "text", "text": joined(part.pieces), "state": _state(part, error)}
    elif isinstance(part, Reasoning):
        yield {**_reasoning(part, provider), "state": _state(part, error)}
    elif isinstance(part, Call):
        yield _tool(part, error, version, provider)
    elif isinstance(part, Safety):
        note = {"note": part.note} if part.note else {}
        about = {"category": part.category, "action": part.action, "score": part.score}
        yield _data("safety", {**about, **note})
    elif isinstance(part, Error):
        about = {"message": part.message, "code": part.code, "retryAfter": part.retry_after}
        yield _data("error", {name: value for name, value in about.items() if value is not None})
    elif isinstance(part, File):
        yield {"type": "file", "mediaType": part.media_type, "url": _url(part)}
    elif isinstance(part, Data):
        yield _data(part.name, part.data, part.id)


def _url(file: File) -> str:
    if file.data is None:
        return str(file.url)
    return f"data:{file.media_type};base64,{b64encode(file.data).decode()}"


def _state(part: Text | Reasoning, error: Error | None) -> str:
    return "streaming" if part.open and error is None else "done"


def _data(name: str, data: Any, id: str | None = None) -> dict[str, Any]:
    return {"type": f"data-{name}", **({} if id is None else {"id": id}), "data": data}


def _metadata(provider: str, signature: str | None, **about: str | None) -> dict[str, Any]:
    about = {**about, SIGNATURES.get(provider, "signature"): signature}
    return {provider: {name: value for name, value in about.items() if value}}


def _reasoning(part: Reasoning, provider: str) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "reasoning", "text": joined(part.pieces)}
    if part.id or part.signature or part.redacted:
        found["providerMetadata"] = _metadata(
            provider, part.signature, itemId=part.id, redactedData=part.redacted
        )
    return found


def _tool(call: Call, error: Error | None, version: int, provider: str) -> dict[str, Any]:
    state = _tool_state(call, error, version)
    part = {"type": f"tool-{call.name}", "toolCallId": call.id, **state}
    if call.provider_executed:
        part["providerExecuted"] = True
    if call.signature:
        part["callProviderMetadata"] = _metadata(provider, call.signature)
    return part


def _tool_state(call: Call, error: Error | None, version: int) -> dict[str, Any]:
    if not call.complete:
        if error is None and not call.abandoned:
            text = call.arguments
            value = read_partial_json(text, repair=True)
            about = {} if value is None else {"input": value}
            return {"state": "input-streaming", **about, **({"rawInput": text} if text else {})}
        message = UNFINISHED if error is None or call.abandoned else error.message
        name = "rawInput" if version < 7 else "input"
        return {"state": "output-error", name: {}, "errorText": message}
    input = {"input": {} if call.input is None else call.input}
    if call.result is not None:
        return {**_output(call.result), **input}
    if call.approval is not None:
        return {"state": "approval-requested", **input, "approval": _approval(call.approval)}
    return {"state": "input-available", **input}


def _output(result: ToolResult) -> dict[str, Any]:
    if not result.is_error:
        return {"state": "output-available", "output": result.result}
    text = result.result
    if not isinstance(text, str):
        text = json_bytes(text).decode()
    return {"state": "output-error", "errorText": text}


def _approval(request: ApprovalRequest) -> dict[str, Any]:
    about = {
        "message": request.message,
        "reason": request.reason,
        "responseSchema": request.response_schema,
    }
    descriptor = {name: value for name, value in about.items() if value is not None}
    signature = {} if request.signature is None else {"signature": request.signature}
    return {"id": request.id, **({"descriptor": descriptor} if descriptor else {}), **signature}
