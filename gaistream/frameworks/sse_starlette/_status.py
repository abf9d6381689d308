"""`AppStatus`: the switch that ends the streams of a process, and what it does at signals.

Nothing of uvicorn is replaced: at SIGTERM and SIGINT the streams end by gaistream's own drain, on
any server. `should_exit` ends them too, at once and on every event loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from ...streaming.drain import draining


class Exitable(Protocol):
    """An open stream."""

    def exit_soon(self) -> None:
        """Begin its end; called from any thread."""


open_here: Final[set[Exitable]] = set()  # the open streams of the process
_exits = False


class _Switch(type):
    enable_automatic_graceful_drain: bool

    @property
    def should_exit(cls) -> bool:
        """True if the streams end: it was set, or they are drained (for a source that asks)."""
        return _exits or (cls.enable_automatic_graceful_drain and draining())

    @should_exit.setter
    def should_exit(cls, value: bool) -> None:
        global _exits
        _exits = bool(value)
        if _exits:
            for stream in list(open_here):
                stream.exit_soon()

    @should_exit.deleter
    def should_exit(cls) -> None:  # as monkeypatch undoes a change
        global _exits
        _exits = False


class AppStatus(metaclass=_Switch):
    """Ends the streams of the process.

    Attributes:
        should_exit: set to True to end all streams of EventSourceResponse, on every loop; new ones
            end at once. Set to False to serve again. It is also True while the streams of the
            running loop are drained.
        enable_automatic_graceful_drain: False if SIGTERM and SIGINT do not end the streams.
        should_exit_event: accepted, and set by `handle_exit`, as in versions before 3.
        original_handler: called by `handle_exit`; None, since no handler is replaced.
    """

    enable_automatic_graceful_drain = True
    should_exit_event: Any = None
    original_handler: Callable[..., Any] | None = None

    @staticmethod
    def disable_automatic_graceful_drain() -> None:
        """Stop ending the streams at SIGTERM and SIGINT; you must then set `should_exit`."""
        AppStatus.enable_automatic_graceful_drain = False

    @staticmethod
    def enable_automatic_graceful_drain_mode() -> None:
        """End the streams at SIGTERM and SIGINT again."""
        AppStatus.enable_automatic_graceful_drain = True

    @staticmethod
    def handle_exit(*args: Any, **kwargs: Any) -> None:
        """Set `should_exit`, unless that is disabled, and call `original_handler`."""
        if AppStatus.enable_automatic_graceful_drain:
            AppStatus.should_exit = True
            if AppStatus.should_exit_event is not None:
                AppStatus.should_exit_event.set()
        if AppStatus.original_handler is not None:
            AppStatus.original_handler(*args, **kwargs)
