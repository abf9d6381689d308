"""FastAPI: python examples/fastapi_app.py, then curl -N 'http://127.0.0.1:8000/chat?q=why'."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

import uvicorn
from fastapi import Body, FastAPI, Request, Response
from pydantic import BaseModel

from gaistream import SSEOptions, http
from gaistream.frameworks.fastapi import NDJSONResponse, SSEResponse, document

app = FastAPI()
document(app)  # describes the words of /lines in /openapi.json


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


class Word(BaseModel):
    """A word of the answer."""

    text: str


@app.post("/lines", response_class=NDJSONResponse.using(dialect="json"))
async def lines(question: Annotated[str, Body(embed=True)]) -> AsyncIterator[Word]:
    """Stream objects of your own as lines of JSON; `fetch` does not reconnect."""
    async for word in answer(question):
        yield Word(text=word)


if __name__ == "__main__":
    uvicorn.run(app)
