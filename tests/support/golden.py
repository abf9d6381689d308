"""What the Go original was told to write, and really wrote: the events and the folder of files."""

import json
from pathlib import Path

DATA = Path(__file__).parents[1] / "data"
RECORDED = json.loads((DATA / "events.json").read_text(encoding="utf-8"))
UNKNOWN = "unknown(42)"


def text_of(said):
    if "text_bytes_hex" in said:  # bytes that are no UTF-8 reach Python as lone surrogates
        return bytes.fromhex(said["text_bytes_hex"]).decode("utf-8", "surrogateescape")
    return said["text"]


def error_of(gs, said, when):
    error = said["error"] or {"string": ""}
    seconds = error["retry_after_ms"] / 1000 if "retry_after_ms" in error else None
    return gs.events.Error(error["string"], error.get("code"), seconds, **when)


def event_of(gs, said):
    events, name = gs.events, said["type"]
    when = {"timestamp": said["timestamp_ms"] / 1000}
    if name == "start":
        return events.Start(**when)
    if name == "text_delta":
        return events.TextDelta(text_of(said), **when)
    if name == "audio_delta":
        form = said["audio_format"]
        audio = bytes.fromhex(said["audio_bytes_hex"])
        return events.AudioDelta(audio, form and events.AudioFormat(**form), **when)
    if name == "tool_call":
        given = json.loads(said["tool_input_raw"] or "null")
        return events.ToolCall(said["tool_id"], said["tool_name"], given, **when)
    if name == "tool_result":
        return events.ToolResult(said["tool_id"], said["tool_name"], said["tool_result"], **when)
    if name == "citations":
        return events.Citations([events.Citation(**each) for each in said["citations"]], **when)
    if name == "safety":
        return events.Safety(**said["safety"], **when)
    if name == "finish_step":
        return events.FinishStep(said["step_number"], **when)
    if name == "finish":
        return events.Finish(said["usage"] and events.Usage(**said["usage"]), **when)
    if name == "raw":
        return events.Raw(said["raw"], **when)
    assert name == "error"
    return error_of(gs, said, when)
