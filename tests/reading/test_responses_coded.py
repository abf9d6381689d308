"""Responses of each HTTP library, compressed or not, chunked or not: equal events, as they come."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import importlib
import threading
import tracemalloc
import zlib

import pytest
from real_servers import SECONDS
from required import need_package
from scripted_http import scripted

from gaistream import NDJSONReader, read_events
from gaistream.client import aiter_events, iter_events
from gaistream.errors import FrameError
from gaistream.events import Done, TextDelta

FRAMES = [b'event: text_delta\ndata: {"text":"Hi"}\n\n', b"event: done\ndata: {}\n\n"]
EVENTS = [("text_delta", '{"text":"Hi"}'), ("done", "{}")]
BOMB = gzip.compress((b":" + b"x" * 65534 + b"\n") * 512)  # 32 MiB of comments
READ = [TextDelta("Hi"), Done()]


@contextlib.contextmanager
def opened_by_httpx(url, library="httpx"):
    need_package(library)
    client = importlib.import_module(library).Client(verify=False)  # certificates take long to load
    with client, client.stream("GET", url) as response:
        yield response


def opened_by_httpx2(url):
    return opened_by_httpx(url, "httpx2")


@contextlib.contextmanager
def opened_by_requests(url):
    need_package("requests")
    import requests

    with requests.get(url, stream=True, timeout=SECONDS) as response:
        yield response


@contextlib.contextmanager
def opened_by_urllib3(url):
    need_package("urllib3")
    import urllib3

    with urllib3.PoolManager() as pool:
        yield pool.request("GET", url, preload_content=False)


@contextlib.asynccontextmanager
async def aopened_by_httpx(url, library="httpx"):
    need_package(library)
    client = importlib.import_module(library).AsyncClient(verify=False)
    async with client, client.stream("GET", url) as response:
        yield response


def aopened_by_httpx2(url):
    return aopened_by_httpx(url, "httpx2")


@contextlib.asynccontextmanager
async def aopened_by_aiohttp(url):
    need_package("aiohttp")
    import aiohttp

    async with aiohttp.ClientSession() as session, session.get(url) as response:
        yield response


SYNC = [opened_by_httpx, opened_by_httpx2, opened_by_requests, opened_by_urllib3]
ASYNC = [aopened_by_httpx, aopened_by_httpx2, aopened_by_aiohttp]
adapters = pytest.mark.parametrize("opened", [*SYNC, *ASYNC])
codings = pytest.mark.parametrize("coding", ["identity", "gzip", "deflate"])
framings = pytest.mark.parametrize("framing", ["chunked", "length", "close"])


def consume(opened, url, read, on_item=lambda item: None):
    """Read a response by the sync or the async function of a pair; give what comes."""
    items = []

    async def reading():
        async with opened(url) as response:
            async for item in read[1](response):
                items.append(item)
                on_item(item)

    if opened in ASYNC:
        asyncio.run(reading())
    else:
        with opened(url) as response:
            for item in read[0](response):
                items.append(item)
                on_item(item)
    return items


EVENT_READERS = (iter_events, aiter_events)


def packer_of(coding):
    """Give a function that packs a part, so that it can be undone at once, or (None) the end."""
    if coding == "identity":
        return lambda part: part or b""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31 if coding == "gzip" else 15)
    return lambda part: (
        packer.flush() if part is None else packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH)
    )


def answering(coding, framing, parts, gate=None, kind=b"text/event-stream"):
    pack = packer_of(coding)
    bodies = [pack(part) for part in parts] + [pack(None)]
    head = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Encoding: %b\r\n" % (
        kind, coding.encode()
    )  # fmt: skip
    head += {
        "chunked": b"Transfer-Encoding: chunked\r\n\r\n",
        "length": b"Content-Length: %d\r\n\r\n" % sum(map(len, bodies)),
        "close": b"Connection: close\r\n\r\n",
    }[framing]

    def step(connection):
        connection.sendall(head)
        for number, body in enumerate(bodies):
            if number and gate is not None:
                assert gate.acquire(timeout=SECONDS), "an event did not come"
            framed = b"%x\r\n%b\r\n" % (len(body), body) if framing == "chunked" else body
            connection.sendall(framed if body else b"")
        connection.sendall(b"0\r\n\r\n" if framing == "chunked" else b"")

    return step


@adapters
@codings
@framings
def test_events_of_compressed_responses_come_one_by_one(opened, coding, framing):
    gate = threading.Semaphore(0)
    with scripted(answering(coding, framing, FRAMES, gate)) as server:
        given = consume(opened, server.url, EVENT_READERS, lambda _: gate.release())
    assert [(event.event, event.data) for event in given] == EVENTS


@adapters
@codings
def test_read_events_and_ndjson_reader_read_compressed_responses_too(opened, coding):
    lines = answering(coding, "length", [b'{"a":1}\n', b'{"a":2}\n'], kind=b"application/x-ndjson")
    with scripted(answering(coding, "length", FRAMES), lines) as server:
        assert consume(opened, server.url, (read_events, read_events)) == READ
        assert consume(opened, server.url, (NDJSONReader, NDJSONReader)) == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize("opened", [aopened_by_httpx, aopened_by_httpx2])
def test_other_tasks_run_while_a_large_chunk_is_decompressed(opened):
    async def reading(url):
        ran, task = 0, asyncio.current_task()

        async def other():
            nonlocal ran
            while not task.done():
                ran += 1
                await asyncio.sleep(0)

        running = asyncio.ensure_future(other())
        async with opened(url) as response:
            assert [event async for event in aiter_events(response)] == []
        running.cancel()
        return ran

    bomb = gzip.compress(BOMB)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    head += b"Content-Encoding: gzip, gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    with scripted(head + bomb) as server:
        assert asyncio.run(reading(server.url)) > 400  # 32 MiB in pieces of 64 KiB


@adapters
@pytest.mark.parametrize("framing", ["chunked", "length"])
@pytest.mark.parametrize("layers", [1, 2])
def test_a_bomb_that_the_library_asked_for_is_read_in_bounded_memory(opened, framing, layers):
    body = BOMB if layers == 1 else gzip.compress(BOMB)
    name = b", ".join([b"gzip"] * layers)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: %b\r\n" % name
    if framing == "chunked":
        answer = head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (
            len(body),
            body,
        )
    else:
        answer = head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    with scripted(answer) as server:
        tracemalloc.start()
        try:
            if opened is aopened_by_aiohttp and layers == 2:  # which undoes no list of codings
                with pytest.raises(FrameError, match="compressed with gzip"):
                    consume(opened, server.url, EVENT_READERS)
            else:
                assert consume(opened, server.url, EVENT_READERS) == []
            assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
        finally:
            tracemalloc.stop()
