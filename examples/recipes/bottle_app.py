"""Bottle: python examples/recipes/bottle_app.py, then curl -N 'localhost:8000/chat?q=why'."""

import time
from collections.abc import Iterator

from bottle import Bottle, request, response

from gaistream import http, sse


def answer(question: str) -> Iterator[str]:
    """Yield word by word, like a model."""
    for word in f"You asked: {question}".split():
        yield f"{word} "
        time.sleep(0.05)


def chat() -> Iterator[bytes]:
    """Stream the answer."""
    for name, value in http.headers("sse").items():
        response.set_header(name, value)
    return sse(answer(request.query.q))


app = Bottle()
app.route("/chat", callback=chat)


if __name__ == "__main__":
    app.run(server="waitress", port=8000, threads=32)
