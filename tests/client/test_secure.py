"""The client over TLS, over HTTP/2, and with a server that sends only heartbeats: all real."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from real_servers import SECONDS, listen, open_files, serve_uvicorn, until
from required import need_package

from gaistream import SSEOptions, asgi
from gaistream.client import (
    ConnectionLost,
    Reconnecting,
    ReconnectPolicy,
    aconnect_sse,
    connect_sse,
)

ONCE = ReconnectPolicy(max_attempts=0)


class App:
    """Streams `hello` on each path, then heartbeats, until `tell`: then `more`."""

    def __init__(self, heartbeat: float | None) -> None:
        self._options = SSEOptions(heartbeat_interval=heartbeat)
        self.loop: Any = None
        self.go_on: dict[str, asyncio.Event] = {}
        self.outcomes: list[str] = []
        self.heartbeats = 0

    async def _source(self, path: str) -> AsyncIterator[str]:
        yield "hello"
        await self.go_on[path].wait()
        yield "more"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        self.loop = asyncio.get_running_loop()
        self.go_on[scope["path"]] = asyncio.Event()

        async def counted(message: Any) -> None:
            self.heartbeats += b": keep-alive" in message.get("body", b"")
            await send(message)

        source = self._source(scope["path"])
        response = asgi.SSEResponse(source, self._options, on_close=self._on_close)
        await response(scope, receive, counted)

    def _on_close(self, outcome: Any) -> None:
        self.outcomes.append(outcome.kind)

    def tell(self, path: str) -> None:
        self.loop.call_soon_threadsafe(self.go_on[path].set)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder of files: the `certificate` of this machine, its `key`, its CA in `trusted`."""
    need_package("trustme")
    import trustme

    home = tmp_path_factory.mktemp("authority")
    signs = trustme.CA()
    issued = signs.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(str(home / "key"))
    issued.cert_chain_pems[0].write_to_path(str(home / "certificate"))
    signs.cert_pem.write_to_path(str(home / "trusted"))
    return home


@contextlib.contextmanager
def serve_hypercorn(app: Any, authority: Path) -> Iterator[str]:
    """Serve by hypercorn in a thread, over TLS, by which a client may choose HTTP/2."""
    need_package("hypercorn")
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config, stop, loop = Config(), asyncio.Event(), asyncio.new_event_loop()
    config.certfile, config.keyfile = str(authority / "certificate"), str(authority / "key")
    config.graceful_timeout, config.loglevel = 0.2, "CRITICAL"
    with listen() as listening, contextlib.closing(loop):
        listening.settimeout(None)
        config.bind = [f"fd://{listening.detach()}"]
        port: list[int] = []
        config.create_sockets, make = (  # type: ignore[method-assign]
            lambda: _noted(make(), port),
            config.create_sockets,
        )
        main = serve(app, config, shutdown_trigger=stop.wait)
        thread = threading.Thread(target=loop.run_until_complete, args=(main,), daemon=True)
        thread.start()
        until(lambda: bool(port))
        try:
            yield f"https://127.0.0.1:{port[0]}"
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(SECONDS)
            assert not thread.is_alive()


def _noted(sockets: Any, port: list[int]) -> Any:
    port.append(sockets.secure_sockets[0].getsockname()[1])
    return sockets


def closed_meanwhile(events: Any) -> list[str]:
    """Read to the end while another thread closes the stream; fail if the end does not come."""
    received: list[str] = []
    reading = threading.Thread(target=lambda: received.extend(each.data for each in events))
    reading.start()
    closing = threading.Timer(0.05, events.close)
    closing.start()
    reading.join(SECONDS)
    assert not reading.is_alive()
    closing.join()
    return received


@pytest.mark.parametrize("own", [True, False])
def test_another_thread_closes_a_read_that_blocks_over_tls(
    authority: Path, monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "trusted"))
    app = App(None)
    secure = {"ssl_certfile": authority / "certificate", "ssl_keyfile": authority / "key"}
    before = open_files()
    with serve_uvicorn(app, "h11", "asyncio", **secure) as server, contextlib.ExitStack() as stack:
        client = None if own else stack.enter_context(httpx.Client())
        url = server.url.replace("http:", "https:")
        with connect_sse(url, client=client, read_timeout=None, reconnect=ONCE) as events:
            assert next(events).json() == {"text": "hello"}
            assert closed_meanwhile(events) == []
            assert events.state == "closed"
        if client is not None:  # the caller's client makes a new connection, and works on
            with connect_sse(f"{url}/again", client=client) as events:
                assert next(events).json() == {"text": "hello"}
        until(lambda: server.tasks() == 0)
        assert set(app.outcomes) == {"client_gone"}
    until(lambda: open_files() <= before)


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
@pytest.mark.parametrize("face", ["sync", "asyncio", "trio"])
def test_a_certificate_that_cannot_be_verified_is_final(
    authority: Path, monkeypatch: pytest.MonkeyPatch, library: str, face: str
) -> None:
    need_package(library)
    monkeypatch.setitem(sys.modules, {"httpx": "httpx2", "httpx2": "httpx"}[library], None)
    notices: list[Reconnecting] = []
    policy = ReconnectPolicy(initial_delay=0.001, max_attempts=1)
    named: dict[str, Any] = {"reconnect": policy, "on_reconnect": notices.append}

    async def aread(url: str) -> None:
        async with aconnect_sse(url, **named):
            pass

    secure = {"ssl_certfile": authority / "certificate", "ssl_keyfile": authority / "key"}
    with serve_uvicorn(App(None), "h11", "asyncio", **secure) as server:
        url = server.url.replace("http:", "https:")
        with pytest.raises(ConnectionLost, match="CERTIFICATE_VERIFY_FAILED"):
            if face == "sync":
                connect_sse(url, **named).__enter__()
            elif face == "asyncio":
                asyncio.run(aread(url))
            else:
                trio.run(aread, url)
    assert notices == []


def test_over_http2_a_close_from_another_thread_waits_for_the_next_byte_only(
    authority: Path,
) -> None:
    trusting = ssl.create_default_context(cafile=str(authority / "trusted"))
    app, http2 = App(0.05), httpx.Client(http2=True, verify=trusting)
    with serve_hypercorn(app, authority) as url, http2 as client:
        named: dict[str, Any] = {"client": client, "read_timeout": SECONDS, "reconnect": ONCE}
        with connect_sse(f"{url}/other", **named) as other:
            assert next(other).json() == {"text": "hello"}
            assert other.response is not None
            assert other.response.http_version == "HTTP/2"
            with connect_sse(f"{url}/closed", **named) as events:
                assert next(events).json() == {"text": "hello"}
                assert closed_meanwhile(events) == []
                assert events.state == "closed"
            app.tell("/other")
            assert [each.event for each in other] == ["text_delta", "done"]


def test_over_http2_another_task_closes_a_read_at_once(
    authority: Path,
) -> None:
    trusting = ssl.create_default_context(cafile=str(authority / "trusted"))
    app = App(None)

    async def main(url: str) -> None:
        named: dict[str, Any] = {"read_timeout": None, "reconnect": ONCE}
        async with (
            httpx.AsyncClient(http2=True, verify=trusting) as client,
            aconnect_sse(f"{url}/other", client=client, **named) as other,
        ):
            assert (await anext(other)).json() == {"text": "hello"}
            async with aconnect_sse(f"{url}/closed", client=client, **named) as events:
                assert (await anext(events)).json() == {"text": "hello"}
                task = asyncio.ensure_future(anext(events, None))
                await asyncio.sleep(0.01)
                await events.aclose()
                assert await task is None
            app.tell("/other")
            assert [each.event async for each in other] == ["text_delta", "done"]

    with serve_hypercorn(app, authority) as url:
        asyncio.run(asyncio.wait_for(main(url), SECONDS))


def _read(url: str, then: Callable[[], None], **named: Any) -> list[str]:
    with connect_sse(url, **named) as events:
        next(events)
        then()
        return [each.event for each in events]


def _aread(url: str, then: Callable[[], None], **named: Any) -> list[str]:
    async def main() -> list[str]:
        async with aconnect_sse(url, **named) as events:
            await anext(events)
            waiting = asyncio.ensure_future(asyncio.to_thread(then))
            found = [each.event async for each in events]
            await waiting
            return found

    return asyncio.run(main())


@pytest.mark.parametrize("face", [_read, _aread])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_heartbeats_keep_a_stream_alive_beyond_the_read_timeout(
    face: Callable[..., list[str]], loop: str
) -> None:
    need_package(loop)
    app = App(0.05)
    timeout = 0.5

    def wait_for_heartbeats() -> None:  # for three times as long as a read may take
        def go_on() -> None:
            until(lambda: app.heartbeats * 0.05 > 3 * timeout)
            app.tell("/")

        threading.Thread(target=go_on).start()

    with serve_uvicorn(app, "h11", loop) as server:
        found = face(server.url, wait_for_heartbeats, read_timeout=timeout, reconnect=ONCE)
        assert found == ["text_delta", "done"]
        until(lambda: len(app.outcomes) == 1)
