"""A scripted WSGI server for one request, under wsgiref's validator."""

from __future__ import annotations

import gc
import io
import json
import threading
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache, no-store, must-revalidate, no-transform",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
    "Access-Control-Allow-Origin": "*",
}


class Exchange:
    """The server's side of one request."""

    def __init__(self, app: Any, method: str = "GET", body: bytes = b"", **environ: Any) -> None:
        paths = {"SCRIPT_NAME": "", "PATH_INFO": "/", "QUERY_STRING": ""}
        self.environ: dict[str, Any] = {"REQUEST_METHOD": method, **paths, **environ}
        setup_testing_defaults(self.environ)
        self.environ["wsgi.input"] = io.BytesIO(body)
        if body:
            self.environ.setdefault("CONTENT_LENGTH", str(len(body)))
        self.status = ""
        self.headers: dict[str, str] = {}
        self.chunks: list[bytes] = []
        self._result = validator(app)(self.environ, self._start)
        self._iterator = iter(self._result)

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        assert exc_info is None
        assert len({name.lower() for name, _ in headers}) == len(headers)
        self.status, self.headers = status, dict(headers)

    def take(self) -> bytes | None:
        """Return the next chunk, or None at the end."""
        chunk = next(self._iterator, None)
        if chunk is not None:
            self.chunks.append(chunk)
        return chunk

    def read(self) -> Exchange:
        """Take all chunks, and close."""
        while self.take() is not None:
            pass
        return self.close()

    def close(self) -> Exchange:
        """Close as a server does, and collect loops and coroutines that were left open."""
        self._result.close()
        gc.collect()
        return self

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)


class Blocking:
    """A sync source that is not a generator, and counts its closings."""

    def __init__(self, *items: Any) -> None:
        self.items = list(items)
        self.asked = self.closed = 0
        self.threads: set[threading.Thread] = set()

    def __iter__(self) -> Blocking:
        return self

    def __next__(self) -> Any:
        self.asked += 1
        self.threads.add(threading.current_thread())
        if not self.items:
            raise StopIteration
        item = self.items.pop(0)
        if isinstance(item, BaseException):
            raise item
        return item

    def close(self) -> None:
        self.closed += 1


def error_of(exchange: Exchange) -> dict[str, str]:
    assert exchange.headers["Content-Type"] == "application/json"
    assert exchange.headers["Content-Length"] == str(len(exchange.body))
    return json.loads(exchange.body)["error"]
