"""A proxy that cuts its connections at any byte, by an end or a reset, with TLS through it too."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from real_servers import SECONDS, listen, serve_uvicorn
from required import need_package

import gaistream
from gaistream import ServerSentEvent, asgi
from gaistream.client import ReconnectPolicy, aconnect_sse, connect_sse

FAST = ReconnectPolicy(initial_delay=0.001, max_delay=0.002, max_attempts=5)
WHOLE = [f"event {number}" for number in range(6)]
END = 100  # bytes, at least, of the last event, whose cut is nobody's loss


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer from Last-Event-ID on, each event in its own send."""

    async def source(last: int) -> AsyncIterator[Any]:
        for number in range(last + 1, len(WHOLE)):
            yield ServerSentEvent(WHOLE[number], id=str(number), retry=1)
            await asyncio.sleep(0)

    last = int(gaistream.http.last_event_id(scope) or -1)
    await asgi.SSEResponse(source(last))(scope, receive, send)


class Proxy:
    """Passes connections on, and cuts the first ones after a number of bytes of the answer."""

    def __init__(self, listening: socket.socket, server: tuple[str, int]) -> None:
        self._listening, self._server = listening, server
        self._threads: list[threading.Thread] = []
        self.cuts: list[tuple[int, bool]] = []
        self.passed = 0  # bytes of the last answer
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                left, resets = self.cuts.pop(0) if self.cuts else (-1, False)
                server = socket.create_connection(self._server, SECONDS)
                client.settimeout(SECONDS)
                ends = threading.Barrier(2)
                for call, *arguments in (
                    (self._ask, client, server, ends),
                    (self._answer, server, client, left, resets, ends),
                ):
                    thread = threading.Thread(target=call, args=arguments, daemon=True)
                    thread.start()
                    self._threads.append(thread)

    def _ask(self, client: socket.socket, server: socket.socket, ends: threading.Barrier) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                server.sendall(data)
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        ends.wait(SECONDS)

    def _answer(
        self,
        server: socket.socket,
        client: socket.socket,
        left: int,
        resets: bool,
        ends: threading.Barrier,
    ) -> None:
        self.passed = 0
        with contextlib.suppress(OSError):
            while left and (data := server.recv(left if left > 0 else 65536)):
                client.sendall(data)
                self.passed += len(data)
                left -= len(data) if left > 0 else 0
        with contextlib.suppress(OSError):
            # what ends the other thread's read; a socket is reset once nobody uses it
            client.shutdown(socket.SHUT_RD if resets else socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        ends.wait(SECONDS)
        if resets:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        server.close()

    def stop(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        for thread in (self._thread, *self._threads):
            thread.join(SECONDS)
            assert not thread.is_alive()


@contextlib.contextmanager
def proxied(**secure: Any) -> Iterator[tuple[Proxy, str]]:
    with serve_uvicorn(app, "h11", "asyncio", **secure) as server, listen() as listening:
        listening.settimeout(None)
        proxy = Proxy(listening, server.address)
        scheme = "https" if secure else "http"
        try:
            yield proxy, f"{scheme}://127.0.0.1:{listening.getsockname()[1]}/"
        finally:
            proxy.stop()


def read(url: str) -> list[str]:
    with connect_sse(url, reconnect=FAST) as events:
        return [event.data for event in events]


def aread(url: str) -> list[str]:
    async def reading() -> list[str]:
        async with aconnect_sse(url, reconnect=FAST) as events:
            return [event.data async for event in events]

    return asyncio.run(reading())


@pytest.mark.parametrize("face", [read, aread])
@pytest.mark.parametrize("resets", [False, True])
def test_nothing_is_lost_or_doubled_if_a_proxy_cuts_an_answer(
    face: Callable[[str], list[str]], resets: bool
) -> None:
    with proxied() as (proxy, url):
        assert face(url)[:-1] == WHOLE
        for position in range(0, proxy.passed - END, 29):
            proxy.cuts = [(position, resets), (position // 2, resets)]
            assert face(url)[:-1] == WHOLE, f"cut after {position} bytes"
            assert not proxy.cuts


@pytest.mark.parametrize("face", [read, aread])
@pytest.mark.parametrize("resets", [False, True])
def test_nothing_is_lost_or_doubled_if_a_proxy_cuts_tls(
    face: Callable[[str], list[str]],
    resets: bool,
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    need_package("trustme")
    import trustme

    signs = trustme.CA()
    issued = signs.issue_cert("127.0.0.1")
    files = {name: str(tmp_path / name) for name in ("ssl_keyfile", "ssl_certfile")}
    issued.private_key_pem.write_to_path(files["ssl_keyfile"])
    issued.cert_chain_pems[0].write_to_path(files["ssl_certfile"])
    signs.cert_pem.write_to_path(str(tmp_path / "trusted"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "trusted"))
    with proxied(**files) as (proxy, url):
        assert face(url)[:-1] == WHOLE
        for position in range(100, proxy.passed - END, 197):
            proxy.cuts = [(position, resets)]
            assert face(url)[:-1] == WHOLE, f"cut after {position} bytes"
            assert not proxy.cuts
