"""Streams that are kept, so that they outlive their connection and are resumed without a seam.

`MemoryLog` keeps them in one process. `EventLog` is the protocol of all logs.
"""

from ..loops.waiting import run_in_thread
from .log import (
    End,
    EndKind,
    EventLog,
    GapReason,
    Page,
    Position,
    Record,
    ResumeOutcome,
    StopResult,
)
from .memory import MemoryLog

__all__ = [
    "End",
    "EndKind",
    "EventLog",
    "GapReason",
    "MemoryLog",
    "Page",
    "Position",
    "Record",
    "ResumeOutcome",
    "StopResult",
    "run_in_thread",
]
