"""A WSGI request's environ, and whole responses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from ..http.answer import PHRASES, PlainResponse
from ..http.request import MAX_BODY_BYTES, body_too_large

Environ: TypeAlias = dict[str, Any]
StartResponse: TypeAlias = Callable[..., Any]


def start(start_response: StartResponse, status: int, headers: Mapping[str, str]) -> None:
    """Send status and headers."""
    start_response(f"{status} {PHRASES.get(status, 'Status')}", list(headers.items()))


def send_response(start_response: StartResponse, response: PlainResponse) -> list[bytes]:
    """Send the head of a whole response, and return its body."""
    start(start_response, response.status, response.headers)
    return [response.body] if response.body else []


def request_path(environ: Environ) -> str:
    """Return the decoded path, from the server's root."""
    path: str = (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")) or "/"
    return path.encode("latin-1", "replace").decode(errors="replace")


def request_headers(environ: Environ) -> dict[str, str]:
    """Return the headers by their names in lower case."""
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = environ[name]
    return headers


async def read_body(environ: Environ) -> bytes:
    """Read the whole body; without a length its end cannot be known, unless the server tells it."""
    length = environ.get("CONTENT_LENGTH") or ""
    if length.isdigit():
        size = int(length)
        if size > MAX_BODY_BYTES:
            raise body_too_large()
    elif environ.get("wsgi.input_terminated"):
        size = MAX_BODY_BYTES + 1
    else:
        return b""
    body: bytes = environ["wsgi.input"].read(size)
    if len(body) > MAX_BODY_BYTES:
        raise body_too_large()
    return body
