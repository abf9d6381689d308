"""Quart: python examples/quart_app.py, then curl -N 'http://127.0.0.1:8000/chat?q=why'."""

import asyncio
from collections.abc import AsyncIterator

from quart import Quart, Response, request

from gaistream import SSEOptions
from gaistream.frameworks.quart import SSEResponse

app = Quart(__name__)


async def answer() -> AsyncIterator[str]:
    """Yield word by word, like a model."""
    for word in f"You asked: {request.args['q']}".split():  # the request is still there
        yield f"{word} "
        await asyncio.sleep(0.05)


@app.get("/chat")
async def chat() -> Response:
    """Stream the answer."""
    if "Last-Event-ID" in request.headers:  # a reconnect: do not answer twice
        return Response(status=204)
    return SSEResponse(answer(), SSEOptions(include_id=True))


if __name__ == "__main__":
    app.run(port=8000)
