"""Outboxes for tests, and a source that fills them."""

from __future__ import annotations

import time
from contextvars import copy_context
from types import ModuleType
from typing import Any

from every_name import Permit, Promise, Suspended
from frames import said

MANY = 10**9
TOKEN = said("x")


def outbox_of(gs: ModuleType, **settings: Any) -> Any:
    """Return an open outbox without limits, except for those in the settings."""
    limits = {"at_once": True, "flush_size": MANY, "turn_bytes": MANY, "turn_seconds": 3600.0,
              "most_pending": MANY, "one_by_one": False, **settings}  # fmt: skip
    outbox = gs.core.Outbox(gs.SSEEncoder(), *limits.values())
    outbox.open(Promise, time.monotonic)
    return outbox


def grant(outbox: Any, send: Any, running: str | None = "reader") -> list[tuple[Any, Any]]:
    """Grant a permit, and return the list of the current tasks that are set, with their loops."""
    log: list[tuple[Any, Any]] = []
    outbox.grant(Permit(send, copy_context(), lambda *of: log.append(of) or running))
    return log


async def sent_at_once() -> None:
    pass


async def suspended() -> None:
    await Suspended()


def reader_of(gs: ModuleType, outbox: Any, log: list[Any]) -> Any:
    """Give a reader that writes a token before each of its steps, and notes what it is told."""

    async def reading() -> str:
        try:
            for _ in range(3):
                outbox.accept("x")
                try:
                    await Suspended()
                except LookupError as error:
                    log.append(error)
        finally:
            log.append("ends")
        return "read"

    return gs.core.SourceReader(outbox, reading())
