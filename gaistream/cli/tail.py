"""`gaistream tail`: shows the events of a URL as they come, and sums up their timing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import click

from ..client import Reconnecting, connect_sse
from ..core import NDJSONDecoder, ServerSentEvent, SSEDecoder, json_bytes, read_json
from ..dialects import Frame
from ..dialects.detect import Detector, text_of
from ..errors import ClientError, EventTooLarge, NDJSONError
from ..http.received import is_event_stream
from ._request import (
    HTTP,
    CutError,
    StreamRequest,
    chunks_of,
    error_text,
    open_stream,
    request_options,
    stream_request,
)
from ._sniff import format_of_type
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
from ._watch import Watch


class BrokenStreamError(Exception):
    """The stream was cut, or a part of it cannot be read: status 1."""


class View:
    """Shows events, and watches for the end of their stream.

    Args:
        mode: "lines" for people, "json" for a line an event, or "text" for only the answer's text.
    """

    def __init__(self, mode: str) -> None:
        self.timing = Timing()
        self.detector = Detector()
        self._out = console()
        self._mode = mode
        self._last_id = ""
        self._last_text = ""

    def frame(self, event: ServerSentEvent) -> None:
        """Show an event of SSE; as JSON it is an envelope, as in `convert`."""
        after = self.timing.event()
        frame, id = Frame.of_event(event), str(event.id or "")
        changed = id != self._last_id
        self._last_id = id
        self.detector.see(frame)
        if self._mode == "text":
            self._text(text_of(frame))
            return
        if self._mode == "lines":
            self._line(after, frame, id if changed else "")
            return
        line: dict[str, Any] = {} if frame.name == "message" else {"event": frame.name}
        line["data"] = frame.data
        if changed:
            line["id"] = id
        if event.retry is not None:
            line["retry"] = event.retry
        show_json(self._out, json_bytes(line).decode())

    def line(self, item: tuple[bytes, Any]) -> None:
        """Show a line of NDJSON and its value; as JSON it is unchanged."""
        after = self.timing.event()
        line, value = item
        frame = Frame.of_line(line.decode(), value)
        self.detector.see(frame)
        if self._mode == "json":
            show_json(self._out, frame.data.strip())
        elif self._mode == "text":
            self._text(text_of(frame))
        else:
            self._line(after, frame, "")

    def _text(self, text: str) -> None:
        """Write a piece of the answer's text at once, without control characters on a terminal."""
        if not text:
            return
        if self._out.is_terminal:
            text = "\n".join(map(clean, text.split("\n")))
        self._last_text = text
        self._out.file.write(text)
        self._out.file.flush()

    def end(self) -> str:
        """End the output. Return a remark for the summary, "" if there is none."""
        if self._mode != "text":
            return ""
        if self._out.is_terminal and self._last_text and not self._last_text.endswith("\n"):
            self._out.file.write("\n")
        return "" if self._last_text else ", no text"

    def _line(self, after: float, frame: Frame, id: str) -> None:
        style = "bold red" if self.detector.failed else "bold cyan"
        first, *more = frame.data.split("\n")
        number = f"  #{id}" if id else ""
        show(
            self._out,
            (f"{after:9.3f}s  ", "dim"), (frame.name, style), (number, "dim"), (f"  {first}", ""),
        )  # fmt: skip
        for line in more:
            show(self._out, (" " * 12 + line, ""))


@click.command()
@click.argument("url")
@click.option("--format", type=click.Choice(["sse", "ndjson"]), help="Read this format.")
@click.option("--json", "as_json", is_flag=True, help="Show events as lines of JSON.")
@click.option("--text", "as_text", is_flag=True, help="Show only the text of the answer.")
@click.option("--reconnect", is_flag=True, help="Reconnect after a cut, and resume (only SSE).")
@click.option("-q", "--quiet", is_flag=True, help="Show no summary.")
@request_options
def command(
    url: str, format: str | None, as_json: bool, as_text: bool, reconnect: bool, quiet: bool,
    **options: Any,
) -> int:  # fmt: skip
    """Show the events of a URL as they come.

    Reads Server-Sent Events or NDJSON, by the content type. Events go to stdout, one a line with
    the seconds since the request. The summary and errors go to stderr.

    Status: 0 the stream ended well, 1 it was cut, cannot be read, or ended with an error of the
    server, 2 there is no connection or no stream, 130 Ctrl-C.
    """
    if reconnect and format == "ndjson":
        raise click.UsageError("--reconnect is for Server-Sent Events: NDJSON has no ids")
    if as_json and as_text:
        raise click.UsageError("--text and --json exclude each other")
    request = stream_request(url, **options)
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
        if problem := _problem_of(view.detector):
            status = WRONG
    remark = view.end()
    if not quiet:
        end = f", ended with {view.detector.terminator}" if view.detector.terminated else ""
        show(errors, (view.timing.summary() + end + remark, "dim"))
    if problem:
        show(errors, ("wrong: ", "bold red"), (problem, ""))
    return status


def _problem_of(detector: Detector) -> str:
    """Return the fault of a stream's end, "" if it ended well."""
    if detector.failed:
        return "the stream ended with an error of the server"
    if detector.truncated:
        last = detector.terminator
        return f"the stream was cut: {detector.protocol} ends with {last}, which did not come"
    return ""


def _once(request: StreamRequest, format: str | None, view: View) -> None:
    """Show one answer."""
    with open_stream(request, format) as response:
        if response.status_code == 204:
            return
        kind = response.headers.get("content-type", "")
        format = format or format_of_type(kind) or ("sse" if is_event_stream(kind) else None)
        if format is None:
            raise UnusableError(
                f"{kind!r} is not the content type of a stream; --format sse or ndjson reads it"
            )
        try:
            _show_all(chunks_of(response), format, view)
        except CutError as error:
            raise BrokenStreamError(f"the connection was cut: {error}") from None


def _show_all(chunks: Iterator[bytes], format: str, view: View) -> None:
    """Show the events of a body, up to a failure if there is one."""
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


def _resumed(request: StreamRequest, view: View) -> None:
    """Show the events of one answer after the other."""
    errors = console(stderr=True)

    def report(notice: Reconnecting) -> None:
        attempt = f"reconnecting in {seconds(notice.delay)} (attempt {notice.attempt})"
        position = f", after #{notice.last_event_id}" if notice.last_event_id else ""
        show(errors, (f"{attempt}{position}: {notice.reason}", "yellow"))

    client = HTTP.Client(verify=not request.insecure)
    try:
        with client, connect_sse(
            request.url, method=request.method, headers=request.headers, content=request.body,
            last_event_id=request.last_event_id, read_timeout=request.timeout,
            redirects="none", on_reconnect=report, client=client,
        ) as events:  # fmt: skip
            for event in events:
                view.frame(event)
    except (ClientError, EventTooLarge) as error:
        if view.timing.count:
            raise BrokenStreamError(error_text(error)) from None
        raise UnusableError(error_text(error)) from None
