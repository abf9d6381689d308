"""The pure twin: the specification of the core in plain Python, and its fallback.

File for file the twin of src/, on the standard library alone. What it does is what gaistream
does; the compiled core (gaistream.core._core) is the same, faster.
"""

from .buffer import Buffer
from .checks import checked_int
from .decoder import SSEDecoder
from .delta_matcher import DeltaMatcher
from .deltas import DeltaCollector
from .escapes import escape_json
from .events import (
    AudioDelta,
    Citations,
    Data,
    Event,
    File,
    Raw,
    ReasoningDelta,
    ReasoningEnd,
    Safety,
    Start,
    TextDelta,
)
from .inlet import Inlet, Turns
from .lines import LineSplitter
from .ndjson import encode_ndjson, encode_ndjson_lines
from .ndjson_decoder import NDJSONDecoder
from .ndjson_encoder import BaseNDJSONEncoder
from .outbox import Outbox
from .payloads import install_json, json_bytes, nests_deeper, read_json
from .server_sent_event import ServerSentEvent
from .sizes import estimate_size
from .source_reader import SourceReader
from .sse import encode_comment, encode_sse, encode_sse_into
from .sse_encoder import BaseSSEEncoder
from .step_events import (
    Done,
    Error,
    Finish,
    FinishStep,
    StepReset,
    StepStart,
)
from .template import FrameTemplate
from .tool_events import (
    ApprovalRequest,
    ToolCall,
    ToolCallDelta,
    ToolCallStart,
    ToolResult,
)
from .values import AudioFormat, Citation, Usage
from .writer import FrameWriter

__all__ = [
    "ApprovalRequest",
    "AudioDelta",
    "AudioFormat",
    "BaseNDJSONEncoder",
    "BaseSSEEncoder",
    "Buffer",
    "Citation",
    "Citations",
    "Data",
    "DeltaCollector",
    "DeltaMatcher",
    "Done",
    "Error",
    "Event",
    "File",
    "Finish",
    "FinishStep",
    "FrameTemplate",
    "FrameWriter",
    "Inlet",
    "LineSplitter",
    "NDJSONDecoder",
    "Outbox",
    "Raw",
    "ReasoningDelta",
    "ReasoningEnd",
    "SSEDecoder",
    "Safety",
    "ServerSentEvent",
    "SourceReader",
    "Start",
    "StepReset",
    "StepStart",
    "TextDelta",
    "ToolCall",
    "ToolCallDelta",
    "ToolCallStart",
    "ToolResult",
    "Turns",
    "Usage",
    "checked_int",
    "encode_comment",
    "encode_ndjson",
    "encode_ndjson_lines",
    "encode_sse",
    "encode_sse_into",
    "escape_json",
    "estimate_size",
    "install_json",
    "json_bytes",
    "nests_deeper",
    "read_json",
]
