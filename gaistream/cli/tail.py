"""`gaistream tail`: the events of a URL as they come, and what their timing was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import click

from ..client import Reconnecting, connect_sse
from ..core import NDJSONDecoder, ServerSentEvent, SSEDecoder, json, read_json
from ..dialects.protocols import Ending, text_of
from ..errors import ClientError, EventTooLarge, NDJSONError
from ..http.received import is_event_stream
from ._conversions import Watch
from ._http import HTTP, Asked, CutError, asked, chunks_of, opened, request_options, said
from ._http_rules import format_of
from ._sse_rules import value_of
from ._terminal import (
    INTERRUPTED,
    OK,
    WRONG,
    UnusableError,
    clean,
    console,
    seconds,
    show,
    show_json,
)
from ._timing import Timing


class BrokenStreamError(Exception):
    """The stream was cut, or holds what cannot be read: status 1."""


class View:
    """Shows events, and looks at how their stream ends.

    Args:
        mode: "lines" for people, "json" a line an event, or "text", that of the answer only.
    """

    def __init__(self, mode: str) -> None:
        self.timing = Timing()
        self.ending = Ending()
        self._out = console()
        self._mode = mode
        self._last_id = ""
        self._last_text = ""

    def frame(self, event: ServerSentEvent) -> None:
        """Show an event of SSE; as JSON it is an envelope, as `convert` has it."""
        after = self.timing.event()
        name, data, id = event.event or "message", str(event.data), str(event.id or "")
        changed = id != self._last_id
        self._last_id = id
        value = value_of(data)
        self.ending.see(name, data, value)
        if self._mode == "text":
            self._text(text_of(name, value))
            return
        if self._mode == "lines":
            self._line(after, name, data, id if changed else "")
            return
        line: dict[str, Any] = {} if name == "message" else {"event": name}
        line["data"] = data
        if changed:
            line["id"] = id
        if event.retry is not None:
            line["retry"] = event.retry
        show_json(self._out, json.dumps(line).decode())

    def line(self, item: tuple[bytes, Any]) -> None:
        """Show a line of NDJSON, given with its value; as JSON it stays what it is."""
        after = self.timing.event()
        line, value = item
        text = line.decode()
        kind = value.get("type") if isinstance(value, dict) else None
        name = kind if isinstance(kind, str) else "message"
        self.ending.see(name, text, value)
        if self._mode == "json":
            show_json(self._out, text.strip())
        elif self._mode == "text":
            self._text(text_of(name, value))
        else:
            self._line(after, name, text, "")

    def _text(self, text: str) -> None:
        """Write a piece of the answer's text at once; on a terminal it can't control that."""
        if not text:
            return
        if self._out.is_terminal:
            text = "\n".join(map(clean, text.split("\n")))
        self._last_text = text
        self._out.file.write(text)
        self._out.file.flush()

    def end(self) -> str:
        """End the output; return what it lacks, "" if nothing."""
        if self._mode != "text":
            return ""
        if self._out.is_terminal and self._last_text and not self._last_text.endswith("\n"):
            self._out.file.write("\n")
        return "" if self._last_text else ", no text"

    def _line(self, after: float, name: str, data: str, id: str) -> None:
        failed = "bold red" if self.ending.failed else "bold cyan"
        first, *more = data.split("\n")
        numbered = f"  #{id}" if id else ""
        show(
            self._out,
            (f"{after:9.3f}s  ", "dim"), (name, failed), (numbered, "dim"), (f"  {first}", ""),
        )  # fmt: skip
        for line in more:
            show(self._out, (" " * 12 + line, ""))


@click.command()
@click.argument("url")
@click.option("--format", type=click.Choice(["sse", "ndjson"]), help="Whatever its type says.")
@click.option("--json", "as_json", is_flag=True, help="Events as lines of JSON.")
@click.option("--text", "as_text", is_flag=True, help="The text of the answer, and nothing else.")
@click.option("--reconnect", is_flag=True, help="Come back after a cut, and resume (SSE alone).")
@click.option("-q", "--quiet", is_flag=True, help="No summary.")
@request_options
def command(
    url: str, format: str | None, as_json: bool, as_text: bool, reconnect: bool, quiet: bool,
    **options: Any,
) -> int:  # fmt: skip
    """Show the events of a URL as they come.

    Server-Sent Events and NDJSON, known by their content type. Events go to stdout, one a line with
    the seconds since the request; the summary, and what went wrong, to stderr.

    Status: 0 the stream ended well, 1 it was cut, cannot be read, or ended in an error of the
    server's, 2 there is no connection or no stream, 130 Ctrl-C.
    """
    if reconnect and format == "ndjson":
        raise click.UsageError("--reconnect is for Server-Sent Events: NDJSON has no ids")
    if as_json and as_text:
        raise click.UsageError("--text and --json exclude each other")
    request = asked(url, **options)
    errors = console(stderr=True)
    view = View("json" if as_json else "text" if as_text else "lines")
    problem, status = "", OK
    try:
        if reconnect:
            _resumed(request, view)
        else:
            _once(request, format, view)
    except KeyboardInterrupt:
        status = INTERRUPTED
    except BrokenStreamError as error:
        problem, status = str(error), WRONG
    else:
        if problem := _ended_badly(view.ending):
            status = WRONG
    lacks = view.end()
    if not quiet:
        end = view.ending.terminated and f", ended with {view.ending.terminator}"
        show(errors, (view.timing.summary() + (end or "") + lacks, "dim"))
    if problem:
        show(errors, ("wrong: ", "bold red"), (problem, ""))
    return status


def _ended_badly(ending: Ending) -> str:
    if ending.failed:
        return "the stream ended in an error of the server's"
    if ending.truncated:
        last = ending.terminator
        return f"the stream was cut: {ending.protocol} ends with {last}, which did not come"
    return ""


def _once(request: Asked, format: str | None, view: View) -> None:
    """Show one answer."""
    with opened(request, format) as response:
        if response.status_code == 204:
            return
        kind = response.headers.get("content-type", "")
        format = format or format_of(response.headers) or ("sse" if is_event_stream(kind) else None)
        if format is None:
            raise UnusableError(
                f"the content type is {kind}, that of no stream; --format sse or ndjson reads it"
            )
        try:
            _show_all(chunks_of(response), format, view)
        except CutError as error:
            raise BrokenStreamError(f"the connection was cut: {error}") from None


def _show_all(chunks: Iterator[bytes], format: str, view: View) -> None:
    """Show what a body holds; what came before a failure is shown before it is raised."""
    if format == "sse":
        decoder, watch = SSEDecoder(), Watch()
        for chunk in chunks:
            watch.feed(chunk)
            _show_items(partial(decoder.feed, chunk), view.frame)
        watch.close()
        if watch.incomplete:
            raise BrokenStreamError("the stream ends within an event, which is lost")
        return
    lines = NDJSONDecoder(loads=_with_value)
    for chunk in chunks:
        _show_items(partial(lines.feed, chunk), view.line)
    _show_items(lines.close, view.line)


def _show_items(decode: Callable[[], list[Any]], show_item: Callable[[Any], None]) -> None:
    failure = ""
    try:
        items = decode()
    except (EventTooLarge, NDJSONError) as error:
        items, failure = error.values, str(error)
    for item in items:
        show_item(item)
    if failure:
        raise BrokenStreamError(failure)


def _with_value(line: bytes) -> tuple[bytes, Any]:
    return line, read_json(line, "replace")


def _resumed(request: Asked, view: View) -> None:
    """Show the events of as many answers as it takes."""
    errors = console(stderr=True)

    def tell(notice: Reconnecting) -> None:
        told = f"reconnecting in {seconds(notice.delay)} (attempt {notice.attempt})"
        behind = f", behind #{notice.last_event_id}" if notice.last_event_id else ""
        show(errors, (f"{told}{behind}: {notice.reason}", "yellow"))

    client = HTTP.Client(verify=not request.insecure)
    try:
        with client, connect_sse(
            request.url, method=request.method, headers=request.headers, content=request.body,
            last_event_id=request.last_event_id, read_timeout=request.timeout,
            redirects="none", on_reconnect=tell, client=client,
        ) as events:  # fmt: skip
            for event in events:
                view.frame(event)
    except (ClientError, EventTooLarge) as error:
        if view.timing.count:
            raise BrokenStreamError(said(error)) from None
        raise UnusableError(said(error)) from None
