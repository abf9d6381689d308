"""The parts of a message → the UIMessage of the AI SDK."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, Final

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
from .words import COUNTS, SIGNATURES, UNFINISHED, cited, position_of

_DESCRIBED: Final = ("message", "responseSchema", "reason")


def ui_metadata(model: str | None, usage: Usage | None, raw_reason: str | None) -> dict[str, Any]:
    """Return the field `metadata` of the message, if there is any."""
    metadata: dict[str, Any] = {"model": model} if model else {}
    if usage is not None:
        counts = {name: getattr(usage, field) for field, name in COUNTS.items()}
        metadata["usage"] = {name: count for name, count in counts.items() if count is not None}
    if raw_reason:
        metadata["rawFinishReason"] = raw_reason
    return {"metadata": metadata} if metadata else {}


def ui_parts(
    parts: Sequence[Any], error: Error | None, version: int, provider: str
) -> list[dict[str, Any]]:
    """Return the parts as `readUIMessageStream` makes them of the UI message stream.

    Args:
        parts: those of the message.
        error: the error by which it failed.
        version: of the AI SDK.
        provider: the name under which signatures stand.
    """
    found: list[dict[str, Any]] = []
    known: set[str] = set()  # the ids of the calls so far
    ids = _source_ids(parts)
    blocks = 0
    for part in parts:
        blocks += isinstance(part, Text | Reasoning)
        if isinstance(part, Citations):
            for each, id_ in zip(part.citations, ids[id(part)], strict=True):
                found.append(_source(each, id_, provider))
        elif isinstance(part, Text):
            found.append(_text(part, error, ids if version >= 7 else {}))
        elif isinstance(part, Reasoning):
            about = {"type": "reasoning", "id": f"reasoning-{blocks}"}
            found.append({**about, **_reasoning(part, provider), "state": _state(part, error)})
        elif isinstance(part, Call):
            known.add(part.id)
            found.append(_tool(part, error, version, provider))
        elif isinstance(part, ApprovalRequest):
            if version < 6 or part.tool_call_id not in known:
                found.append(_data("approval-request", _asked(part)))
        else:
            found += _ui_parts(part)
    return found


def _source_ids(parts: Sequence[Any]) -> dict[int, list[str]]:
    """Return the ids of the sources of each Citations, by its id()."""
    number = count(1)
    return {
        id(part): [f"source-{next(number)}" for _ in part.citations]
        for part in parts
        if isinstance(part, Citations)
    }


def _text(part: Text, error: Error | None, ids: dict[int, list[str]]) -> dict[str, Any]:
    """Return a part of text, with its citations once it is over, if `ids` has their ids."""
    state = _state(part, error)
    about = {"type": "text", "text": joined(part.pieces), "state": state}
    if not ids or not part.cited or state != "done":
        return about
    return about | {
        "citations": [
            cited(each, id_)
            for citations in part.cited
            for each, id_ in zip(citations.citations, ids[id(citations)], strict=True)
        ]
    }


def _source(citation: Citation, id: str, provider: str) -> dict[str, Any]:
    source = {"type": "source-url", "sourceId": id, "url": citation.uri}
    if citation.title:
        source["title"] = citation.title
    place = position_of(citation)
    return {**source, "providerMetadata": {provider: place}} if place else source


def _ui_parts(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, Step):
        yield {"type": "step-start"}
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
    found: dict[str, Any] = {"text": joined(part.pieces)}
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
            input = {} if value is None else {"input": value}
            return {"state": "input-streaming", **input, **({"rawInput": text} if text else {})}
        message = UNFINISHED if error is None or call.abandoned else error.message
        raw = "input" if version >= 7 else "rawInput"
        return {"state": "output-error", raw: {}, "errorText": message}
    input = {"input": {} if call.input is None else call.input}
    if call.result is not None:
        return {**_output(call.result), **input}
    if call.approval is not None and version >= 6:
        approval = _approval(call.approval, version)
        return {"state": "approval-requested", **input, "approval": approval}
    return {"state": "input-available", **input}


def _output(result: ToolResult) -> dict[str, Any]:
    if not result.is_error:
        return {"state": "output-available", "output": result.result}
    text = result.result
    if not isinstance(text, str):
        text = json_bytes(text).decode()
    return {"state": "output-error", "errorText": text}


def _approval(request: ApprovalRequest, version: int) -> dict[str, Any]:
    asked = _asked(request)
    own = {"signature": asked.pop("signature", None)}
    if version >= 7:
        own["requestReason"] = asked.pop("reason", None)
    descriptor = {name: asked[name] for name in _DESCRIBED if name in asked}
    about = {"descriptor": descriptor or None, **own}
    return {"id": request.id, **{name: value for name, value in about.items() if value is not None}}


def _asked(request: ApprovalRequest) -> dict[str, Any]:
    about = {
        "id": request.id,
        "toolCallId": request.tool_call_id,
        "message": request.message,
        "responseSchema": request.response_schema,
        "reason": request.reason,
        "signature": request.signature,
    }
    return {name: value for name, value in about.items() if value is not None}
