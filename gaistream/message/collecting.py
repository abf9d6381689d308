"""`collect`: the message of a whole stream of events."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Iterable
from typing import TypeAlias, overload

from ..core import Event
from ..errors import EventError
from .message import Message

Item: TypeAlias = Event | str | None


@overload
def collect(events: AsyncIterable[Item]) -> Awaitable[Message]: ...
@overload
def collect(events: Iterable[Item]) -> Message: ...
def collect(events: AsyncIterable[Item] | Iterable[Item]) -> Message | Awaitable[Message]:
    """Return the message of a stream of events; of an async iterable, an awaitable of it.

    An exception that the iterable raises is raised here; to keep the message up to then, add the
    events to a `Message` yourself. If an event is refused or the task is cancelled, the iterable
    is closed.

    Args:
        events: an async or sync iterable of events; a `str` is a text delta, and None is skipped.

    Raises:
        EventError: `events` is no such iterable, or it yields anything else.
    """
    if isinstance(events, AsyncIterable):
        return _collect_async(events)
    if isinstance(events, str | bytes | dict) or not isinstance(events, Iterable):
        raise EventError(
            f"events must be an iterable or async iterable of events, not {type(events).__name__}"
        )
    message = Message()
    try:
        for event in events:
            message.add(event)
    except BaseException:
        if hasattr(events, "close"):
            events.close()
        raise
    return message


async def _collect_async(events: AsyncIterable[Item]) -> Message:
    message = Message()
    try:
        async for event in events:
            message.add(event)
    except BaseException:
        if hasattr(events, "aclose"):
            await events.aclose()
        raise
    return message
