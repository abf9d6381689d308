"""Shared by the client, the providers and the commands: httpx or httpx2, URLs, refused responses.

Either library serves. It is imported when it is first needed.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import time
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from ..errors import ContentEncodingError
from ..http.content_coding import unasked_coding
from ..reading.chunks import abody_of, body_of
from ..reading.responses import EXCERPT_BYTES, REFUSED_BYTES, REFUSED_SECONDS

if TYPE_CHECKING:
    import httpx

_LIBRARIES = ("httpx", "httpx2")


def http_library(needed_by: str, *objects: object) -> Any:
    """Return the module httpx or httpx2: that of the given objects, else the installed one.

    Args:
        needed_by: what needs it, for the error.
        objects: a client or an auth of the caller; objects of other packages do not count. httpx is
            preferred if both are installed.

    Raises:
        ImportError: neither is installed.
    """
    for each in objects:
        for base in type(each).__mro__:
            if (name := base.__module__.partition(".")[0]) in _LIBRARIES:
                return sys.modules[name]
    for name in _LIBRARIES:
        with contextlib.suppress(ModuleNotFoundError):
            return importlib.import_module(name)
    raise ModuleNotFoundError(
        f"{needed_by} needs httpx or httpx2: pip install 'gaistream[httpx]' (or [httpx2])",
        name="httpx",
    )


def check_url(library: Any, name: str, url: Any, client: Any = None) -> Any:
    """Return a URL as an object of the library.

    Args:
        library: httpx or httpx2.
        name: the argument's name, for the error.
        url: str, or a URL of the library.
        client: a client of the library; `url` may be relative to its `base_url`.

    Raises:
        ValueError: not an http or https URL with a host. The message holds no password or query.
    """
    try:
        parsed = library.URL(url)
        whole = parsed if client is None else client._merge_url(parsed)
    except (library.InvalidURL, TypeError) as error:
        raise ValueError(f"{name} must be a URL: {error}") from None
    if whole.scheme not in ("http", "https") or not whole.host:
        raise ValueError(
            f"{name} must be an http or https URL with a host, not {public_url(whole)!r}"
        )
    return whole


def public_url(url: Any) -> str:
    """Return a URL without the parts that may be secret: user, password, query and fragment."""
    parts = urlsplit(str(url))
    query = "?…" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{query}"


def refused_coding(response: httpx.Response) -> str:
    """Return why the content coding of a response is refused; "" if it was asked for."""
    accepted = response.request.headers.get("accept-encoding", "identity")
    return unasked_coding(response.headers.get("content-encoding", ""), accepted)


class Excerpt:
    """The beginning of a refused body and its size, read within 5 s.

    Args:
        response: the open response.
        keep: bytes that are kept.
        read: bytes that are read at most.

    Attributes:
        body: its first bytes; empty if it has a content coding that was not asked for.
    """

    def __init__(
        self, response: httpx.Response, keep: int = EXCERPT_BYTES, read: int = REFUSED_BYTES
    ) -> None:
        self.body = b""
        self._response, self._keep, self._most = response, keep, read
        declared = response.headers.get("content-length", "")
        is_number = declared.isascii() and declared.isdigit() and len(declared) < 20
        self._declared = int(declared) if is_number else 0
        self._size = 0  # of what was read
        self._deadline = time.monotonic() + REFUSED_SECONDS
        timeout = response.request.extensions.get("timeout")
        if timeout:  # the library looks it up again for the body
            timeout["read"] = min(timeout.get("read") or REFUSED_SECONDS, REFUSED_SECONDS)

    def read(self) -> Self:
        """Read a blocking response. A body that is cut is kept as far as it came."""
        if not refused_coding(self._response):
            with contextlib.suppress(*self._failures()):
                for chunk in body_of(self._response):
                    if self._add(chunk):
                        break
        return self

    async def aread(self) -> Self:
        """Read a response of an AsyncClient, as `read`."""
        if not refused_coding(self._response):
            with contextlib.suppress(*self._failures()):
                async with contextlib.aclosing(abody_of(self._response)) as chunks:
                    async for chunk in chunks:
                        if self._add(chunk):
                            break
        return self

    def _failures(self) -> tuple[type[Exception], ...]:
        return http_library("", self._response).RequestError, ContentEncodingError

    def _add(self, chunk: bytes) -> bool:
        """Add a chunk. Return True if no more is to be read."""
        self.body += chunk[: self._keep - len(self.body)]
        self._size += len(chunk)
        return self._size >= self._most or time.monotonic() > self._deadline

    @property
    def size(self) -> int:
        """The bytes of the whole body: as declared, or as many as were read if that is more."""
        return max(self._declared, self._size)
