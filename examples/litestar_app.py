"""Litestar: python examples/litestar_app.py, then curl -N 'http://127.0.0.1:8000/chat?q=why'."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from litestar import Litestar, Request, get
from litestar.params import FromQuery
from litestar.response.base import ASGIResponse
from litestar.types import ASGIApp

from gaistream import SSEOptions, http
from gaistream.frameworks.litestar import SSEResponse


async def answer(question: str) -> AsyncIterator[str]:
    """Yield word by word, like a model."""
    for word in f"You asked: {question}".split():
        yield f"{word} "
        await asyncio.sleep(0.05)


@get("/chat", media_type="text/event-stream")
async def chat(q: FromQuery[str], request: Request[Any, Any, Any]) -> ASGIApp:
    """Return an ASGI application, which Litestar serves; its own CORS policy stands."""
    if http.last_event_id(request.scope):  # a reconnect: do not answer twice
        return ASGIResponse(status_code=204)
    return SSEResponse(answer(q), SSEOptions(include_id=True))


app = Litestar([chat])

if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app)
