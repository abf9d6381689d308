"""What the client, the providers and the commands share: httpx or httpx2, and refused answers.

Either library serves; neither is imported before it is needed.
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

if TYPE_CHECKING:
    import httpx

_LIBRARIES = ("httpx", "httpx2")
_EXCERPT = 2048  # bytes of a refused body that are kept
_LONGEST_READ = 65_536  # bytes of it that are read, to know its size
_LONGEST_TIME = 5.0  # seconds that this may take


def http_library(needed_by: str, *given: object) -> Any:
    """Return the module httpx or httpx2: that of the given objects, else the installed one.

    Args:
        needed_by: what needs it, for the error.
        given: a client or an auth of the caller, or anything else; httpx wins if both would do.

    Raises:
        ImportError: neither is installed.
    """
    for each in given:
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
    """Return a URL as httpx's object.

    Args:
        library: httpx or httpx2.
        name: the argument's, for the error.
        url: str, or a URL of the library.
        client: a client of the library; `url` may be relative to its `base_url`.

    Raises:
        ValueError: it is not an http or https URL with a host; the message holds no secret of it.
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
    """Return why the coding of a response's body is refused; "" if it is not."""
    asked = response.request.headers.get("accept-encoding", "identity")
    return unasked_coding(response.headers.get("content-encoding", ""), asked)


class Excerpt:
    """The beginning of a refused body, and its size, read within 5 s.

    Args:
        response: the open answer.
        most: bytes that are kept.
        longest: bytes that are read.

    Attributes:
        body: its first bytes; none if it has a coding that was not asked for.
    """

    def __init__(
        self, response: httpx.Response, most: int = _EXCERPT, longest: int = _LONGEST_READ
    ) -> None:
        self.body = b""
        self._response, self._most, self._longest = response, most, longest
        declared = response.headers.get("content-length", "")
        is_number = declared.isascii() and declared.isdigit() and len(declared) < 20
        self._declared = int(declared) if is_number else 0
        self._read = 0
        self._until = time.monotonic() + _LONGEST_TIME
        timeout = response.request.extensions.get("timeout")
        if timeout:  # which the library looks at once more when the body is read
            timeout["read"] = min(timeout.get("read") or _LONGEST_TIME, _LONGEST_TIME)

    def read(self) -> Self:
        """Read it; a body that cannot be read to its end is kept as far as it came."""
        if not refused_coding(self._response):
            with contextlib.suppress(*self._failures()):
                for chunk in body_of(self._response):
                    if self._add(chunk):
                        break
        return self

    async def aread(self) -> Self:
        """Read it from an asynchronous response."""
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
        self.body += chunk[: self._most - len(self.body)]
        self._read += len(chunk)
        return self._read >= self._longest or time.monotonic() > self._until

    @property
    def size(self) -> int:
        """The bytes of the whole body: as declared, else as many as were read."""
        return max(self._declared, self._read)
