"""The responses of gaistream.asgi as Litestar's ASGIApp, and Litestar's own messages as items.

A handler that is annotated with `ASGIApp` returns one. The policy of Litestar's `CORSConfig`
stands, and its exception handlers answer an HTTPException that a source raises before its first
event. With any dialect a source may yield Litestar's `ServerSentEventMessage` too.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import lru_cache, partial
from typing import Any, Unpack

from .. import asgi
from ..chat import Source
from ..dialects import AnyDialect, Dialect, DialectWriter, find_writable
from ..writing.options import NDJSONOptions, SSEOptions
from ._faces import ASGISettings, needs, no_cors

with needs("Litestar"):
    from litestar.response.sse import ServerSentEventMessage

__all__ = ["NDJSONResponse", "SSEResponse"]


class SSEResponse(asgi.SSEResponse):
    """Server-Sent Events for a source, as an `ASGIApp`.

    A `ServerSentEventMessage` keeps its fields; its lines end in LF whatever its `sep` is, which
    every client reads alike.

    Args:
        source: an async or sync iterable of events.
        options: SSEOptions; None: the defaults.
        settings: the keywords of gaistream.asgi.SSEResponse; `cors` is None.
    """

    def __init__(
        self, source: Source, options: SSEOptions | None = None, **settings: Unpack[ASGISettings]
    ) -> None:
        settings["dialect"] = _with_messages(settings.get("dialect", "gai"))
        super().__init__(source, options, **no_cors(settings))


class NDJSONResponse(asgi.NDJSONResponse):
    """Lines of JSON for a source, as an `ASGIApp`; arguments as SSEResponse, no messages."""

    def __init__(
        self, source: Source, options: NDJSONOptions | None = None, **settings: Unpack[ASGISettings]
    ) -> None:
        super().__init__(source, options, **no_cors(settings))


@lru_cache(maxsize=64)
def _with_messages(dialect: AnyDialect) -> Dialect:
    """Return a dialect that writes Litestar's messages too."""
    extended = copy(find_writable(dialect, "sse"))
    create = extended.writer

    def create_with_messages(format: str, **settings: Any) -> DialectWriter:
        writer = create(format, **settings)
        setattr(writer, "write", partial(_write, writer.write))  # noqa: B010
        return writer

    setattr(extended, "writer", create_with_messages)  # noqa: B010
    return extended


def _write(write: Callable[[Any, Any], None], encoder: Any, item: Any) -> None:
    if not isinstance(item, ServerSentEventMessage):
        write(encoder, item)
        return
    data = str(item.data) if isinstance(item.data, int) else item.data
    number = None if item.id is None else str(item.id)
    encoder.write_frame(data, item.event, id=number, retry=item.retry, comment=item.comment)
