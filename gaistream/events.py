"""What a stream says: Start, TextDelta, … Done, and the values that stand in them.

Immutable, checked when made, comparable; `timestamp` (Unix seconds) is optional and takes no part
in comparison. The classes come from the backend; gaistream/core/pure/events.py documents each.
"""

from .core import (
    AudioDelta,
    AudioFormat,
    Citation,
    Citations,
    Done,
    Error,
    Event,
    Finish,
    FinishStep,
    Raw,
    ReasoningDelta,
    Safety,
    Start,
    TextDelta,
    ToolCall,
    ToolResult,
    Usage,
)

__all__ = [
    "AudioDelta",
    "AudioFormat",
    "Citation",
    "Citations",
    "Done",
    "Error",
    "Event",
    "Finish",
    "FinishStep",
    "Raw",
    "ReasoningDelta",
    "Safety",
    "Start",
    "TextDelta",
    "ToolCall",
    "ToolResult",
    "Usage",
]
