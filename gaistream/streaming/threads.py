"""The public bounds of the helper threads that blocking sources run in."""

from __future__ import annotations

from ..core import checked_int
from ..loops.helper_threads import helper_threads

__all__ = ["blocking_threads"]


def blocking_threads(abandoned: int = 64, total: int = 1000) -> None:
    """Set how many helper threads blocking sources may hold in this process.

    A sync source runs in a helper thread under ASGI, and under WSGI with `helper_thread=True`. If
    its client leaves, it keeps its thread until it next yields. A source that would exceed either
    bound is refused with a StreamError: its response is a 503 with the code "too_many_streams" and
    `Retry-After`. Threads that already run are not affected.

    Args:
        abandoned: how many threads may still run for streams that have ended, at least 1.
        total: how many helper threads may run, at least 1.

    Raises:
        FrameError: a bound is less than 1 (FrameTypeError if it is no int).
    """
    abandoned = checked_int("abandoned", abandoned, 1, 2**31, "threads")
    total = checked_int("total", total, 1, 2**31, "threads")
    helper_threads.abandoned_limit = abandoned
    helper_threads.limit = total
