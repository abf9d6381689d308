"""`AsyncEventSource`: the client for asyncio and trio, by httpx and anyio.

It owns the connection and does what its plan decides. It may be cancelled wherever it waits;
`aclose` by another task cancels a read that waits, and the iteration ends.
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
from ..reading.linger import alinger
from ._base import EventSourceBase
from ._plan import Verdict
from .http import Excerpt


class AsyncEventSource(EventSourceBase):
    """`EventSource` with `async with` and `async for`; the same arguments, attributes and errors.

    Belongs to one task, but any task of the same event loop may call `aclose`.
    """

    _CLIENT = "AsyncClient"

    def _prepare(self) -> None:
        self._chunks: AsyncGenerator[bytes, None] | None = None
        self._scope: anyio.CancelScope | None = None  # of the task that runs `_advance`

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ServerSentEvent:
        plan = self._plan
        if not plan.ready:
            await self._advance(until_open=False)
        event = plan.take()
        if event is None:
            raise StopAsyncIteration
        return event

    async def __aenter__(self) -> Self:
        try:
            await self._advance(until_open=True)
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection. An iteration in another task ends at once."""
        self._plan.close()
        if self._scope is not None:
            self._scope.cancel()
        else:
            await self._dispose()

    # ---- steps ----

    async def _advance(self, until_open: bool) -> None:
        """Connect, read and wait until an event is ready, the stream is open or it is closed.

        Args:
            until_open: return as soon as the stream is open.
        """
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
            result = self._on_reconnect(notice)
            if inspect.isawaitable(result):
                await result

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
        with anyio.move_on_after(self._open_timeout) as scope, self._requesting():
            verdict, why = await self._send()
        if scope.cancelled_caught:
            await self._drop()
            self._timed_out()
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

    async def _send(self) -> tuple[Verdict, str]:
        """Send the request and follow redirects. Set `response`, return the verdict and why."""
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
        """Close the connection, even if the task was cancelled."""
        chunks, self._chunks = self._chunks, None
        with anyio.CancelScope(shield=True):
            if chunks is not None:
                if self._plan.complete and not self._is_own:
                    await alinger(self.response, chunks)  # the client may keep the connection
                # A cancelled read closes the library's own generators, as trio demands.
                with contextlib.suppress(*self._failures), anyio.move_on_after(0):
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
