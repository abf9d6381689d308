"""Code for sse-starlette: python examples/sse_starlette_app.py, then curl -N 127.0.0.1:8000."""

from collections.abc import AsyncIterator
from typing import Any

from gaistream.frameworks.sse_starlette import install

install()  # what is imported from here on, by packages too, finds gaistream as sse_starlette

from sse_starlette import EventSourceResponse, ServerSentEvent  # noqa: E402
from starlette.applications import Starlette  # noqa: E402
from starlette.requests import Request  # noqa: E402
from starlette.routing import Route  # noqa: E402


async def numbers() -> AsyncIterator[Any]:
    """Yield what sse-starlette takes."""
    yield {"data": "1", "event": "number", "id": "1"}
    yield ServerSentEvent("2", event="number", id="2")
    yield "plain"


async def endpoint(_: Request) -> EventSourceResponse:
    """Stream the numbers."""
    return EventSourceResponse(numbers(), ping=15)


app = Starlette(routes=[Route("/", endpoint)])

if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app)
