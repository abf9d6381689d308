"""Responses of HTTP libraries as sources, from a real server: read as they arrive, and closed."""

import http.server
import threading
import urllib.request
from types import ModuleType

import aiohttp
import httpx
import pytest
import requests
import urllib3
from loops import MODES


class Handler(http.server.BaseHTTPRequestHandler):
    """Sends a stream piece by piece, and the next piece only when the test has read the last."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        chunked = self.path == "/chunked"
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        for piece in self.server.pieces:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            self.wfile.flush()
            if not self.server.read.acquire(timeout=10):
                return
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_):
        pass


@pytest.fixture(params=["/chunked", "/until the end"])
def served(request):
    """Give a URL, and what to call for each event that was read."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.read = threading.Semaphore(0)
        server.pieces = [
            b'event: text_delta\ndata: {"text":"%d"}\n\n' % number for number in range(3)
        ]
        server.pieces.append(b"event: done\ndata: {}\n\n")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        path = request.param.replace(" ", "%20")
        yield f"http://127.0.0.1:{server.server_port}{path}", server.read.release
        server.shutdown()
        thread.join()


def expected(gs: ModuleType):
    return [*(gs.events.TextDelta(str(number)) for number in range(3)), gs.events.Done()]


def read_all(gs, response, release):
    found = []
    for event in gs.read_events(response):
        found.append(event)
        release()
    assert found == expected(gs)


async def aread_all(gs, response, release):
    found = []
    async for event in gs.read_events(response):
        found.append(event)
        release()
    assert found == expected(gs)


def test_responses_of_requests_and_urllib_are_read_as_they_come(gs, served):
    url, release = served
    with requests.Session() as session:
        response = session.get(url, stream=True, timeout=10)
        read_all(gs, response, release)
        assert response.raw.closed
    with urllib3.PoolManager() as pool:
        read_all(gs, pool.request("GET", url, preload_content=False, timeout=10), release)
    with urllib.request.urlopen(url, timeout=10) as response:
        read_all(gs, response, release)
        assert response.closed


def test_a_response_that_was_loaded_is_read(gs, served):
    url, release = served
    for _ in range(4 * 2):
        release()
    found = [list(gs.read_events(requests.get(url, timeout=10)))]
    with httpx.Client() as client:
        found.append(list(gs.read_events(client.get(url))))
    assert found == [expected(gs)] * 2


@pytest.mark.skipif("eager" in MODES, reason="anyio knows no eager tasks")
def test_httpx_responses_are_read_as_they_come(gs, run, served):
    url, release = served
    with httpx.Client() as client, client.stream("GET", url) as response:
        read_all(gs, response, release)
        assert response.is_closed

    async def main():
        async with httpx.AsyncClient() as client, client.stream("GET", url) as response:
            await aread_all(gs, response, release)
            assert response.is_closed

    run(main())


def test_aiohttp_responses_are_read_as_they_come(gs, run, served):
    url, release = served

    async def main():
        async with aiohttp.ClientSession() as session:
            response = await session.get(url)
            await aread_all(gs, response, release)
            assert response.closed
            async with session.get(url) as response:
                await aread_all(gs, response.content, release)

    run(main())


def test_a_response_that_is_given_up_is_closed(gs, run, served):
    url, _ = served
    with httpx.Client() as client, client.stream("GET", url) as response:
        with gs.read_events(response) as events:
            assert next(events) == gs.events.TextDelta("0")
        assert response.is_closed

    async def main():
        async with aiohttp.ClientSession() as session:
            response = await session.get(url)
            async with gs.read_events(response) as events:
                assert await anext(events) == gs.events.TextDelta("0")
            assert response.closed

    run(main())
