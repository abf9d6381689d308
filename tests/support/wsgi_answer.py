"""The answer of a WSGI app, without a server."""

from __future__ import annotations

from typing import Any


def ask_wsgi(app: Any, path: str = "/chat") -> tuple[str, bytes]:
    """Return the status line and the whole body."""
    told: list[str] = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path}
    body = b"".join(app(environ, lambda status, _: told.append(status)))
    return told[0], body
