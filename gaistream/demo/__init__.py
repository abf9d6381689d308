"""The demo: a chat page that shows a stream as it arrives, and its server.

Needs the extra `demo` (Starlette and uvicorn); nothing else in gaistream imports this package
but the command `gaistream demo`.
"""

from .app import create_app, serve

__all__ = ["create_app", "serve"]
