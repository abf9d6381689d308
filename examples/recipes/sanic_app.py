"""Sanic: sanic examples.recipes.sanic_app:app, then curl -N 'localhost:8000/chat?q=why'."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

from sanic import Request, Sanic

from gaistream import http, sse

app = Sanic("chat")


async def answer(question: str) -> AsyncIterator[str]:
    """Yield word by word, like a model."""
    for word in f"You asked: {question}".split():
        yield f"{word} "
        await asyncio.sleep(0.05)


@app.get("/chat")
async def chat(request: Request) -> None:
    """Send chunk after chunk; Sanic cancels the handler when the client leaves."""
    headers = http.headers("sse")
    response = await request.respond(content_type=headers.pop("Content-Type"), headers=headers)
    async with aclosing(sse(answer(request.args["q"][0]))) as chunks:
        async for chunk in chunks:
            await response.send(chunk)
    await response.eof()
