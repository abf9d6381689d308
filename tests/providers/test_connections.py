"""The client of the gateway: any number of connections, kept; its failures are those of httpx."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import socket
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import uvicorn
from openai_service import QUESTION, Service, collect, provider_of
from openai_streams import DONE, END, START, STOP, body_of, chunk
from required import need_package

from gaistream import StreamError, events
from gaistream.providers import connections
from gaistream.providers.connections import open_client

STREAMS = 130  # more than httpx' own bound on connections


@pytest.fixture(autouse=True)
def _library(http_library: ModuleType, service: Service) -> None:
    """Run each test by httpx and by httpx2."""


@contextlib.asynccontextmanager
async def asking(service: Service, **settings: Any) -> AsyncIterator[Any]:
    """Open a provider on the client, whose connections are aiohttp's."""
    async with open_client("the test") as client:
        assert type(client._transport).__module__ == connections.__name__
        yield provider_of(service, client=client, **settings)


def test_a_connection_is_kept_for_the_next_request(service: Service) -> None:
    service.reply = service.streaming(body_of(chunk(content="a"), STOP, DONE), end="later")

    async def scenario() -> None:
        async with asking(service) as provider:
            for _ in range(3):
                found = await collect(provider.stream_text(QUESTION))
                assert found == [START, events.TextDelta("a"), END[0]]

    asyncio.run(scenario())
    assert len({scope["client"][1] for scope, _ in service.requests}) == 1


def test_more_streams_are_open_than_httpx_allows_and_closed_if_their_readers_stop(
    service: Service,
) -> None:
    service.reply = service.streaming(body_of(chunk(content="a")), end="waits")

    async def scenario() -> None:
        async with asking(service) as provider:
            sources = [provider.stream_text(QUESTION) for _ in range(STREAMS)]
            firsts = await asyncio.gather(*map(anext, sources))
            assert firsts == [START] * STREAMS
            for source in sources:
                await source.aclose()
            assert await asyncio.to_thread(service.gone.wait, 10)
            assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scenario())
    assert len(service.requests) == STREAMS


@pytest.mark.parametrize("when", ["before", "within"])
def test_a_service_that_is_silent_is_given_up(service: Service, when: str) -> None:
    pieces = [body_of(chunk(content="a"))] if when == "within" else []
    service.reply = service.streaming(*pieces, end="waits")
    if when == "before":

        async def reply(send: Any, receive: Any) -> None:
            await service.wait_for_disconnect(send, receive)

        service.reply = reply

    async def scenario() -> None:
        async with asking(service, timeout=0.2) as provider:
            await collect(provider.stream_text(QUESTION))

    with pytest.raises(StreamError, match="did not answer in time") as caught:
        asyncio.run(scenario())
    assert caught.value.status == 504
    assert service.gone.wait(10)


def test_a_slow_stream_has_the_time_out_for_each_piece(service: Service) -> None:
    pieces = [body_of(chunk(content=text)) for text in "abcd"]

    async def reply(send: Any, receive: Any) -> None:
        await send({"type": "http.response.start", "status": 200,
                    "headers": [(b"content-type", b"text/event-stream")]})  # fmt: skip
        for piece in (*pieces, body_of(STOP, DONE)):
            await asyncio.sleep(0.15)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})

    service.reply = reply

    async def scenario() -> list[events.Event]:
        async with asking(service, timeout=0.4) as provider:
            return await collect(provider.stream_text(QUESTION))

    assert asyncio.run(scenario())[-1] == END[0]


def test_a_service_that_breaks_off_or_is_not_there_is_named(service: Service) -> None:
    service.reply = service.streaming(body_of(chunk(content="a")), end="breaks")
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]

    async def scenario() -> None:
        async with asking(service) as provider:
            found = await collect(provider.stream_text(QUESTION))
            assert found[-1] == events.Error("the stream was cut", "truncated")
        for host in ("127.0.0.1", "localhost"):
            async with asking(service, base_url=f"http://{host}:{port}") as provider:
                with pytest.raises(StreamError, match="could not be reached") as caught:
                    await collect(provider.stream_text(QUESTION))
                assert caught.value.code == "provider_unreachable"

    asyncio.run(scenario())


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Path]]:
    """A service over TLS, and the file of the authority that it needs."""
    need_package("trustme")
    import trustme

    home = tmp_path_factory.mktemp("authority")
    signs = trustme.CA()
    issued = signs.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(str(home / "key"))
    issued.cert_chain_pems[0].write_to_path(str(home / "certificate"))
    signs.cert_pem.write_to_path(str(home / "trusted"))
    service = Service()
    service.config.ssl_certfile = str(home / "certificate")
    service.config.ssl_keyfile = str(home / "key")
    service.url = service.url.replace("http:", "https:")
    thread = threading.Thread(target=service.run, args=([service.listener],))
    thread.start()
    assert service.ready.wait(30)
    yield service, home / "trusted"
    service.should_exit = True
    thread.join()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_tls_is_verified(
    secure: tuple[Service, Path], monkeypatch: pytest.MonkeyPatch, loop: str
) -> None:
    need_package(loop)
    service, trusted = secure
    service.requests.clear()
    service.reply = service.streaming(
        body_of(chunk(content="a" * 300_000), STOP, DONE), end="later"
    )

    async def scenario() -> None:
        async with asking(service) as provider:
            with pytest.raises(StreamError, match="could not be reached"):
                await collect(provider.stream_text(QUESTION))
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        async with asking(service) as provider:
            for _ in range(2):
                _, delta, _ = await collect(provider.stream_text(QUESTION))
                assert len(delta.text) == 300_000

    factory = importlib.import_module(loop).new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(scenario())
    assert len({scope["client"][1] for scope, _ in service.requests}) == 1
    assert {scope["scheme"] for scope, _ in service.requests} == {"https"}


def test_an_environment_with_a_proxy_gets_the_librarys_own_connections(
    monkeypatch: pytest.MonkeyPatch, http_library: ModuleType
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    client: Any = open_client("the test")
    pool = client._transport_for_url(http_library.URL("http://example.test"))._pool
    assert "Proxy" in type(pool).__name__
    assert pool._max_connections > STREAMS


def test_without_aiohttp_the_librarys_own_connections_are_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connections._transport_class.cache_clear()
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    client: Any = open_client("the test")
    assert client._transport._pool._max_connections > STREAMS


def test_what_waits_to_be_read_is_bounded(service: Service) -> None:
    sent = 0

    async def reply(send: Any, receive: Any) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200,
                    "headers": [(b"content-type", b"text/event-stream")]})  # fmt: skip
        await send({"type": "http.response.body", "body": body_of(chunk(content="a")),
                    "more_body": True})  # fmt: skip
        with contextlib.suppress(TimeoutError):
            while sent < 100:
                body = body_of(chunk(content="b" * 1_000_000))
                async with asyncio.timeout(1):
                    await send({"type": "http.response.body", "body": body, "more_body": True})
                sent += 1
        await send({"type": "http.response.body"})

    service.reply = reply

    async def scenario() -> None:
        async with asking(service) as provider:
            source = provider.stream_text(QUESTION)
            assert await anext(source) == START
            assert isinstance(await anext(source), events.TextDelta)
            await asyncio.sleep(1.5)  # meanwhile the service sends what is taken
            await source.aclose()

    asyncio.run(scenario())
    assert sent < 30  # MB, most of them in the system's buffers


def test_a_service_that_goes_before_it_answers_has_failed_and_its_cookies_are_not_kept(
    service: Service,
) -> None:
    async def leaves(send: Any, receive: Any) -> None:
        raise ConnectionError

    async def baking(send: Any, receive: Any) -> None:
        await send({"type": "http.response.start", "status": 200,
                    "headers": [(b"content-type", b"text/event-stream"),
                                (b"set-cookie", b"a=1")]})  # fmt: skip
        await send({"type": "http.response.body", "body": body_of(STOP, DONE)})

    async def scenario() -> None:
        async with asking(service) as provider:
            for service.reply in (baking, baking):
                await collect(provider.stream_text(QUESTION))
            service.reply = leaves
            with pytest.raises(StreamError) as caught:
                await collect(provider.stream_text(QUESTION))
            assert caught.value.status in (500, 502)

    asyncio.run(scenario())


def test_the_gateways_server_closes_the_client_when_it_has_shut_down() -> None:
    need_package("click")
    from gaistream.cli.gateway import _Server

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise NotImplementedError

    async def scenario() -> None:
        client = open_client("the test")
        server = _Server(uvicorn.Config(app, lifespan="off", log_config=None), client)
        server.should_exit = True
        with socket.create_server(("127.0.0.1", 0)) as listening:
            await server.serve([listening])
        assert client.is_closed

    asyncio.run(scenario())
