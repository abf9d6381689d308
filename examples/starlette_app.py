"""Starlette: python examples/starlette_app.py, then curl -N 'http://127.0.0.1:8000/chat?q=why'."""

import asyncio
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gaistream.frameworks.starlette import EventSourceResponse, NDJSONResponse, SSEResponse


async def answer(question: str) -> AsyncIterator[str]:
    """Stand for a model that writes word by word."""
    for word in f"You asked: {question}".split():
        yield f"{word} "
        await asyncio.sleep(0.05)


async def chat(request: Request) -> Response:
    """Stream the answer in the format that the client accepts."""
    source, after = answer(request.query_params["q"]), BackgroundTask(print, "over")
    if "ndjson" in request.headers.get("accept", ""):
        return NDJSONResponse(source, background=after)
    return SSEResponse(source, background=after)  # which runs when the client has gone, too


async def ticks(_: Request) -> Response:
    """What was written for sse-starlette stays as it is, but for the import."""
    return EventSourceResponse({"event": "tick", "id": str(n), "data": n} for n in range(3))


app = Starlette(routes=[Route("/chat", chat), Route("/ticks", ticks)])

if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app)
