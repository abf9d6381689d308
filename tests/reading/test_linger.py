"""After the last event a reader reads its response to the end, if that is near, so that the client
keeps the connection."""

from __future__ import annotations

import asyncio
import http.server
import socket
import threading
import time

import aiohttp
import httpx
import httpx2
import pytest
import requests
import urllib3
from frames import DONE, said
from trio_exchange import on_trio

import gaistream
from gaistream.reading import chunks
from gaistream.reading.linger import alinger

TIMES = 3
BODY = said("a") + DONE


class Handler(http.server.BaseHTTPRequestHandler):
    """Sends a whole stream, and then, by the path, ends the body at once, later or never."""

    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.server.connections += 1

    def do_GET(self):
        way = self.path[1:]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        if way == "sized":
            self.send_header("Content-Length", str(len(BODY)))
        else:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if way == "sized":
            self.wfile.write(BODY)
            return
        self.chunk(BODY)
        try:
            if way == "never":
                self.server.ends.wait(20)
            elif way == "more":
                for _ in range(100):
                    self.chunk(b":" * 65_536 + b"\n")
            elif way == "later":
                time.sleep(0.02)
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            pass
        self.server.gone.release()

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    connections = 0


@pytest.fixture
def server():
    server = Server(("127.0.0.1", 0), Handler)
    server.ends, server.gone = threading.Event(), threading.Semaphore(0)
    server.url = f"http://127.0.0.1:{server.server_address[1]}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.ends.set()
    server.shutdown()
    server.server_close()
    thread.join()


def by_httpx(library):
    def read(url):
        with library.Client(trust_env=False) as client:
            for _ in range(TIMES):
                with client.stream("GET", url) as response:
                    yield list(gaistream.read_events(response))

    return read


def by_requests(url):
    with requests.Session() as session:
        session.trust_env = False
        for _ in range(TIMES):
            yield list(gaistream.read_events(session.get(url, stream=True)))


def by_urllib3(url):
    with urllib3.PoolManager() as pool:
        for _ in range(TIMES):
            yield list(gaistream.read_events(pool.request("GET", url, preload_content=False)))


SYNC = {"httpx": by_httpx(httpx), "httpx2": by_httpx(httpx2), "requests": by_requests,
        "urllib3": by_urllib3}  # fmt: skip


async def by_async_httpx(url, library=httpx):
    async with library.AsyncClient(trust_env=False) as client:
        for _ in range(TIMES):
            async with client.stream("GET", url) as response:
                yield [event async for event in gaistream.read_events(response)]


async def by_aiohttp(url):
    async with aiohttp.ClientSession() as session:
        for _ in range(TIMES):
            async with session.get(url) as response:
                yield [event async for event in gaistream.read_events(response)]


async def by_async_httpx2(url):
    async for events in by_async_httpx(url, httpx2):
        yield events


ASYNC = {"httpx": by_async_httpx, "httpx2": by_async_httpx2, "aiohttp": by_aiohttp}


def read_by(name, url):
    """Return the answers to several requests, one after the other, on one client."""
    if name in SYNC:
        return list(SYNC[name](url))
    answers = []

    async def collect():
        async for events in ASYNC[name.split()[1]](url):
            answers.append(events)

    if name.startswith("trio"):
        on_trio(collect)
    else:
        asyncio.run(collect())
    return answers


CLIENTS = pytest.mark.parametrize(
    "client", [*SYNC, *(f"async {name}" for name in ASYNC), "trio httpx"]
)


WHOLE = [gaistream.events.TextDelta("a"), gaistream.events.Done()]


@CLIENTS
@pytest.mark.parametrize("way", ["at once", "sized", "later"])
def test_the_connection_is_kept_from_request_to_request(server, client, way):
    assert read_by(client, server.url + way.replace(" ", "-")) == [WHOLE] * TIMES
    assert server.connections == 1


# httpx does not close the generators that contain its own
@pytest.mark.filterwarnings("ignore:.*async_generator:pytest.PytestUnraisableExceptionWarning")
@CLIENTS
@pytest.mark.parametrize("way", ["never", "more"])
def test_a_body_that_does_not_end_soon_is_abandoned(server, client, way):
    began = time.monotonic()
    assert read_by(client, server.url + way) == [WHOLE] * TIMES
    assert time.monotonic() - began < 10  # the server would hold each for 20 s
    assert server.connections == TIMES
    server.ends.set()
    for _ in range(TIMES):
        assert server.gone.acquire(timeout=20)


@pytest.mark.parametrize("client", ["httpx", "urllib3"])
def test_timeouts_are_restored_after_lingering(server, client):
    if client == "httpx":
        with httpx.Client(trust_env=False) as own, own.stream("GET", server.url) as response:
            stream = response.extensions["network_stream"]
            assert list(gaistream.read_events(response)) == WHOLE
            assert "read" not in vars(stream)
        return
    with urllib3.PoolManager() as pool:
        response = pool.request("GET", server.url, preload_content=False, timeout=7)
        held = response.connection.sock
        assert list(gaistream.read_events(response)) == WHOLE
        assert held.gettimeout() == 7


def test_other_sources_are_closed_at_the_last_event():
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(BODY + b"more")
        assert list(gaistream.read_events(ours)) == WHOLE
        assert ours.fileno() == -1

    read = []

    def source():
        for number in range(5):
            read.append(number)
            yield BODY

    assert list(gaistream.read_events(source())) == WHOLE
    assert read == [0]


def test_a_task_that_is_cancelled_while_it_lingers_closes_the_response(server, monkeypatch):
    async def main():
        lingers = asyncio.Event()

        async def watched(*arguments):
            lingers.set()
            await alinger(*arguments)

        monkeypatch.setattr(chunks, "alinger", watched)
        async with httpx.AsyncClient(trust_env=False) as client:
            async with client.stream("GET", server.url + "never") as response:
                task = asyncio.ensure_future(anext(gaistream.read_events(response)))
                await asyncio.wait_for(lingers.wait(), 20)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert response.is_closed

    asyncio.run(main())
