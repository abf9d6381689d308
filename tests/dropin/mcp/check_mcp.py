"""The MCP SDK over gaistream: calls, progress, cancellation, resumption, and the server's exit."""

from __future__ import annotations

import contextlib
import importlib.metadata
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import ClientSession
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

IS_1 = importlib.metadata.version("mcp").startswith("1.")
TRANSPORTS = ("sse", "streamable-http")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Server:
    """The process of a server."""

    def __init__(self, transport: str) -> None:
        self.transport = transport
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("server.py")), transport],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = f"http://127.0.0.1:{int(self.line())}"

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[ClientSession]:
        if self.transport == "sse":
            client: Any = sse_client(f"{self.url}/sse")
        else:
            client = streamable_http_client(f"{self.url}/mcp")
        async with client as streams, ClientSession(*streams[:2]) as session:
            await session.initialize()
            yield session

    def stop(self) -> float:
        """Return the seconds from SIGTERM until the process has ended."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        return time.monotonic() - began


@contextlib.contextmanager
def served(transport: str) -> Iterator[Server]:
    running = Server(transport)
    yield running
    running.process.kill()
    running.process.wait()


@pytest.fixture(scope="module", params=TRANSPORTS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with served(request.param) as running:
        yield running


@pytest.mark.anyio
async def test_tools_are_listed_and_called(server: Server) -> None:
    async with server.session() as session:
        assert {each.name for each in (await session.list_tools()).tools} >= {"add", "count"}
        for number in range(20):
            answer = await session.call_tool("add", {"a": number, "b": 1})
            assert answer.content[0].text == str(number + 1)


@pytest.mark.anyio
async def test_calls_at_the_same_time_have_their_own_results(server: Server) -> None:
    async with server.session() as session, anyio.create_task_group() as group:

        async def call(number: int) -> None:
            answer = await session.call_tool("add", {"a": number, "b": number})
            assert answer.content[0].text == str(2 * number)

        for number in range(20):
            group.start_soon(call, number)


@pytest.mark.anyio
async def test_progress_comes_in_order(server: Server) -> None:
    reported: list[float] = []

    async def report(progress: float, total: float | None, message: str | None) -> None:
        reported.append(progress)

    async with server.session() as session:
        answer = await session.call_tool("count", {"to": 50}, progress_callback=report)
        assert answer.content[0].text == "counted"
    assert reported == [float(number) for number in range(1, 51)]


@pytest.mark.anyio
async def test_a_call_that_is_cancelled_ends_at_the_server_too(server: Server) -> None:
    async with server.session() as session:
        async with anyio.create_task_group() as group:
            group.start_soon(session.call_tool, "wait", {})
            assert await anyio.to_thread.run_sync(server.line) == "waiting"
            if IS_1:
                await cancel_last(session)
            group.cancel_scope.cancel()
        with anyio.fail_after(10):
            assert await anyio.to_thread.run_sync(server.line) == "cancelled"
        answer = await session.call_tool("add", {"a": 1, "b": 1})
        assert answer.content[0].text == "2"


async def cancel_last(session: ClientSession) -> None:
    """Tell the server of a cancellation, which version 1 leaves to its user."""
    from mcp.types import CancelledNotification, CancelledNotificationParams, ClientNotification

    params = CancelledNotificationParams(requestId=session._request_id - 1)
    notification = CancelledNotification(method="notifications/cancelled", params=params)
    await session.send_notification(ClientNotification(notification))


@pytest.mark.anyio
async def test_a_stream_that_the_server_ends_is_resumed(server: Server) -> None:
    if server.transport == "sse":
        pytest.skip("only streamable HTTP resumes")
    async with server.session() as session:
        with anyio.fail_after(15):
            answer = await session.call_tool("leave", {})
        assert answer.content[0].text == "resumed"


@pytest.mark.anyio
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_server_with_open_streams_exits_within_a_second_of_sigterm(transport: str) -> None:
    seconds = None
    with served(transport) as server:
        with contextlib.suppress(Exception):  # the session's streams have ended meanwhile
            async with server.session() as session:
                await session.call_tool("add", {"a": 1, "b": 1})
                seconds = await anyio.to_thread.run_sync(server.stop)
        assert seconds is not None
        print(f"{transport}: exit after {seconds:.2f} s")
        assert seconds <= 1
        assert server.process.returncode in (0, -signal.SIGTERM)
