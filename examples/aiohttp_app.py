"""aiohttp.web: python examples/aiohttp_app.py, curl -N 'http://127.0.0.1:8080/chat?q=why'."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from gaistream import SSEOptions
from gaistream.frameworks.aiohttp import sse_response

OPTIONS = SSEOptions(include_id=True)


async def answer(question: str) -> AsyncIterator[str]:
    """Yield word by word, like a model."""
    for word in f"You asked: {question}".split():
        yield f"{word} "
        await asyncio.sleep(0.05)


async def chat(request: web.Request) -> web.StreamResponse:
    """Stream a source."""
    if "Last-Event-ID" in request.headers:  # a reconnect: do not answer twice
        return web.Response(status=204)
    return await sse_response(request, answer(request.query["q"]), OPTIONS)


async def push(request: web.Request) -> web.StreamResponse:
    """Push the same, word by word; a client that leaves ends the block."""
    if "Last-Event-ID" in request.headers:
        return web.Response(status=204)
    async with sse_response(request, None, OPTIONS) as stream:
        async for word in answer(request.query["q"]):
            await stream.send(word)
    return stream


app = web.Application()
app.add_routes([web.get("/chat", chat), web.get("/push", push)])

if __name__ == "__main__":  # the cancellation ends a stream at once when its client leaves
    web.run_app(app, host="127.0.0.1", handler_cancellation=True)
