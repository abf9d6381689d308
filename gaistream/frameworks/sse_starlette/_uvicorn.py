"""A uvicorn that stops without a signal, as test harnesses and programs that embed it stop it.

uvicorn tells no stream of that. So while an event loop of the main thread has open streams, one
timer looks twice a second at the server whose handler of SIGTERM is set. At a signal, and in any
other drain, this does nothing.
"""

from __future__ import annotations

import signal
import threading
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

from ...loops.protocols import EventLoop
from ...streaming.clock import clock
from ...streaming.open_streams import open_streams
from ...streaming.signals import ChainedSignals, get_handler
from ._status import AppStatus

_INTERVAL: Final = 0.5  # seconds
_SIGTERM: Final = int(signal.SIGTERM)


class Exitable(Protocol):
    """An open stream."""

    def exit(self) -> None:
        """Begin its end."""


class _Watcher:
    due: float | None = None  # the clock's

    def __init__(self) -> None:
        self.streams: set[Exitable] = set()

    def tick(self, now: float) -> float | None:  # noqa: ARG002
        """End the streams if the server stops."""
        if _server_stops() and open_streams().draining is None:
            for stream in list(self.streams):
                stream.exit()
        return _INTERVAL


_watchers: WeakKeyDictionary[EventLoop, _Watcher] = WeakKeyDictionary()


def watch(stream: Exitable, loop: EventLoop) -> None:
    """End a stream of the running loop if its uvicorn stops."""
    if threading.current_thread() is not threading.main_thread():
        return  # it has no handlers
    watcher = _watchers.get(loop)
    if watcher is None:
        watcher = _watchers[loop] = _Watcher()
    watcher.streams.add(stream)
    if watcher.due is None:
        clock().call(watcher, _INTERVAL)


def unwatch(stream: Exitable, loop: EventLoop) -> None:
    """Stop: the stream has ended."""
    watcher = _watchers.get(loop)
    if watcher is not None:
        watcher.streams.discard(stream)
        if not watcher.streams:
            clock().forget(watcher)


def _server_stops() -> bool:
    if not AppStatus.enable_automatic_graceful_drain:
        return False
    owner: Any = getattr(get_handler(_SIGTERM), "__self__", None)
    while isinstance(owner, ChainedSignals):
        owner = getattr(owner.before.get(_SIGTERM), "__self__", None)
    return getattr(owner, "should_exit", False) is True
