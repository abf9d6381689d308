"""Django REST framework: uvicorn --app-dir examples/recipes drf_app:asgi_app."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from django.conf import settings
from django.core import asgi, wsgi
from django.http import HttpResponseBase
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["localhost", "127.0.0.1"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["rest_framework"],
    REST_FRAMEWORK={"DEFAULT_AUTHENTICATION_CLASSES": [], "UNAUTHENTICATED_USER": None},
)

from rest_framework.renderers import BaseRenderer, JSONRenderer  # noqa: E402
from rest_framework.request import Request  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

from gaistream.frameworks.django import SSEResponse  # noqa: E402


async def answer(question: str) -> AsyncIterator[str]:
    """Yield word by word, like a model."""
    for word in f"You asked: {question}".split():
        yield f"{word} "
        await asyncio.sleep(0.05)


class EventStream(BaseRenderer):
    """Names the media type that an EventSource accepts, which REST framework refuses otherwise."""

    media_type = "text/event-stream"


class Chat(APIView):
    """Streams the answer; errors of the view itself are JSON."""

    renderer_classes = (JSONRenderer, EventStream)

    def get(self, request: Request) -> HttpResponseBase:
        """Return the response, with REST framework's own request."""
        return SSEResponse(request, answer(request.query_params["q"]))


urlpatterns: list[Any] = [path("chat", Chat.as_view())]
asgi_app, wsgi_app = asgi.get_asgi_application(), wsgi.get_wsgi_application()
