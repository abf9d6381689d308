"""The streams in threads that a test runs: their virtual time, and the registry of their drains."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ..streaming import thread_streams
from ..streaming.open_streams import OpenStream
from .virtual_time import VirtualTime, recorder


class ThreadsUnderTest:
    """The streams in threads, while tests run some: their time, and the registry of their drains.

    Its registry replaces that of the process until the last of them is left.

    Attributes:
        time: of the drains, and of the event loops that responses run.
        registry: the open streams.
        users: how many tests' streams use it.
    """

    current: ThreadsUnderTest | None = None

    def __init__(self) -> None:
        self.time = VirtualTime()
        self.registry = _RecordedThreadStreams(_Timer(self))
        self._before = thread_streams.in_threads
        self.users = 0

    @classmethod
    def enter(cls) -> ThreadsUnderTest:
        """Return the current one, or begin one."""
        known = cls.current
        if known is None:
            known = cls.current = cls()
            thread_streams.in_threads = known.registry
        known.users += 1
        return known

    def leave(self) -> None:
        """End it, if nobody else uses it."""
        self.users -= 1
        if not self.users:
            type(self).current = None
            thread_streams.in_threads = self._before


class _Timer:
    """The time of the drains of streams in threads."""

    def __init__(self, threads: ThreadsUnderTest) -> None:
        self._threads = threads
        self.time = threads.time.time
        self.create_event = threading.Event

    def call_at(self, when: float, callback: Callable[[], None]) -> Any:
        threads = self._threads

        def post(call: Callable[[], None]) -> None:
            with threads.registry.lock:
                call()

        return threads.time.call_at(post, when, callback)


class _RecordedThreadStreams(thread_streams.ThreadStreams):
    def enter(self, stream: OpenStream, *, was_open: bool = False) -> None:
        known = recorder.get()
        if known is not None:
            known.stream_entered(stream)
        super().enter(stream, was_open=was_open)

    def leave(self, stream: OpenStream) -> None:
        known = recorder.get()
        if known is not None:
            known.stream_left(stream)
        super().leave(stream)
