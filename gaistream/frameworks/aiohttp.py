"""Streams for aiohttp.web: one that a handler pushes to, and one of a source.

    async with sse_response(request) as stream:    return await sse_response(request, answer())
        await stream.send("Hello")
    return stream

Each runs a response of gaistream.asgi, whose messages are written to aiohttp's own response. An
HTTPException of aiohttp that is raised before the first byte is answered by aiohttp. A client's
leave is seen within a second, and at once if the server runs with `handler_cancellation=True`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator, Mapping
from typing import Any, Unpack

try:
    from aiohttp import web
except ImportError as error:
    raise ImportError(
        "gaistream.frameworks.aiohttp needs aiohttp: pip install aiohttp", name=error.name
    ) from error

from .. import asgi
from ..chat import Source
from ..core import ServerSentEvent
from ..errors import ChannelClosed, FrameTypeError, StreamError
from ..http.answer import APPLICATION_KEY
from ..streaming.channel import Channel
from ..writing.options import NDJSONOptions, SSEOptions
from ._faces import ASGISettings, FrameworkApplication, no_cors

__all__ = ["Stream", "ndjson_response", "sse_response"]

_POLL = 1.0  # seconds between two looks whether the client is still there
_APPLICATION = FrameworkApplication(web.HTTPException)


class Stream(web.StreamResponse):
    """The response of a stream; a handler returns it."""
