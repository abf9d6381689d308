"""An EventSource for Python: reads Server-Sent Events over HTTP, reconnects and resumes.

`connect_sse` (an `EventSource`) blocks; `aconnect_sse` (an `AsyncEventSource`) is for asyncio and
trio. Both need the extra `httpx` or `httpx2`, which is imported at their first use. `iter_events`
and `aiter_events` read responses of any library that are open already.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..errors import (
    ClientError,
    ConnectionLost,
    ContentEncodingError,
    ContentTypeError,
    ResponseError,
    StatusError,
)
from ..reading.responses import aiter_events, iter_events
from ._policy import Reconnecting, ReconnectPolicy, ends_answer
from .http import http_library

if TYPE_CHECKING:
    from ._async import AsyncEventSource
    from ._sync import EventSource

    connect_sse = EventSource
    aconnect_sse = AsyncEventSource

__all__ = [
    "AsyncEventSource",
    "ClientError",
    "ConnectionLost",
    "ContentEncodingError",
    "ContentTypeError",
    "EventSource",
    "ReconnectPolicy",
    "Reconnecting",
    "ResponseError",
    "StatusError",
    "aconnect_sse",
    "aiter_events",
    "connect_sse",
    "ends_answer",
    "iter_events",
]

_CLASSES = {  # name: (module, class)
    "EventSource": ("._sync", "EventSource"),
    "connect_sse": ("._sync", "EventSource"),
    "AsyncEventSource": ("._async", "AsyncEventSource"),
    "aconnect_sse": ("._async", "AsyncEventSource"),
}


def __getattr__(name: str) -> Any:
    if name not in _CLASSES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    http_library(f"gaistream.client.{name}")
    module, class_name = _CLASSES[name]
    event_source = getattr(import_module(module, __name__), class_name)
    globals()[name] = event_source
    return event_source
