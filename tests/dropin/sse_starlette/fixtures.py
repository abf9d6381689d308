"""What sse-starlette's own tests lack in its source distribution: their fixtures.

They run against gaistream's package under the name `sse_starlette`.
"""

from __future__ import annotations

import contextlib
import sys
import types
from collections.abc import AsyncIterator, Iterator

import anyio
import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

import gaistream
from gaistream.frameworks import sse_starlette

sse_starlette.install()

from sse_starlette.sse import AppStatus, EventSourceResponse, logger


@contextlib.contextmanager
def collapse_excgroups() -> Iterator[None]:
    """Raise the only exception of a group in its place."""
    try:
        yield
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        raise error from None


# a module of theirs that is missing too
compat = types.ModuleType("tests.anyio_compat")
compat.collapse_excgroups = collapse_excgroups  # type: ignore[attr-defined]
sys.modules["tests.anyio_compat"] = compat


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def reset_shutdown_state(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Serve again after each test; let tests replace the private method that some of them do."""
    assert gaistream.backend == "native"
    monkeypatch.setattr(EventSourceResponse, "_listen_for_exit_signal", None, raising=False)
    yield
    AppStatus.should_exit = False
    AppStatus.enable_automatic_graceful_drain = True


async def _endless(request: Request) -> EventSourceResponse:
    async def numbers() -> AsyncIterator[dict[str, int]]:
        number = 0
        try:
            while True:
                number += 1
                yield {"data": number}
                await anyio.sleep(0.1)
        finally:
            logger.info("Disconnected from client %s", request.client)

    return EventSourceResponse(numbers())


@pytest.fixture
async def httpx_client() -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=Starlette(routes=[Route("/endless", _endless)]))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client
