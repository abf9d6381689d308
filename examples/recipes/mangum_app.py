"""Mangum, AWS Lambda: set the function's handler to mangum_app.handler."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

from mangum import Mangum

from gaistream.asgi import SSEResponse


async def answer(question: str) -> AsyncIterator[str]:
    """Yield word by word, like a model."""
    for word in f"You asked: {question}".split():
        yield f"{word} "
        await asyncio.sleep(0.05)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Stream the answer; Mangum collects it, so the client gets it whole at the end."""
    question = parse_qs(scope["query_string"].decode())["q"][0]
    await SSEResponse(answer(question))(scope, receive, send)


handler = Mangum(app, lifespan="off")
