"""What both faces of the client have in common: their arguments, requests, and what httpx says.

The requests are made anew for each attempt, from a body that is kept whole, with the headers that
the plan asks for. Nothing here waits, reads or writes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

import httpx

from .._backend import ServerSentEvent
from ..ndjson_reader import MAX_BYTES
from ._plan import Plan, State, Verdict
from ._policy import Reconnecting, ReconnectPolicy, ends_answer

_EXCERPT = 2048  # bytes of an answer that is no stream which are kept
_LONGEST_READ = 65_536  # bytes of it that are read, to tell its size
_LONGEST_TIME = 5.0  # seconds that it may take


class Source:
    """The arguments and the properties of `EventSource` and `AsyncEventSource`."""

    # Said once: what an argument means is in the docstring of EventSource.

    _CLIENT: ClassVar[type[httpx.Client] | type[httpx.AsyncClient]]

    def __init__(
        self,
        url: str,
        *,
        method: str | None = None,
        params: Any = None,
        headers: Mapping[str, str] | None = None,
        content: str | bytes | None = None,
        data: Mapping[str, Any] | None = None,
        json: Any = None,
        auth: Any = None,
        client: Any = None,
        last_event_id: str = "",
        reconnect: ReconnectPolicy | bool = True,
        repeatable: bool = False,
        on_reconnect: Callable[[Reconnecting], object] | None = None,
        is_last: Callable[[ServerSentEvent], bool] = ends_answer,
        redirects: str = "same-origin",
        connect_timeout: float | None = 10.0,
        read_timeout: float | None = 60.0,
        max_event_bytes: int = MAX_BYTES,
    ) -> None:
        if client is not None and not isinstance(client, self._CLIENT):
            kind, wanted = type(client).__name__, self._CLIENT.__name__
            raise TypeError(f"client must be an httpx.{wanted}, not {kind}")
        if content is not None and not isinstance(content, str | bytes):
            kind = type(content).__name__
            raise TypeError(f"content must be str or bytes, which can be sent again, not {kind}")
        if redirects not in ("same-origin", "any", "none"):
            raise ValueError(f"redirects must be 'same-origin', 'any' or 'none', not {redirects!r}")
        if not isinstance(last_event_id, str):
            raise TypeError(f"last_event_id must be str, not {type(last_event_id).__name__}")
        has_body = not (content is None and data is None and json is None)
        self._method = (method or ("POST" if has_body else "GET")).upper()
        self._url = _checked(url, client)
        self._given = httpx.Headers(headers)
        last_event_id = last_event_id or self._given.pop("Last-Event-ID", "")
        self._body = {"params": params, "content": content, "data": data, "json": json}
        self._auth = httpx.USE_CLIENT_DEFAULT if auth is None else auth
        self._client: Any = client
        self._is_own = client is None
        self._on_reconnect = on_reconnect
        self._timeout = httpx.Timeout(connect_timeout, read=read_timeout)
        policy = ReconnectPolicy() if reconnect is True else reconnect or None
        self._plan = Plan(
            self._method,
            _shown(self._url),
            policy,
            repeatable=repeatable,
            last_event_id=last_event_id,
            is_last=is_last,
            redirects=redirects,
            max_event_bytes=max_event_bytes,
        )
        self.response: httpx.Response | None = None
        self._prepare()

    def _prepare(self) -> None:
        """Set up what the face needs."""

    @property
    def state(self) -> State:
        """What it is doing: "connecting", "open", "waiting" (to reconnect) or "closed"."""
        return self._plan.state

    @property
    def last_event_id(self) -> str:
        """The id from which a new connection would resume: that of the last event given."""
        return self._plan.last_event_id

    @property
    def retry(self) -> int | None:
        """The reconnection time that the server asked for, in milliseconds, or None."""
        return self._plan.retry

    def _request(self, **extensions: Any) -> httpx.Request:
        """Make the request of the next attempt."""
        headers = httpx.Headers(self._plan.connecting())
        headers.update(self._given)
        request: httpx.Request = self._client.build_request(
            self._method,
            self._url,
            headers=headers,
            timeout=self._timeout,
            extensions=extensions,
            **self._body,
        )
        return request

    def _own_settings(self) -> dict[str, Any]:
        """The arguments of a client of our own: its connections are not kept."""
        return {"limits": httpx.Limits(max_keepalive_connections=0), "timeout": self._timeout}

    def _judge(self, response: httpx.Response) -> tuple[Verdict, httpx.Request | None, str]:
        """Tell what an answer is, the request that it leads to, and why there is none."""
        verdict = self._plan.judge(response.status_code, response.headers)
        if verdict != "redirect":
            return verdict, None, ""
        following = response.next_request
        if following is None:
            return "refused", None, "a redirect to nowhere"
        why = self._plan.redirect(following.method, _same_origin(response.url, following.url))
        return ("redirect", following, "") if why is None else ("refused", None, why)

    def _failed(self, error: httpx.RequestError) -> None:
        """Tell the plan of a connection that could not be made or was cut."""
        said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
            self._plan.failed(said, error)
        else:
            self._plan.lost(said, error)


class Excerpt:
    """The beginning of an answer that is no stream, and its size."""

    def __init__(self, response: httpx.Response) -> None:
        self.body = b""
        declared = response.headers.get("content-length", "")
        self._declared = int(declared) if declared.isascii() and declared.isdigit() else 0
        self._read = 0
        self._until = time.monotonic() + _LONGEST_TIME
        timeout = response.request.extensions.get("timeout")
        if timeout:  # which is looked at once more when the body is read
            timeout["read"] = min(timeout.get("read") or _LONGEST_TIME, _LONGEST_TIME)

    def add(self, chunk: bytes) -> bool:
        """Take a piece of the body, and tell whether that was enough."""
        self.body += chunk[: _EXCERPT - len(self.body)]
        self._read += len(chunk)
        return self._read >= _LONGEST_READ or time.monotonic() > self._until

    @property
    def size(self) -> int:
        """The bytes of the whole body: as declared, else as many as were read."""
        return max(self._declared, self._read)


def _checked(url: Any, client: Any) -> httpx.URL:
    """Give a URL that can be asked for; one of a client's own may be relative to its base."""
    try:
        parsed = httpx.URL(url)
        whole = parsed if client is None else client._merge_url(parsed)
    except (httpx.InvalidURL, TypeError) as error:
        raise ValueError(f"url is none: {error}") from None
    if whole.scheme not in ("http", "https") or not whole.host:
        raise ValueError(f"url must be an http or https URL with a host, not {_shown(whole)!r}")
    return whole


def _shown(url: httpx.URL) -> str:
    """A URL without what may be secret in it: user, password, query and fragment."""
    parts = urlsplit(str(url))
    query = "?…" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{query}"


def _same_origin(url: httpx.URL, other: httpx.URL) -> bool:
    """Whether two URLs have scheme, host and port in common, or differ by http to https alone."""
    ports = {"http": 80, "https": 443}
    one, two = ((it.scheme, it.host, it.port or ports.get(it.scheme)) for it in (url, other))
    upgraded = one[0] == "http" and two == ("https", one[1], 443) and one[2] == 80
    return one == two or upgraded
