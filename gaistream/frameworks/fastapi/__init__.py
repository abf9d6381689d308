"""FastAPI: responses for endpoints that yield or return a stream, and their OpenAPI document.

`SSEResponse` and `NDJSONResponse` are those of gaistream.frameworks.starlette with one addition:
`response_class=SSEResponse.using(dialect="json", heartbeat_interval=5)`. `EventSourceResponse` and
`ServerSentEvent` have the meaning of those of `fastapi.sse`: every item is JSON. `document(app)`
adds the schema of the items to the OpenAPI document, as FastAPI does for its own streams.

In dialect "json" pydantic writes the items as FastAPI would: by the type that the endpoint declares
(`-> AsyncIterable[Item]`), with aliases and the route's `response_model_*` options. Models and
dicts are not validated.
"""

try:
    import fastapi.sse  # noqa: F401
    from fastapi.routing import iter_route_contexts  # noqa: F401  # the newest name needed
except ImportError as error:
    raise ImportError(
        "gaistream.frameworks.fastapi needs fastapi 0.137.2 or later: pip install -U fastapi",
        name=error.name,
    ) from error

from ._openapi import document
from ._responses import EventSourceResponse, NDJSONResponse, ServerSentEvent, SSEResponse

__all__ = [
    "EventSourceResponse",
    "NDJSONResponse",
    "SSEResponse",
    "ServerSentEvent",
    "document",
]
