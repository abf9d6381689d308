"""Django Ninja: uvicorn --app-dir examples/recipes ninja_app:asgi_app."""

import asyncio
from collections.abc import AsyncIterator

from django.conf import settings
from django.core import asgi
from django.http import HttpRequest, HttpResponseBase
from django.urls import path

settings.configure(ALLOWED_HOSTS=["localhost", "127.0.0.1"], ROOT_URLCONF=__name__)

from ninja import NinjaAPI  # noqa: E402

from gaistream.frameworks.django import SSEResponse  # noqa: E402

api = NinjaAPI()


async def answer(question: str) -> AsyncIterator[str]:
    """Yield word by word, like a model."""
    for word in f"You asked: {question}".split():
        yield f"{word} "
        await asyncio.sleep(0.05)


@api.get("/chat")
async def chat(request: HttpRequest, q: str) -> HttpResponseBase:
    """Stream the answer."""
    return SSEResponse(request, answer(q))


urlpatterns = [path("", api.urls)]
asgi_app = asgi.get_asgi_application()
