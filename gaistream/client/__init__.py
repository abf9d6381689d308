"""An EventSource for Python: reads Server-Sent Events over HTTP, comes back and resumes.

`connect_sse` blocks; `aconnect_sse` is for asyncio and trio. Both need the extra `httpx`. Responses
that are open already, of whatever library, are read by `gaistream.responses`.
"""

from __future__ import annotations

try:
    import httpx as _httpx  # noqa: F401 - to say what is missing
except ImportError as error:
    raise ImportError(
        "gaistream.client needs httpx: pip install 'gaistream[httpx]'", name="httpx"
    ) from error

from ..errors import ClientError, ConnectionLost, ContentTypeError, ResponseError, StatusError
from ..responses import aiter_events, iter_events
from ._async import AsyncEventSource
from ._policy import Reconnecting, ReconnectPolicy, ends_answer
from ._sync import EventSource

__all__ = [
    "AsyncEventSource",
    "ClientError",
    "ConnectionLost",
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

connect_sse = EventSource
aconnect_sse = AsyncEventSource
