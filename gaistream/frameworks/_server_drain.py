"""Shared by the server classes: the length of a grace, and connections that outlive it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from ..streaming.drain import check_drain
from ..streaming.open_streams import LAST_SEND, Drain
from ..streaming.server_signals import DEFAULT_GRACE

_POLL = 0.1  # seconds; a second drain may shorten the grace meanwhile


def grace_within(grace: float, *limits: float) -> float:
    """Return the grace, shortened so that the last sends end before the server's own limits.

    Args:
        grace: seconds.
        limits: seconds after which the server cuts.
    """
    return min(grace, *(max(each - LAST_SEND, each / 2) for each in limits))


async def grace_over(drain: Drain) -> None:
    """Wait until the grace of a drain is over, whether its streams have ended or not."""
    loop = asyncio.get_running_loop()
    while (left := drain.ends_at - loop.time()) > 0:  # noqa: ASYNC110 (it may move)
        await asyncio.sleep(min(left, _POLL))


async def abort_unread(
    drain: Drain, transports: Callable[[], Iterable[asyncio.WriteTransport]]
) -> None:
    """Abort closing transports whose clients take nothing, from the end of the grace on.

    The server has closed these and waits for their clients to take what was sent. A transport is
    aborted if it still holds as many bytes as a second before, so a client that is only slow may
    read on. Runs until it is cancelled.

    Args:
        drain: the drain that was begun with the server's shutdown.
        transports: returns those of the open connections.
    """
    await grace_over(drain)
    before: dict[asyncio.WriteTransport, int] = {}
    while True:
        held = {each: each.get_write_buffer_size() for each in transports()}
        for transport, size in held.items():
            if transport.is_closing() and before.get(transport) == size:
                transport.abort()
        before = held
        await asyncio.sleep(LAST_SEND + _POLL)


class DrainingWorker:
    """Mixin of gunicorn's workers: the settings of their drain, checked before they are forked.

    Attributes:
        grace: seconds, as `gaistream.drain` takes them.
        retry_ms: milliseconds, as `gaistream.drain` takes them.
    """

    grace: float = DEFAULT_GRACE
    retry_ms: int | None = None
    cfg: Any
    _overridden: ClassVar[tuple[str, ...]] = ()  # undocumented methods that the base must have

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        check_drain(self.grace, self.retry_ms)
        for name in self._overridden:
            if not hasattr(super(), name):
                raise RuntimeError(
                    f"{type(self).__name__} of gaistream overrides {name}, which the installed "
                    "version of the worker does not have"
                )
        super().__init__(*args, **kwargs)

    def _allowed_grace(self) -> float:
        """Return the grace that fits into --graceful-timeout, and --timeout if there is one."""
        limits = [self.cfg.graceful_timeout]
        if self.cfg.timeout:
            limits.append(self.cfg.timeout)
        # a worker notices only once a second that it must stop
        return grace_within(self.grace, *(max(each - 1, 0) for each in limits))
