"""Streams on WSGI: responses for a source, handlers for a provider. No framework is needed.

A sync source runs in the server's own thread, a chunk an item, and there are no heartbeats, unless
`helper_thread=True` asks for them (and for coalescing). An async source runs on its own event loop
in the server's thread, heartbeats included. The headers of a sync source go out with its first
event, so a source that fails before it is answered with a status. WSGI does not report that a
client has left: it shows when the server closes the response, after a send that failed.

`resumable` is imported when it is first used.
"""

from typing import TYPE_CHECKING, Any

from .draining import drain, drain_on_signals
from .handler import event_handler, ndjson_handler, protocol_handler, sse_handler
from .response import NDJSONResponse, SSEResponse

if TYPE_CHECKING:
    from .kept import resumable

__all__ = [
    "NDJSONResponse",
    "SSEResponse",
    "drain",
    "drain_on_signals",
    "event_handler",
    "ndjson_handler",
    "protocol_handler",
    "resumable",
    "sse_handler",
]


def __getattr__(name: str) -> Any:
    if name == "resumable":
        from .kept import resumable

        globals()[name] = resumable
        return resumable
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
