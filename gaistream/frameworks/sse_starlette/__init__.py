"""The package `sse_starlette` on gaistream's engine: the same names, behaviour and bytes.

Change the import, or call `install()` once, before anything imports sse-starlette: packages that
depend on it then use this one, unchanged. Made after sse-starlette 3.7.0.
"""

from __future__ import annotations

from ._install import install
from .event import JSONServerSentEvent, ServerSentEvent
from .sse import EventSourceResponse

__all__ = ["EventSourceResponse", "JSONServerSentEvent", "ServerSentEvent", "install"]
__version__ = "3.7.0"  # of the sse-starlette that it stands in for
