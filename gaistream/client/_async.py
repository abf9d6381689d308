"""`AsyncEventSource`: the client's face for asyncio and trio, through httpx and anyio.

It keeps nothing of its own but a connection: what to do is the plan's to say. It may be cancelled
wherever it waits; `aclose` by another task cancels the read that waits, and the iteration ends.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import AsyncGenerator
from typing import Any, Self

import anyio

from ..core import ServerSentEvent
from ..reading.chunks import abody_of
from ._base import LINGER, Source
from ._plan import Verdict
from .http import Excerpt


class AsyncEventSource(Source):
    """`EventSource` with `async with` and `async for`; the same arguments, attributes and errors.

    Belongs to one task, but `aclose` may be called by any of the same event loop.
    """

    _CLIENT = "AsyncClient"

    def _prepare(self) -> None:
        self._chunks: AsyncGenerator[bytes, None] | None = None
        self._scope: anyio.CancelScope | None = None  # of the task that works

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ServerSentEvent:
        plan = self._plan
        if not plan.ready:
            await self._work(until_open=False)
        event = plan.take()
        if event is None:
            raise StopAsyncIteration
        return event

    async def __aenter__(self) -> Self:
        try:
            await self._work(until_open=True)
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Be over: the connection is closed, and an iteration in another task ends at once."""
        self._plan.close()
        if self._scope is not None:
            self._scope.cancel()
        else:
            await self._dispose()

    # ---- the work ----

    async def _work(self, until_open: bool) -> None:
        """Connect, read and wait until an event is ready, or a stream open, or all is over."""
        plan = self._plan
        try:
            with anyio.CancelScope() as self._scope:
                while not plan.ready and plan.state != "closed":
                    if plan.is_due:
                        await self._decide()
                    elif (pause := plan.pause()) > 0:
                        await anyio.sleep(pause)
                    elif self._chunks is None:
                        await self._attempt(self._open)
                    else:
                        await self._attempt(self._read)
                    if until_open and plan.state == "open":
                        return
        except BaseException:
            await self._drop()
            plan.interrupted()
            raise
        finally:
            self._scope = None
            if plan.state == "closed":
                await self._dispose()

    async def _decide(self) -> None:
        notice = self._plan.decide()
        if notice is not None and self._on_reconnect is not None:
            answer = self._on_reconnect(notice)
            if inspect.isawaitable(answer):
                await answer

    async def _attempt(self, step: Any) -> None:
        handled = sys.exception()
        try:
            await step()
        except self._failures as error:
            await self._drop()
            self._failed(error, handled)

    async def _read(self) -> None:
        assert self._chunks is not None
        chunk = await anext(self._chunks, None)
        if chunk is not None:
            self._plan.receive(chunk)
        else:
            await self._drop()
            self._plan.ended()

    async def _open(self) -> None:
        if self._client is None:
            self._client = self._http.AsyncClient(**self._own_settings())
        with anyio.move_on_after(self._open_timeout) as scope, self._asking():
            verdict, why = await self._ask()
        if scope.cancelled_caught:
            await self._drop()
            self._late()
            return
        response: Any = self.response
        if verdict == "open":
            self._chunks = abody_of(response)
        elif verdict == "over":
            await self._drop()
        else:
            excerpt = await Excerpt(response).aread()
            await self._drop()
            status, headers = response.status_code, response.headers
            self._plan.refused(status, headers, excerpt.body, excerpt.size, why)

    async def _ask(self) -> tuple[Verdict, str]:
        """Ask, and follow redirects: the answer is then `response`."""
        request, auth = self._request(), self._auth
        while True:
            response = await self._client.send(
                request, auth=auth, stream=True, follow_redirects=False
            )
            self.response = response
            verdict, following, why = self._judge(response)
            if following is None:
                return verdict, why
            await self._drop()
            request, auth = following, None

    # ---- the connection ----

    async def _drop(self) -> None:
        """Let go of the connection, also if the task was cancelled."""
        chunks, self._chunks = self._chunks, None
        with anyio.CancelScope(shield=True):
            if chunks is not None:
                # A body that ends soon leaves its connection to the caller's client; for any other
                # a cancelled read closes the library's own generators, which trio asks for.
                seconds = LINGER if self._plan.complete else 0
                with contextlib.suppress(*self._failures), anyio.move_on_after(seconds):
                    async for _ in chunks:
                        pass
                await chunks.aclose()
            if self.response is not None:
                await self.response.aclose()

    async def _dispose(self) -> None:
        await self._drop()
        if self._is_own and self._client is not None:
            with anyio.CancelScope(shield=True):
                await self._client.aclose()
