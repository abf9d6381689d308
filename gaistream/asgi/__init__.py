"""Streams on ASGI: responses for a source, handlers for a provider. No framework is needed.

Responses and handlers are ASGI apps. `resumable` is imported when it is first used.
"""

from typing import TYPE_CHECKING, Any

from .drain import DrainMiddleware
from .handler import event_handler, ndjson_handler, sse_handler
from .protocol import protocol_handler
from .response import NDJSONResponse, SSEResponse

if TYPE_CHECKING:
    from .kept import resumable

__all__ = [
    "DrainMiddleware",
    "NDJSONResponse",
    "SSEResponse",
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
