"""aiohttp.web: python examples/aiohttp_app.py, curl -N 'http://127.0.0.1:8080/chat?q=why'."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

from aiohttp import web

from gaistream import SSEOptions, http, sse


async def answer(question: str) -> AsyncIterator[str]:
    """Yield word by word, like a model."""
    for word in f"You asked: {question}".split():
        yield f"{word} "
        await asyncio.sleep(0.05)


async def chat(request: web.Request) -> web.StreamResponse:
    """Write chunk after chunk; a client that leaves closes the source."""
    if "Last-Event-ID" in request.headers:  # a reconnect: do not answer twice
        return web.Response(status=204)
    response = web.StreamResponse(headers=http.headers("sse"))
    await response.prepare(request)
    async with aclosing(sse(answer(request.query["q"]), SSEOptions(include_id=True))) as chunks:
        async for chunk in chunks:
            await response.write(chunk)
    return response


app = web.Application()
app.router.add_get("/chat", chat)

if __name__ == "__main__":  # without the cancellation only a heartbeat notices a lost client
    web.run_app(app, host="127.0.0.1", handler_cancellation=True)
