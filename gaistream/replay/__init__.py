"""Streams that are kept, so that they outlive their connection and are resumed without a seam.

`MemoryLog` keeps them in one process, `SQLiteLog` in a file for all processes of a machine, and
`RedisLog` in Redis for those of several machines. `EventLog` is the protocol of all logs. The logs
are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..loops.waiting import run_in_thread
from .log import (
    End,
    EventLog,
    Page,
    Position,
    Record,
)

if TYPE_CHECKING:
    from .memory import MemoryLog
    from .redis import RedisLog
    from .sqlite import SQLiteLog

__all__ = [
    "End",
    "EventLog",
    "MemoryLog",
    "Page",
    "Position",
    "Record",
    "RedisLog",
    "SQLiteLog",
    "run_in_thread",
]


_MODULES = {"MemoryLog": ".memory", "RedisLog": ".redis", "SQLiteLog": ".sqlite"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_MODULES[name], __name__), name)
    return found
