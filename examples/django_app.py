"""Django: uvicorn --app-dir examples django_app:asgi_app, curl -N 'localhost:8000/chat?q=why'."""

import asyncio
from collections.abc import AsyncIterator, Iterator

from django.conf import settings
from django.core import asgi, wsgi
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import path

from gaistream import Source, SSEOptions, http
from gaistream.frameworks.django import SSEResponse

settings.configure(ALLOWED_HOSTS=["localhost", "127.0.0.1"], ROOT_URLCONF=__name__)


async def answer(question: str) -> AsyncIterator[str]:
    """Yield word by word, like a model."""
    for word in f"You asked: {question}".split():
        yield f"{word} "
        await asyncio.sleep(0.05)


def blocking_answer(question: str) -> Iterator[str]:
    """Yield the same without an event loop."""
    yield from (f"{word} " for word in f"You asked: {question}".split())


def streamed(request: HttpRequest, source: Source) -> HttpResponseBase:
    """Stream a source, but not twice to an EventSource that reconnects."""
    if http.last_event_id(request.META):
        return HttpResponse(status=204)
    return SSEResponse(request, source, SSEOptions(include_id=True))


async def chat(request: HttpRequest) -> HttpResponseBase:
    """Answer from an async source, and `blocking` from a sync one: under ASGI and under WSGI."""
    return streamed(request, answer(request.GET["q"]))


def blocking(request: HttpRequest) -> HttpResponseBase:
    """Answer from a sync source."""
    return streamed(request, blocking_answer(request.GET["q"]))


urlpatterns = [path("chat", chat), path("blocking", blocking)]
asgi_app, wsgi_app = asgi.get_asgi_application(), wsgi.get_wsgi_application()
