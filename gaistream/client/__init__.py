"""An EventSource for Python: reads Server-Sent Events over HTTP, comes back and resumes.

`connect_sse` (an `EventSource`) blocks; `aconnect_sse` (an `AsyncEventSource`) is for asyncio and
trio. Both need the extra `httpx` or `httpx2`, which is imported when one of them is first asked
for. Responses that are open already, of whatever library, are read by `iter_events` and
`aiter_events`.
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

_FACES = {
    "EventSource": "EventSource",
    "connect_sse": "EventSource",
    "AsyncEventSource": "AsyncEventSource",
    "aconnect_sse": "AsyncEventSource",
}


def __getattr__(name: str) -> Any:
    if name not in _FACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    http_library(f"gaistream.client.{name}")
    kind = _FACES[name]
    module = import_module("._sync" if kind == "EventSource" else "._async", __name__)
    face = getattr(module, kind)
    globals()[name] = face
    return face
