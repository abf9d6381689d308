"""gaistream: streams of AI events over HTTP, as Server-Sent Events and NDJSON."""

from . import asgi, events, http, wsgi
from ._backend import (
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
from ._json import json_library
from ._version import __version__
from .chat import ChatRequest, Provider
from .errors import GaistreamError, StreamError
from .ndjson_reader import NDJSONReader
from .options import NDJSONOptions, SSEOptions
from .reader import read_events
from .shutdown import drain, drain_on_signals, draining
from .streams import ndjson, sse
from .writer import NDJSONEncoder, NDJSONWriter, SSEEncoder, SSEWriter, encode_events

__all__ = [
    "ChatRequest",
    "FrameTemplate",
    "GaistreamError",
    "LineSplitter",
    "NDJSONDecoder",
    "NDJSONEncoder",
    "NDJSONOptions",
    "NDJSONReader",
    "NDJSONWriter",
    "Provider",
    "SSEDecoder",
    "SSEEncoder",
    "SSEOptions",
    "SSEWriter",
    "ServerSentEvent",
    "StreamError",
    "__version__",
    "asgi",
    "backend",
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
