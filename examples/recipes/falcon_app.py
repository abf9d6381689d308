"""Falcon: waitress-serve --port=8000 falcon_app:app, then curl -N 'localhost:8000/chat?q=why'."""

import time
from collections.abc import Iterator

from falcon import App, Request, Response

from gaistream import http, sse


def answer(question: str) -> Iterator[str]:
    """Yield word by word, like a model."""
    for word in f"You asked: {question}".split():
        yield f"{word} "
        time.sleep(0.05)


class Chat:
    """The resource. Under falcon.asgi it would not learn that its client has left."""

    def on_get(self, request: Request, response: Response) -> None:
        """Stream the answer."""
        response.set_headers(http.headers("sse"))
        response.stream = sse(answer(request.get_param("q", required=True)))


app = App()
app.add_route("/chat", Chat())
