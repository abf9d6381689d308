"""Starlette: python examples/starlette_app.py, then curl -N 'http://127.0.0.1:8000/chat?q=why'."""

import asyncio
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gaistream import SSEOptions, http
from gaistream.frameworks.starlette import EventSourceResponse, NDJSONResponse, SSEResponse


async def answer(question: str) -> AsyncIterator[str]:
    """Yield word by word, like a model."""
    for word in f"You asked: {question}".split():
        yield f"{word} "
        await asyncio.sleep(0.05)


async def chat(request: Request) -> Response:
    """Stream the answer in the format that the client accepts."""
    if http.last_event_id(request.scope):  # a reconnect: do not answer twice
        return Response(status_code=204)
    source = answer(request.query_params["q"])
    if "ndjson" in request.headers.get("accept", ""):
        return NDJSONResponse(source)
    return SSEResponse(source, SSEOptions(include_id=True))


async def ticks(_: Request) -> Response:
    """Code for sse-starlette stays as it is, except for the import."""
    return EventSourceResponse({"event": "tick", "id": str(n), "data": n} for n in range(3))


app = Starlette(routes=[Route("/chat", chat), Route("/ticks", ticks)])

if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app)
