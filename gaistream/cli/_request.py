"""The request of a stream: its options on the command line, and the open answer."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import __version__
from ..client.http import Excerpt, check_url, http_library, refused_coding
from ..errors import ClientError, ContentEncodingError
from ..reading.chunks import body_of
from ._sniff import TYPES
from ._terminal import UnusableError, stdin

if TYPE_CHECKING:
    import httpx

HTTP: Any = http_library("the command")
_ACCEPT = {"sse": "text/event-stream", "ndjson": "application/x-ndjson", None: ", ".join(TYPES)}
_EXCERPT = 300  # bytes of a refusal that are shown


@dataclass(frozen=True)
class StreamRequest:
    """A request, as the options describe it."""

    url: str
    headers: dict[str, str]
    body: bytes | None
    timeout: float | None
    last_event_id: str
    insecure: bool

    @property
    def method(self) -> str:
        """POST if there is a body."""
        return "GET" if self.body is None else "POST"


def request_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a request to a command."""
    for option in (
        click.option(
            "--timeout", default=60.0, show_default=True, type=click.FloatRange(min=0),
            help="Seconds without a byte until the stream counts as cut; 0: never.",
        ),
        click.option("--last-event-id", default="", metavar="ID", help="Resume after this id."),
        click.option(
            "-d", "--data", metavar="BODY",
            help="POST this, as JSON unless a header says otherwise; @FILE reads a file, @- stdin.",
        ),
        click.option(
            "-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'",
            help="A header of the request; may be repeated.",
        ),
        click.option(
            "-k", "--insecure", is_flag=True,
            help="Accept any certificate: for your own server, on your own machine.",
        ),
    ):  # fmt: skip
        function = option(function)
    return function


def stream_request(
    url: str, headers: tuple[str, ...], data: str | None, timeout: float, last_event_id: str,
    insecure: bool,
) -> StreamRequest:  # fmt: skip
    """Check the options of a request, and return it.

    Raises:
        click.UsageError: a header or the URL is not valid.
        UnusableError: the file of the body cannot be read.
    """
    fields = {"User-Agent": f"gaistream/{__version__}", "Cache-Control": "no-store"}
    for header in headers:
        name, colon, value = header.partition(":")
        if not colon or not name.strip():
            raise click.UsageError(f"--header needs NAME: VALUE, not {header!r}")
        fields[name.strip()] = value.strip()
    if last_event_id:
        fields["Last-Event-ID"] = last_event_id
    body = None if data is None else _body(data)
    if body is not None and not any(name.lower() == "content-type" for name in fields):
        fields["Content-Type"] = "application/json"
    try:
        HTTP.Request("GET", check_url(HTTP, "the URL", url), headers=fields)
    except ValueError as error:  # a UnicodeError too: of a header
        raise click.UsageError(f"the request cannot be made: {error}") from None
    return StreamRequest(url, fields, body, timeout or None, last_event_id, insecure)


def _body(data: str) -> bytes:
    if not data.startswith("@"):
        return data.encode()
    if data == "@-":
        return stdin().read()
    try:
        return Path(data[1:]).read_bytes()
    except OSError as error:
        raise UnusableError(f"cannot read {data[1:]}: {error.strerror}") from None


@contextlib.contextmanager
def open_stream(request: StreamRequest, format: str | None) -> Iterator[httpx.Response]:
    """Send a request, and yield the answer before its body is read; its status is 200 or 204.

    Raises:
        UnusableError: there is no connection, or the answer has another status, or a content
            coding that the request did not accept.
    """
    headers = {"Accept": _ACCEPT[format], "Accept-Encoding": "identity"}
    headers.update(request.headers)
    timeout = HTTP.Timeout(10.0, read=request.timeout)
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(HTTP.Client(timeout=timeout, verify=not request.insecure))
        try:
            response = stack.enter_context(
                client.stream(request.method, request.url, headers=headers, content=request.body)
            )
            if response.status_code not in (200, 204):
                raise UnusableError(_refusal(response))
            if coding := refused_coding(response):
                raise UnusableError(f"{coding}, as by -H 'Accept-Encoding: gzip'")
        except (HTTP.RequestError, HTTP.InvalidURL, UnicodeError) as error:
            raise UnusableError(f"cannot connect: {error_text(error)}") from None
        yield response


def chunks_of(response: httpx.Response) -> Iterator[bytes]:
    """Yield the body of an answer.

    Raises:
        CutError: the connection was cut, or the body cannot be decompressed.
    """
    try:
        yield from body_of(response)
    except (HTTP.RequestError, ContentEncodingError) as error:
        raise CutError(error_text(error)) from None


class CutError(Exception):
    """The body of an answer was cut; the text is the reason."""


def error_text(error: Exception) -> str:
    """Return the text of an error, or its type's name if it has none."""
    if isinstance(error, HTTP.ReadTimeout):
        return "nothing came for as long as --timeout allows"
    text = str(error) if isinstance(error, ClientError) or str(error) else type(error).__name__
    mend = "; --insecure accepts any certificate" if "CERTIFICATE_VERIFY_FAILED" in text else ""
    return text + mend


def _refusal(response: httpx.Response) -> str:
    status = f"HTTP {response.status_code} {response.reason_phrase}".rstrip()
    if response.has_redirect_location:
        return f"{status}, to {response.headers['location']}, which is not followed"
    text = Excerpt(response, _EXCERPT, _EXCERPT).read().body.decode(errors="replace")
    text = " ".join(text.split())
    return f"{status}: {text}" if text else status
