"""FastAPI: python examples/fastapi_app.py, then curl -N 'http://127.0.0.1:8000/chat?q=why'."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Body, FastAPI

from gaistream.frameworks.starlette import NDJSONResponse, SSEResponse

app = FastAPI()


async def answer(question: str) -> AsyncIterator[str]:
    """Stand for a model that writes word by word."""
    for word in f"You asked: {question}".split():
        yield f"{word} "
        await asyncio.sleep(0.05)


@app.get("/chat")
async def chat(q: str) -> SSEResponse:
    """Return a response."""
    return SSEResponse(answer(q))


@app.post("/lines", response_class=NDJSONResponse)
async def lines(question: Annotated[str, Body(embed=True)]) -> AsyncIterator[str]:
    """Be the source: an endpoint may yield."""
    async for word in answer(question):
        yield word


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app)
