"""`gaistream check`: reads a capture or a URL, and reports its faults and their lines."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import click

from .._progress import progress, quiet_console, size_of
from .._request import (
    HTTP,
    CutError,
    StreamRequest,
    chunks_of,
    open_stream,
    request_options,
    stream_request,
)
from .._sniff import format_of_start, format_of_type
from .._terminal import INTERRUPTED, OK, WRONG, UnusableError, open_input, seconds
from .headers import check_headers
from .lines import StreamCheck
from .ndjson import NDJSONCheck
from .report import Report, count_of
from .rules import RULES, Finding
from .sse import SSECheck


@click.command()
@click.argument("source", default="-", metavar="[FILE|URL|-]")
@click.option("--format", type=click.Choice(["sse", "ndjson"]), help="The format, if unclear.")
@click.option("--json", "as_json", is_flag=True, help="Findings as lines of JSON, then a summary.")
@click.option("--strict", is_flag=True, help="Status 1 for warnings too.")
@click.option(
    "--limit", default=10, show_default=True, type=click.IntRange(min=0),
    help="Show at most this many findings of one rule; all are counted.",
)  # fmt: skip
@click.option(
    "--for", "duration", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
    help="For a URL: stop after this time, and do not check the end.",
)  # fmt: skip
@click.option(
    "--max-gap", default=30.0, show_default=True, type=click.FloatRange(min=0, min_open=True),
    help="For a URL: warn after this many seconds without a byte.",
)  # fmt: skip
@click.option("--rules", is_flag=True, help="List the rules and exit.")
@request_options
def command(
    source: str, format: str | None, as_json: bool, strict: bool, limit: int,
    duration: float | None, max_gap: float, rules: bool, **options: Any,
) -> int:  # fmt: skip
    """Find the faults of a stream: of a capture, or of a URL.

    Reads Server-Sent Events or NDJSON from a FILE, from stdin (-) or from a URL, and reports each
    fault with its line, its rule, and its effect on a browser.

    Status: 0 there are no errors (but perhaps warnings and notes), 1 there are, 2 the stream cannot
    be read, 130 Ctrl-C (the report so far is shown).
    """
    if rules:
        for name, (level, about) in RULES.items():
            click.echo(f"{name:20} {level:8} {about}")
        return OK
    is_url = source.lower().startswith(("http://", "https://"))
    name = _without_secrets(source) if is_url else "stdin" if source == "-" else source
    report = Report(name, as_json, limit)
    if is_url:
        request = stream_request(source, **options)
        run = partial(_check_url, request, format, report, duration, max_gap)
    else:
        run = partial(_check_file, source, format, report)
    if run():
        return INTERRUPTED
    return WRONG if report.levels["error"] or (strict and report.levels["warning"]) else OK


def _without_secrets(url: str) -> str:
    """Return a URL without its user, query and fragment."""
    parsed = HTTP.URL(url.partition("#")[0].partition("?")[0])
    return str(parsed.copy_with(userinfo=b""))


def _check_of(format: str) -> StreamCheck:
    return SSECheck() if format == "sse" else NDJSONCheck()


@contextlib.contextmanager
def _counting(
    report: Report, check: StreamCheck, total: int | None
) -> Iterator[Callable[[bytes], None]]:
    """Show the progress on a terminal; yield a function that takes each chunk."""
    size = 0
    with progress(quiet_console(report.console), total) as advance:

        def count(chunk: bytes) -> None:
            nonlocal size
            size += len(chunk)
            events = count_of(check.events.count, "event")
            advance(len(chunk), f"{events}, {count_of(size, 'byte')}")

        yield count


def _check_file(source: str, format: str | None, report: Report) -> bool:
    """Check a file or stdin; return True if it was interrupted."""
    check: StreamCheck | None = None
    complete = False
    with contextlib.suppress(KeyboardInterrupt), open_input(source) as file:
        format, chunks = format_of_start(file, source, format)
        check = _check_of(format)
        with _counting(report, check, size_of(file)) as count:
            for chunk in chunks:
                report.add(check.feed(chunk))
                count(chunk)
                if check.stopped:
                    break
        report.add(check.close())
        complete = not check.stopped
    if check is not None and format is not None:
        report.end(check, format, complete)
    return check is None or not (complete or check.stopped)


def _check_url(
    request: StreamRequest, format: str | None, report: Report, duration: float | None,
    max_gap: float,
) -> bool:  # fmt: skip
    """Check an answer; return True if it was interrupted."""
    with open_stream(request, format) as response:
        if response.status_code == 204:
            raise UnusableError("HTTP 204 No Content: there is no stream to check")
        format = format or format_of_type(response.headers.get("content-type", "")) or "sse"
        report.add(check_headers(response.headers, format))
        check = _check_of(format)
        interrupted = complete = False
        try:
            with _counting(report, check, None) as count:
                for chunk in _timed(response, duration, max_gap, check, report):
                    report.add(check.feed(chunk))
                    count(chunk)
                    if check.stopped:
                        break
                else:
                    complete = True
        except _TimeIsUp:
            pass
        except KeyboardInterrupt:
            interrupted = True
        except CutError as error:
            complete = True
            effect = "EventSource reconnects" if format == "sse" else ""
            report.add([Finding("connection-cut", None, f"cut: {error}", effect)])
    if complete:
        report.add(check.close())
    report.end(check, format, complete)
    return interrupted


class _TimeIsUp(Exception):
    """The seconds of --for have passed."""


def _timed(
    response: Any, duration: float | None, max_gap: float, check: StreamCheck, report: Report
) -> Iterator[bytes]:
    """Yield the chunks of an answer, and report the gaps between them.

    Raises:
        _TimeIsUp: `duration` has passed.
        CutError: the connection was cut.
    """
    is_over = threading.Event()

    def stop() -> None:  # ends a read that blocks, by closing its socket
        is_over.set()
        connection = response.extensions["network_stream"].get_extra_info("socket")
        with contextlib.suppress(OSError):
            socket.socket.shutdown(connection, socket.SHUT_RDWR)  # not SSLSocket's own

    timer = threading.Timer(duration or 0, stop)
    timer.daemon = True
    if duration is not None:
        timer.start()
    last = time.monotonic()
    try:
        for chunk in chunks_of(response):
            now = time.monotonic()
            if now - last > max_gap:
                effect = "proxies cut silent connections, many after 60 s"
                message = f"nothing came for {seconds(now - last)}"
                report.add([Finding("silent-gap", check.line + 1, message, effect)])
            last = now
            yield chunk
    except CutError:
        if not is_over.is_set():
            raise
    finally:
        timer.cancel()
    if is_over.is_set():
        raise _TimeIsUp
