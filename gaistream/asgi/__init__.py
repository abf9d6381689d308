"""Streams on ASGI: responses for a source, handlers for a provider. No framework is needed.

Responses and handlers are ASGI apps.
"""

from .drain import DrainMiddleware
from .handler import event_handler, ndjson_handler, protocol_handler, sse_handler
from .response import NDJSONResponse, SSEResponse

__all__ = [
    "DrainMiddleware",
    "NDJSONResponse",
    "SSEResponse",
    "event_handler",
    "ndjson_handler",
    "protocol_handler",
    "sse_handler",
]
