"""Pyramid: waitress-serve --port=8000 pyramid_app:app, then curl -N 'localhost:8000/chat?q=why'."""

import time
from collections.abc import Iterator

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response

from gaistream.wsgi import SSEResponse


def answer(question: str) -> Iterator[str]:
    """Yield word by word, like a model."""
    for word in f"You asked: {question}".split():
        yield f"{word} "
        time.sleep(0.05)


def chat(request: Request) -> Response:
    """Stream the answer; an error before the first word gets its status."""
    response: Response = request.get_response(SSEResponse(answer(request.params["q"]), cors=None))
    return response


with Configurator() as config:
    config.add_route("chat", "/chat")
    config.add_view(chat, route_name="chat")
    app = config.make_wsgi_app()
