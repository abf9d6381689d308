"""The request of a test, and the form in which each server interface has it."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote, unquote_to_bytes, urlencode

from ..core import json_bytes
from ..errors import FrameError

RequestHeaders = Mapping[str, str] | Iterable[tuple[str, str]]
Query = str | Mapping[str, str | Sequence[str]] | Sequence[tuple[str, str]]

HOST = "testserver"
_SAFE = "/%:@!$&'()*+,;=~-._"  # of a path that is quoted, or not yet


class Headers(Mapping[str, str]):
    """Headers of a response; names in any case, repeated headers joined by a comma."""

    def __init__(self, lines: Iterable[tuple[str, str]] = ()) -> None:
        self.lines = list(lines)
        self._joined: dict[str, str] = {}
        for name, value in self.lines:
            key = name.lower()
            known = self._joined.get(key)
            self._joined[key] = value if known is None else f"{known}, {value}"

    def __getitem__(self, name: str) -> str:
        return self._joined[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._joined)

    def __len__(self) -> int:
        return len(self._joined)

    def __repr__(self) -> str:
        return f"Headers({self._joined!r})"


class Request:
    """One request; see `gaistream.testing.stream`."""

    def __init__(
        self,
        method: str,
        path: str,
        query: Query | None,
        headers: RequestHeaders | None,
        body: bytes | str | Iterable[bytes],
        json: Any,
    ) -> None:
        if not path.startswith("/"):
            raise FrameError(f"path must begin with '/', not {path!r}")
        if json is not None and body:
            raise FrameError("pass body or json, not both")
        self.method = method.upper()
        path, _, in_path = path.partition("?")
        self.raw_path = quote(path, safe=_SAFE)
        if query is not None and in_path:
            raise FrameError("pass the query in path or as query, not both")
        given = in_path if query is None else query
        self.query = given if isinstance(given, str) else urlencode(given, doseq=True)
        if json is not None:
            body = json_bytes(json)
        if isinstance(body, str):
            body = body.encode()
        parts = [body] if isinstance(body, bytes | bytearray | memoryview) else body
        self.body = [bytes(memoryview(part)) for part in parts]
        pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
        self.headers = self._with_defaults([(name.lower(), value) for name, value in pairs], json)

    def _with_defaults(self, lines: list[tuple[str, str]], json: Any) -> list[tuple[str, str]]:
        defaults = {"host": HOST, "accept": "*/*"}
        size = sum(map(len, self.body))
        if size:
            defaults["content-length"] = str(size)
        if json is not None:
            defaults["content-type"] = "application/json"
        names = {name for name, _ in lines}
        return [each for each in defaults.items() if each[0] not in names] + lines

    def scope(self, more: Mapping[str, Any]) -> dict[str, Any]:
        """Return the scope of ASGI."""
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": unquote(self.raw_path),
            "raw_path": self.raw_path.encode(),
            "query_string": self.query.encode(),
            "root_path": "",
            "headers": [(name.encode("latin-1"), value.encode("latin-1"))
                        for name, value in self.headers],
            "client": ("127.0.0.1", 50000),
            "server": (HOST, 80),
            **more,
        }  # fmt: skip

    def environ(self, more: Mapping[str, Any]) -> dict[str, Any]:
        """Return the environ of WSGI."""
        environ: dict[str, Any] = {
            "REQUEST_METHOD": self.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(self.raw_path).decode("latin-1"),
            "QUERY_STRING": self.query,
            "SERVER_NAME": HOST,
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(b"".join(self.body)),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in self.headers:
            key = name.upper().replace("-", "_")
            if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                key = f"HTTP_{key}"
            joint = "; " if name == "cookie" else ","
            environ[key] = f"{environ[key]}{joint}{value}" if key in environ else value
        return {**environ, **more}
