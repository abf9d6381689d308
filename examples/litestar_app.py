"""Litestar: python examples/litestar_app.py, then curl -N 'http://127.0.0.1:8000/chat?q=why'."""

import asyncio
from collections.abc import AsyncIterator

from litestar import Litestar, get
from litestar.params import FromQuery
from litestar.types import ASGIApp

from gaistream.asgi import SSEResponse


async def answer(question: str) -> AsyncIterator[str]:
    """Stand for a model that writes word by word."""
    for word in f"You asked: {question}".split():
        yield f"{word} "
        await asyncio.sleep(0.05)


@get("/chat", media_type="text/event-stream")
async def chat(q: FromQuery[str]) -> ASGIApp:
    """Answer by an ASGI app, which Litestar takes."""
    return SSEResponse(answer(q), cors=None)  # Litestar's own CORS policy stands


app = Litestar([chat])

if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app)
