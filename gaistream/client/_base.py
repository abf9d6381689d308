"""The base of both event sources: their arguments, requests, and how they judge responses.

Each attempt has a new request, made of the whole body, which is kept, and the headers that the plan
adds. Nothing here waits or does I/O.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ..core import ServerSentEvent
from ..errors import ContentEncodingError
from ..reading.reader import MAX_BYTES
from ._plan import LONGEST_ID, Plan, State, Verdict
from ._policy import Reconnecting, ReconnectPolicy
from .http import check_url, http_library, public_url

if TYPE_CHECKING:
    import httpx
    import httpx2

# Headers that are sent to another origin. The others may be secret, or belong to the first origin.
_CROSSING = ("host", "accept", "content-type", "content-length")


class EventSourceBase:
    """The arguments, which `EventSource` documents, and the properties of both event sources."""

    _CLIENT: ClassVar[str]  # the name of the library's class

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
        is_last: Callable[[ServerSentEvent], bool] | None = None,
        redirects: str = "same-origin",
        strict_content_type: bool = False,
        connect_timeout: float | None = 10.0,
        open_timeout: float | None = 30.0,
        read_timeout: float | None = 60.0,
        max_event_bytes: int = MAX_BYTES,
    ) -> None:
        self._http: Any = http_library("gaistream.client", client, auth)
        if client is not None and not isinstance(client, getattr(self._http, self._CLIENT)):
            name, kind = self._CLIENT, type(client).__name__
            raise TypeError(f"client must be an httpx.{name} or httpx2.{name}, not {kind}")
        if content is not None and not isinstance(content, str | bytes):
            kind = type(content).__name__
            raise TypeError(f"content must be str or bytes, which can be sent again, not {kind}")
        if redirects not in ("same-origin", "any", "none"):
            raise ValueError(f"redirects must be 'same-origin', 'any' or 'none', not {redirects!r}")
        if not isinstance(last_event_id, str):
            raise TypeError(f"last_event_id must be str, not {type(last_event_id).__name__}")
        has_body = not (content is None and data is None and json is None)
        self._method = (method or ("POST" if has_body else "GET")).upper()
        self._url = check_url(self._http, "url", url, client)
        self._headers = self._http.Headers(headers)
        last_event_id = last_event_id or self._headers.pop("Last-Event-ID", "")
        if (size := len(last_event_id.encode(errors="replace"))) > LONGEST_ID:
            raise ValueError(f"last_event_id must have at most {LONGEST_ID} bytes, not {size}")
        self._body = {"params": params, "content": content, "data": data, "json": json}
        self._auth = self._http.USE_CLIENT_DEFAULT if auth is None else auth
        self._client: Any = client
        self._is_own = client is None
        self._on_reconnect = on_reconnect
        self._timeout = self._http.Timeout(connect_timeout, read=read_timeout)
        self._open_timeout = open_timeout
        policy = ReconnectPolicy() if reconnect is True else reconnect or None
        self._plan = Plan(
            self._method,
            public_url(self._url),
            policy,
            repeatable=repeatable,
            last_event_id=last_event_id,
            is_last=is_last,
            redirects=redirects,
            accept_encoding=self._headers.get("Accept-Encoding", "identity"),
            strict_content_type=strict_content_type,
            max_event_bytes=max_event_bytes,
        )
        self.response: httpx.Response | httpx2.Response | None = None
        self._prepare()

    def _prepare(self) -> None:
        """Set the attributes of a subclass."""

    @property
    def state(self) -> State:
        """The state: "connecting", "open", "waiting" (to reconnect) or "closed"."""
        return self._plan.state

    @property
    def last_event_id(self) -> str:
        """The id from which a new connection resumes: that of the last event that was read."""
        return self._plan.last_event_id

    @property
    def retry(self) -> int | None:
        """The server's last reconnection time, in milliseconds; None before it sent one."""
        return self._plan.retry

    def _request(self, **extensions: Any) -> Any:
        """Return the request of the next attempt."""
        headers = self._http.Headers(self._plan.begin_attempt())
        headers.update(self._headers)
        return self._client.build_request(
            self._method,
            self._url,
            headers=headers,
            timeout=self._timeout,
            extensions=extensions,
            **self._body,
        )

    def _own_settings(self) -> dict[str, Any]:
        """Return the arguments of an own client, which keeps no connections."""
        return {"limits": self._http.Limits(max_keepalive_connections=0), "timeout": self._timeout}

    def _judge(self, response: Any) -> tuple[Verdict, Any, str]:
        """Return the verdict on a response, the request of a redirect, and why one is refused."""
        verdict = self._plan.judge(response.status_code, response.headers)
        if verdict != "redirect":
            return verdict, None, ""
        following = response.next_request
        if following is None:
            return "refused", None, "a redirect to nowhere"
        same_origin = _same_origin(response.url, following.url)
        obstacle = self._plan.count_redirect(following.method, same_origin)
        if obstacle:
            return "refused", None, obstacle
        return "redirect", following if same_origin else self._crossing(response, following), ""

    def _crossing(self, response: Any, following: Any) -> Any:
        """Return the request to another origin: Accept, body, and the cookies of the response."""
        cookies = self._http.Cookies()
        cookies.extract_cookies(response)
        headers = {name: following.headers[name] for name in _CROSSING if name in following.headers}
        return self._http.Request(
            following.method,
            following.url,
            headers={**headers, "Accept-Encoding": "identity"},
            cookies=cookies,
            stream=following.stream,
            extensions=following.extensions,
        )

    @property
    def _failures(self) -> tuple[type[Exception], ...]:
        """The exceptions of an exchange that failed."""
        return self._http.RequestError, ContentEncodingError

    @contextlib.contextmanager
    def _requesting(self) -> Iterator[None]:
        """Convert the error for a Location or a cookie that no request can carry."""
        try:
            yield
        except (self._http.InvalidURL, UnicodeError) as error:
            message = f"{type(error).__name__}: {error}"
            raise self._http.LocalProtocolError(message) from error

    def _failed(self, error: Exception, handled: BaseException | None) -> None:
        """Report to the plan that the connection could not be made or was cut.

        Args:
            error: of the library.
            handled: the exception that the caller was already handling, which caused nothing here.
        """
        unverified = _certificate_error(error, handled)
        text, kind = str(unverified or error), type(error).__name__
        reason = f"{kind}: {text}" if text else kind
        never = self._http.UnsupportedProtocol | self._http.LocalProtocolError
        if unverified or isinstance(error, never):
            self._plan.failed(reason, error)
        else:
            self._plan.lost(reason, error)

    def _timed_out(self) -> None:
        """Report to the plan that no response began in time."""
        self._plan.lost(f"no answer came within open_timeout={self._open_timeout:g} s")


def _certificate_error(
    error: BaseException | None, handled: BaseException | None
) -> BaseException | None:
    """Return the certificate error that caused an error; None if there is none."""
    while error is not None and error is not handled:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _same_origin(url: Any, other: Any) -> bool:
    """True if two URLs have scheme, host and port in common, or differ only by http to https."""
    ports = {"http": 80, "https": 443}
    one, two = ((it.scheme, it.host, it.port or ports.get(it.scheme)) for it in (url, other))
    upgraded = one[0] == "http" and two == ("https", one[1], 443) and one[2] == 80
    return one == two or upgraded
