"""The events of a stream (Start, TextDelta, … Done), and the values that they hold.

Events are immutable, checked when they are made, and compared by their fields; `timestamp` (Unix
seconds) is optional and takes no part in comparison. The classes are those of the twin that runs.
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
