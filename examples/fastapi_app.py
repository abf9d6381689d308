"""FastAPI: python examples/fastapi_app.py, then curl -N 'http://127.0.0.1:8000/chat?q=why'."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Body, FastAPI, Request, Response

from gaistream import SSEOptions, http
from gaistream.frameworks.starlette import NDJSONResponse, SSEResponse

app = FastAPI()


async def answer(question: str) -> AsyncIterator[str]:
    """Yield word by word, like a model."""
    for word in f"You asked: {question}".split():
        yield f"{word} "
        await asyncio.sleep(0.05)


@app.get("/chat")
async def chat(q: str, request: Request) -> Response:
    """Stream the answer as Server-Sent Events."""
    if http.last_event_id(request.scope):  # a reconnect: do not answer twice
        return Response(status_code=204)
    return SSEResponse(answer(q), SSEOptions(include_id=True))


@app.post("/lines")
async def lines(question: Annotated[str, Body(embed=True)]) -> NDJSONResponse:
    """Stream it as lines of JSON; `fetch` does not reconnect."""
    return NDJSONResponse(answer(question))


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app)
