"""A queue that is bounded by bytes: filled from any thread, emptied on one event loop."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from ..core import estimate_size
from ..loops.protocols import Future

MOST_QUEUED: Final = 256 * 1024  # bytes; a larger item is queued when nothing else is

Item = TypeVar("Item")


class ByteQueue(Generic[Item]):
    """A queue that is bounded by bytes.

    Attributes:
        lock: guards the queue; threads that wait for room wait for its notification.
    """

    __slots__ = ("_items", "_size", "_tasks", "lock")

    def __init__(self) -> None:
        self._items: deque[tuple[Item, int]] = deque()  # each with its size
        self._size = 0
        self._tasks: list[Future] = []  # that wait for room
        self.lock = threading.Condition()  # reentrant: the collector may close a channel

    def __bool__(self) -> bool:
        return bool(self._items)

    def append(self, item: Item) -> bool:
        """Append an item, under the lock; return False if there is no room."""
        size = estimate_size(item, MOST_QUEUED)
        if self._size and self._size + size > MOST_QUEUED:
            return False
        self._items.append((item, size))
        self._size += size
        return True

    def popleft(self) -> Item:
        """Return the first item, in the loop."""
        with self.lock:
            item, size = self._items.popleft()
            self._size -= size
            if self._size <= MOST_QUEUED // 2:  # not for each item
                self.lock.notify_all()
        if self._tasks and self._size <= MOST_QUEUED // 2:
            self.wake_tasks()
        return item

    def clear(self) -> None:
        """Drop all items."""
        with self.lock:
            self._items.clear()
            self._size = 0

    async def wait_for_room(self, create_future: Callable[[], Any]) -> None:
        """Wait in a task until there may be room, or `wake_tasks` is called."""
        future = create_future()
        self._tasks.append(future)
        try:
            await future
        finally:
            if future in self._tasks:  # cancelled
                self._tasks.remove(future)

    def wake_tasks(self) -> None:
        """Wake the tasks that wait for room, in the loop."""
        tasks, self._tasks = self._tasks, []
        for future in tasks:
            if not future.done():
                future.set_result(None)
