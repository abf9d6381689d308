"""Django: uvicorn --app-dir examples django_app:asgi_app, curl -N 'localhost:8000/chat?q=why'."""

import asyncio
from collections.abc import AsyncIterator, Iterator

from django.conf import settings
from django.core import asgi, wsgi
from django.http import HttpRequest, StreamingHttpResponse
from django.urls import path

from gaistream import http, sse

settings.configure(ALLOWED_HOSTS=["localhost", "127.0.0.1"], ROOT_URLCONF=__name__)


async def answer(question: str) -> AsyncIterator[str]:
    """Stand for a model that writes word by word."""
    for word in f"You asked: {question}".split():
        yield f"{word} "
        await asyncio.sleep(0.05)


def blocking_answer(question: str) -> Iterator[str]:
    """Be the same for a WSGI server; under ASGI Django would read all of it before it sends."""
    yield from (f"{word} " for word in f"You asked: {question}".split())


async def chat(request: HttpRequest) -> StreamingHttpResponse:
    """Stream the answer under ASGI."""
    return StreamingHttpResponse(sse(answer(request.GET["q"])), headers=http.headers("sse"))


def blocking(request: HttpRequest) -> StreamingHttpResponse:
    """Stream the answer under WSGI."""
    source = blocking_answer(request.GET["q"])
    return StreamingHttpResponse(sse(source), headers=http.headers("sse"))


urlpatterns = [path("chat", chat), path("blocking", blocking)]
asgi_app, wsgi_app = asgi.get_asgi_application(), wsgi.get_wsgi_application()
