"""Responses of httpx, requests, urllib3 and aiohttp that are open already, read over real HTTP."""

from __future__ import annotations

import asyncio
import json
import socket

import httpx
import pytest
from real_servers import serve_uvicorn
from required import need_package

from gaistream import ChatRequest, asgi
from gaistream.client import ContentTypeError, StatusError, aiter_events, iter_events
from gaistream.errors import FrameTypeError
from gaistream.providers.docs import DocsProvider


async def prepare(request):
    return ChatRequest.from_question(request.query["q"])


def of_httpx(url):
    with httpx.stream("GET", url) as response:
        return [event.data for event in iter_events(response)]


def of_requests(url):
    need_package("requests")
    import requests

    with requests.get(url, stream=True) as response:
        return [event.data for event in iter_events(response)]


def of_urllib3(url):
    need_package("urllib3")
    import urllib3

    with urllib3.PoolManager() as pool:
        response = pool.request("GET", url, preload_content=False)
        return [event.data for event in iter_events(response)]


def of_aiohttp(url):
    need_package("aiohttp")
    import aiohttp

    async def reading():
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return [event.data async for event in aiter_events(response)]

    return asyncio.run(reading())


def of_async_httpx(url):
    async def reading():
        async with httpx.AsyncClient() as client, client.stream("GET", url) as response:
            with pytest.raises(FrameTypeError, match="use aiter_events"):
                iter_events(response)
            return [event.data async for event in aiter_events(response)]

    return asyncio.run(reading())


libraries = pytest.mark.parametrize(
    "library", [of_httpx, of_requests, of_urllib3, of_aiohttp, of_async_httpx]
)


@libraries
def test_a_response_of_each_library_is_read_as_events(library):
    with serve_uvicorn(asgi.sse_handler(DocsProvider(), prepare), "h11", "asyncio") as server:
        assert json.loads(library(f"{server.url}/?q=heartbeat")[-1]) == {"finished": True}


@libraries
def test_a_response_that_is_not_a_stream_is_refused(library):
    with serve_uvicorn(asgi.ndjson_handler(DocsProvider(), prepare), "h11", "asyncio") as server:
        if library is not of_async_httpx:
            with pytest.raises(StatusError, match="HTTP 400"):
                library(server.url)
            with pytest.raises(ContentTypeError, match="application/x-ndjson"):
                library(f"{server.url}/?q=heartbeat")


def test_an_object_without_a_status_is_not_a_response():
    with pytest.raises(FrameTypeError, match="socket has not"), socket.socket() as other:
        iter_events(other)
