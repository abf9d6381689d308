"""Chunks of the UI message stream that hold one event each, and the protocol's names for ours.

Both directions look up finish reasons, usage and provider metadata here.
"""

from __future__ import annotations

import base64
from typing import Any, Final

from ...events import (
    ApprovalRequest,
    AudioDelta,
    Citation,
    Data,
    Error,
    File,
    Finish,
    Raw,
    ReasoningEnd,
    Safety,
    ToolCall,
    ToolCallStart,
    ToolResult,
    Usage,
)
from ...message.words import COUNTS, SIGNATURES, position_of

Chunk = dict[str, Any]

# Our finish reasons in the protocol's words; any other one is `other`.
REASONS: Final = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool-calls",
    "content_filter": "content-filter",
}


def set_fields(**fields: Any) -> Chunk:
    """Return the fields that are neither None nor empty text."""
    return {name: value for name, value in fields.items() if value is not None and value != ""}


def metadata(provider: str, **fields: Any) -> Chunk:
    """Return `providerMetadata` with the fields that are set, or nothing if none is."""
    inner = set_fields(**fields)
    return {"providerMetadata": {provider: inner}} if inner else {}


def flag(provider_executed: bool | None) -> Chunk:
    """Return `providerExecuted`, if the server runs the tool."""
    return {"providerExecuted": True} if provider_executed else {}


def reasoning_metadata(event: ReasoningEnd, provider: str) -> Chunk:
    """Return what must go back to the provider with a reasoning block."""
    signature = {SIGNATURES.get(provider, "signature"): event.signature}
    return metadata(provider, itemId=event.id, redactedData=event.redacted, **signature)


def input_start(event: ToolCallStart | ToolCall) -> Chunk:
    """Return the chunk that begins a tool call."""
    return {
        "type": "tool-input-start", "toolCallId": event.id, "toolName": event.name,
        **flag(event.provider_executed),
    }  # fmt: skip


def input_available(event: ToolCall, by_server: bool, provider: str) -> Chunk:
    """Return the chunk that completes a tool call; no arguments are an empty object."""
    signature = {SIGNATURES.get(provider, "signature"): event.signature}
    return {
        "type": "tool-input-available", "toolCallId": event.id, "toolName": event.name,
        "input": {} if event.input is None else event.input,
        **flag(by_server), **metadata(provider, **signature),
    }  # fmt: skip


def input_error(identity: str, name: str, message: str) -> Chunk:
    """Return the chunk that ends a tool call whose arguments did not come whole."""
    return {
        "type": "tool-input-error", "toolCallId": identity, "toolName": name, "input": {},
        "errorText": message,
    }  # fmt: skip


def output(identity: str, event: ToolResult, text: str) -> Chunk:
    """Return the chunk of a tool's result. `text`: the result as text, for an error."""
    if event.is_error:
        fields = {"type": "tool-output-error", "toolCallId": identity, "errorText": text}
    else:
        fields = {"type": "tool-output-available", "toolCallId": identity, "output": event.result}
    return fields | flag(event.provider_executed)


def source_url(citation: Citation, identity: str, provider: str) -> Chunk:
    """Return the chunk of a source; only its metadata has a place for the positions."""
    return {
        "type": "source-url", "sourceId": identity, "url": citation.uri,
        **set_fields(title=citation.title), **metadata(provider, **position_of(citation)),
    }  # fmt: skip


def data_part(event: Data) -> Chunk:
    """Return the chunk of an application's data part."""
    transient = {"transient": True} if event.transient else {}
    identity = {} if event.id is None else {"id": event.id}
    return {"type": f"data-{event.name}", **identity, "data": event.data, **transient}


def audio(event: AudioDelta) -> Chunk:
    """Return the chunk of a piece of sound, which the message does not keep."""
    data: Chunk = {"audio": base64.b64encode(event.audio).decode("ascii")}
    if event.format is not None:
        format = event.format
        data["format"] = {
            "mime": format.mime, "sampleRate": format.sample_rate, "channels": format.channels,
            "bitDepth": format.bit_depth,
        }  # fmt: skip
    return {"type": "data-audio", "data": data, "transient": True}


def safety(event: Safety) -> Chunk:
    """Return the chunk of a judgement of the content."""
    data = {"category": event.category, "action": event.action, "score": event.score}
    return {"type": "data-safety", "data": data | set_fields(note=event.note)}


def raw(event: Raw) -> Chunk:
    """Return the chunk of any other value, which the message does not keep."""
    return {"type": "data-raw", "data": event.raw, "transient": True}


def error_part(error: Error) -> Chunk:
    """Return the chunk of an error that the stream survives: an `error` chunk would end it."""
    fields = set_fields(code=error.code, retryAfter=error.retry_after)
    return {"type": "data-error", "data": {"message": error.message, **fields}}


def file(event: File) -> Chunk:
    """Return the chunk of a file; its bytes become a `data:` URL."""
    url = event.url
    if url is None:
        encoded = base64.b64encode(event.data or b"").decode("ascii")
        url = f"data:{event.media_type};base64,{encoded}"
    return {"type": "file", "mediaType": event.media_type, "url": url}


def approval(event: ApprovalRequest, version: int) -> Chunk:
    """Return the chunk of a question to the user; version 5 knows none, 6 no reason."""
    signature, reason = set_fields(signature=event.signature), set_fields(reason=event.reason)
    about = set_fields(message=event.message, responseSchema=event.response_schema)
    if version < 6:
        data = {"id": event.id, "toolCallId": event.tool_call_id, **about, **reason, **signature}
        return {"type": "data-approval-request", "data": data}
    if version < 7:
        about, reason = about | reason, {}
    return {
        "type": "tool-approval-request", "approvalId": event.id, "toolCallId": event.tool_call_id,
        **({"approvalDescriptor": about} if about else {}), **reason, **signature,
    }  # fmt: skip


def finish(event: Finish, reason: str) -> Chunk:
    """Return the last chunk of an answer; its counts and the provider's reason are metadata."""
    chunk: Chunk = {"type": "finish", "finishReason": REASONS.get(reason, "other")}
    about = {} if event.usage is None else {"usage": _usage(event.usage)}
    about |= set_fields(rawFinishReason=event.raw_reason)
    return chunk | ({"messageMetadata": about} if about else {})


def _usage(usage: Usage) -> Chunk:
    return set_fields(**{theirs: getattr(usage, ours) for ours, theirs in COUNTS.items()})
