"""a2wsgi, WSGI under an ASGI server: uvicorn --app-dir examples/recipes a2wsgi_app:app."""

import time
from collections.abc import Iterable, Iterator

from a2wsgi import WSGIMiddleware
from a2wsgi.wsgi_typing import Environ, StartResponse

from gaistream.wsgi import SSEResponse


def answer(question: str) -> Iterator[str]:
    """Yield word by word, like a model."""
    for word in f"You asked: {question}".split():
        yield f"{word} "
        time.sleep(0.05)


def chat(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Stream the answer; a2wsgi does not tell a WSGI app that its client has left."""
    question = environ["QUERY_STRING"].removeprefix("q=")
    return SSEResponse(answer(question))(dict(environ), start_response)


app = WSGIMiddleware(chat)
