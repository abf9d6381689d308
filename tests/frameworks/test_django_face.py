"""What Django does around a stream: middleware, decorators, its test clients, other frameworks."""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from face_apps import configured_django, uvicorn, waitress
from scripted_asgi import DONE, text

from gaistream.errors import FrameError, FrameTypeError

pytest.importorskip("django", reason="Django is not installed")

ALL = text("one") + text("two") + DONE


async def answer() -> AsyncIterator[str]:
    yield "one"
    await asyncio.sleep(0)
    yield "two"


def blocking() -> Iterator[str]:
    yield from ("one", "two")


def view(request: Any, path: str) -> Any:
    from gaistream.frameworks.django import SSEResponse

    identity = {"Content-Encoding": "identity"} if path == "identity" else {}
    return SSEResponse(request, answer(), headers={"X-Own": "o", **identity})


def served(interface: str) -> Any:
    from django.core import asgi, wsgi

    if interface == "asgi":
        return uvicorn(asgi.get_asgi_application())
    return waitress(wsgi.get_wsgi_application())


def get(interface: str, path: str = "text", **headers: str) -> httpx.Response:
    with served(interface) as server:
        return httpx.get(f"{server.url}/{path}", headers=headers)


INTERFACES = pytest.mark.parametrize("interface", ["asgi", "wsgi"])


@INTERFACES
def test_compression_is_warned_of_once_and_identity_keeps_it_away(
    interface: str, caplog: pytest.LogCaptureFixture
) -> None:
    from gaistream.frameworks import _faces

    _faces._warn_once.cache_clear()
    with configured_django(view, MIDDLEWARE=["django.middleware.gzip.GZipMiddleware"]):
        with caplog.at_level(logging.WARNING, "gaistream"):
            for _ in range(2):
                assert get(interface).headers["content-encoding"] == "gzip"
        [record] = [each for each in caplog.records if each.name == "gaistream"]
        assert "GZipMiddleware" in record.message
        assert '"Content-Encoding": "identity"' in record.message
        caplog.clear()
        answered = get(interface, "identity")
    assert (answered.headers["content-encoding"], answered.content) == ("identity", b":\n\n" + ALL)
    assert not [each for each in caplog.records if each.name == "gaistream"]


def test_a_middleware_that_has_django_read_a_stream_whole_is_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    from gaistream.frameworks import _faces

    _faces._warn_once.cache_clear()
    with configured_django(view, MIDDLEWARE=[f"{__name__}.Collecting"]):
        with pytest.warns(Warning, match="must consume synchronous iterators"):
            assert get("asgi").content.endswith(ALL)
    assert "a synchronous iterator, which Django reads whole under ASGI" in caplog.text


class Collecting:
    """A middleware that replaces the content by a synchronous iterator."""

    sync_capable, async_capable = False, True

    def __init__(self, get_response: Any) -> None:
        self._get_response = get_response
        from asgiref.sync import markcoroutinefunction

        markcoroutinefunction(self)

    async def __call__(self, request: Any) -> Any:
        response = await self._get_response(request)
        chunks = [chunk async for chunk in response.streaming_content]
        response.streaming_content = iter(chunks)
        return response


@INTERFACES
def test_middleware_and_decorators_see_the_response_when_its_head_is_known(interface: str) -> None:
    from django.views.decorators.gzip import gzip_page
    from django.views.decorators.http import condition

    etagged = condition(etag_func=lambda request, path: '"e"')(view)
    with configured_django(gzip_page(etagged), MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.http.ConditionalGetMiddleware",
    ]):  # fmt: skip
        with served(interface) as server:
            with httpx.stream("GET", f"{server.url}/text") as answered:
                body = gzip.decompress(b"".join(answered.iter_raw()))
            again = httpx.get(f"{server.url}/text", headers={"If-None-Match": '"e"'})
    assert body == b":\n\n" + ALL
    assert (answered.headers["etag"], answered.headers["x-own"]) == ('W/"e"', "o")
    assert again.status_code == 304


def test_an_early_error_keeps_cookies_and_passes_the_middleware() -> None:
    from gaistream import StreamError
    from gaistream.frameworks.django import SSEResponse

    def failing() -> Iterator[str]:
        raise StreamError("busy", status=503)
        yield

    def view(request: Any, path: str) -> Any:
        response = SSEResponse(request, failing())
        response.set_cookie("seen", "1")
        return response

    with configured_django(view, MIDDLEWARE=["django.middleware.common.CommonMiddleware"]):
        for interface in ("asgi", "wsgi"):
            answered = get(interface)
            assert (answered.status_code, answered.json()["error"]["message"]) == (503, "busy")
            assert answered.cookies["seen"] == "1"


def test_djangos_test_clients_and_a_view_without_its_handler_get_the_stream() -> None:
    from django.test import AsyncClient, Client, RequestFactory

    async def read() -> bytes:
        answered = await AsyncClient().get("/text")
        return b"".join([chunk async for chunk in answered.streaming_content])

    with configured_django(view):
        assert Client().get("/text").getvalue() == b":\n\n" + ALL
        assert asyncio.run(read()) == b":\n\n" + ALL
        assert b"".join(view(RequestFactory().get("/text"), "text")) == b":\n\n" + ALL


def test_a_subclass_and_the_response_for_ndjson_serve_under_both_servers() -> None:
    from gaistream.frameworks.django import NDJSONResponse

    class Own(NDJSONResponse):
        """A project's own response."""

    with configured_django(lambda request, path: Own(request, blocking(), status=201)):
        for interface in ("asgi", "wsgi"):
            answered = get(interface)
            assert (answered.status_code, answered.headers["content-type"]) == (
                201, "application/x-ndjson",
            )  # fmt: skip
            assert answered.content.startswith(b'{"type":"text_delta","text":"one"}\n')


def test_wrong_arguments_are_named() -> None:
    from django.test import AsyncRequestFactory, RequestFactory

    from gaistream.frameworks.django import SSEResponse

    with configured_django(view):
        sync, asynchronous = RequestFactory().get("/"), AsyncRequestFactory().get("/")
        with pytest.raises(FrameTypeError, match="request must be the view's, not async_generator"):
            SSEResponse(answer(), answer())
        with pytest.raises(TypeError, match="send_timeout"):
            SSEResponse(sync, answer(), send_timeout=5)
        with pytest.raises(TypeError, match="helper_thread"):
            SSEResponse(asynchronous, answer(), helper_thread=True)
        with pytest.raises(FrameError, match=r"source_timeout needs .* an async source"):
            SSEResponse(sync, blocking(), source_timeout=5)
