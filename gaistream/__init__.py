"""gaistream: streams of AI events over HTTP, as Server-Sent Events and NDJSON.

Importing the package loads the core and nothing else: no event loop, no JSON library, no HTTP. A
name beyond the core loads its module when it is first used; `from gaistream import sse` at the top
of a program does that while it starts, not in its first request.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__
from .core import (
    FrameTemplate,
    LineSplitter,
    NDJSONDecoder,
    ServerSentEvent,
    SSEDecoder,
    backend,
    encode_comment,
    encode_ndjson,
    encode_ndjson_lines,
    encode_sse,
    encode_sse_into,
)
from .errors import ChannelClosed, ChannelFull, GaistreamError, StreamError

if TYPE_CHECKING:
    from . import asgi, events, http, wsgi
    from .chat import ChatRequest, Provider, Source, SourceItem
    from .core.json import json_library
    from .message import Message, collect
    from .reading.events import read_events
    from .reading.ndjson import NDJSONReader
    from .streaming.channel import Channel
    from .streaming.drain import drain, drain_on_signals, draining
    from .streaming.iterators import ndjson, sse
    from .streaming.outcome import Outcome
    from .streaming.server_signals import automatic_drain
    from .streaming.threads import blocking_threads
    from .writing.encoder import NDJSONEncoder, SSEEncoder
    from .writing.formats import encode_events
    from .writing.options import NDJSONOptions, SSEOptions
    from .writing.writer import NDJSONWriter, SSEWriter

__all__ = [
    "Channel",
    "ChannelClosed",
    "ChannelFull",
    "ChatRequest",
    "FrameTemplate",
    "GaistreamError",
    "LineSplitter",
    "Message",
    "NDJSONDecoder",
    "NDJSONEncoder",
    "NDJSONOptions",
    "NDJSONReader",
    "NDJSONWriter",
    "Outcome",
    "Provider",
    "SSEDecoder",
    "SSEEncoder",
    "SSEOptions",
    "SSEWriter",
    "ServerSentEvent",
    "Source",
    "SourceItem",
    "StreamError",
    "__version__",
    "asgi",
    "automatic_drain",
    "backend",
    "blocking_threads",
    "collect",
    "drain",
    "drain_on_signals",
    "draining",
    "encode_comment",
    "encode_events",
    "encode_ndjson",
    "encode_ndjson_lines",
    "encode_sse",
    "encode_sse_into",
    "events",
    "http",
    "json_library",
    "ndjson",
    "read_events",
    "sse",
    "wsgi",
]

_MODULES = {  # of the names that are imported when they are first used; a module is its own
    "Channel": "streaming.channel",
    "ChatRequest": "chat",
    "Message": "message",
    "NDJSONEncoder": "writing.encoder",
    "NDJSONOptions": "writing.options",
    "NDJSONReader": "reading.ndjson",
    "NDJSONWriter": "writing.writer",
    "Outcome": "streaming.outcome",
    "Provider": "chat",
    "SSEEncoder": "writing.encoder",
    "SSEOptions": "writing.options",
    "SSEWriter": "writing.writer",
    "Source": "chat",
    "SourceItem": "chat",
    "asgi": "asgi",
    "automatic_drain": "streaming.server_signals",
    "blocking_threads": "streaming.threads",
    "collect": "message",
    "drain": "streaming.drain",
    "drain_on_signals": "streaming.drain",
    "draining": "streaming.drain",
    "encode_events": "writing.formats",
    "events": "events",
    "http": "http",
    "json_library": "core.json",
    "ndjson": "streaming.iterators",
    "read_events": "reading.events",
    "sse": "streaming.iterators",
    "wsgi": "wsgi",
}


if not TYPE_CHECKING:  # else any misspelt name would pass for one of these

    def __getattr__(name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = import_module(f"{__name__}.{_MODULES[name]}")
        value = module if _MODULES[name] == name else getattr(module, name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
