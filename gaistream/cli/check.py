"""`gaistream check`: reads a capture or a URL and tells what is wrong with it, and where."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import click
from rich.console import Console

from ..core import json
from ._http import HTTP, Asked, CutError, asked, chunks_of, opened, request_options
from ._http_rules import check_headers, format_of
from ._ndjson_rules import NDJSONCheck
from ._progress import progress, quiet_console, size_of
from ._rules import LEVELS, RULES, Finding
from ._sniff import format_of_start
from ._sse_rules import SSECheck
from ._terminal import (
    INTERRUPTED,
    OK,
    WRONG,
    UnusableError,
    console,
    open_input,
    seconds,
    show,
    show_json,
)

_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}


class Report:
    """Shows findings as they come, a limited number of each rule, and counts all of them."""

    def __init__(self, name: str, as_json: bool, limit: int) -> None:
        self.levels: Counter[str] = Counter()
        self._rules: Counter[str] = Counter()
        self._name, self._as_json, self._limit = name, as_json, limit
        self._out = console()

    def add(self, findings: list[Finding]) -> None:
        """Show findings."""
        for finding in findings:
            self.levels[finding.level] += 1
            self._rules[finding.rule] += 1
            if self._rules[finding.rule] <= self._limit:
                self._show(finding)

    def _show(self, finding: Finding) -> None:
        if self._as_json:
            self._line(
                {
                    "level": finding.level, "rule": finding.rule, "line": finding.line,
                    "message": finding.message, "effect": finding.effect,
                }
            )  # fmt: skip
            return
        place = self._name if finding.line is None else f"{self._name}:{finding.line}"
        show(
            self._out,
            (f"{place}: ", "bold"), (finding.level, _STYLES[finding.level]),
            (f": {finding.message} ", ""), (f"[{finding.rule}]", "dim"),
        )  # fmt: skip
        if finding.effect:
            show(self._out, (f"    {finding.effect}", "dim"))

    @property
    def console(self) -> Console | None:
        """The console of the lines; None as JSON, which is written as it is."""
        return None if self._as_json else self._out

    def end(self, checked: SSECheck | NDJSONCheck, format: str, complete: bool) -> None:
        """Show what the stream was, and how many findings there are."""
        events = checked.events
        if self._as_json:
            summary = {
                "format": format, "complete": complete, "lines": checked.line,
                "events": events.count, "names": dict(events.names.most_common()),
                "protocol": events.ending.protocol or None,
                "terminated": events.ending.terminated,
                "last_event_id": checked.last_event_id or None, "retry": checked.retry,
                "findings": dict(self._rules),
                **{f"{level}s": self.levels[level] for level in LEVELS},
            }  # fmt: skip
            self._line({"summary": summary})
            return
        for rule, count in self._rules.items():
            if count > self._limit:
                show(self._out, (f"{self._name}: {count - self._limit} more [{rule}]", "dim"))
        style = "bold red" if self.levels["error"] else "bold green"
        counts = ", ".join(_count(self.levels[level], level) for level in LEVELS)
        show(self._out, (f"{self._name}: {counts}", style))
        show(self._out, (_made_of(checked, format), ""))
        if not complete:
            show(self._out, ("The stream went on: its end was not checked.", "dim"))

    def _line(self, value: dict[str, Any]) -> None:
        show_json(self._out, json.dumps(value, errors="replace").decode())


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _made_of(checked: SSECheck | NDJSONCheck, format: str) -> str:
    """Tell what a browser, or for NDJSON a reader, makes of the whole."""
    events = checked.events
    names = ", ".join(f"{name} ×{count}" for name, count in events.names.most_common(12))
    more = ", …" if len(events.names) > 12 else ""
    who = "A browser dispatches" if format == "sse" else "A reader gets"
    told = f"{who} {_count(events.count, 'event')}{f' ({names}{more})' if names else ''}"
    if checked.last_event_id:
        told += f", resumes behind the id {checked.last_event_id!r}"
    if checked.retry is not None:
        told += f", reconnects after {checked.retry} ms"
    ending = events.ending
    if ending.protocol:
        ended = "ended" if ending.terminated else "did not end"
        told += f". Its protocol is {ending.protocol}; it {ended} with {ending.terminator}"
    return told + "."


@click.command()
@click.argument("source", default="-", metavar="[FILE|URL|-]")
@click.option("--format", type=click.Choice(["sse", "ndjson"]), help="What it is, where unclear.")
@click.option("--json", "as_json", is_flag=True, help="Findings as lines of JSON, then a summary.")
@click.option("--strict", is_flag=True, help="Status 1 for warnings too.")
@click.option(
    "--limit", default=10, show_default=True, type=click.IntRange(min=0),
    help="Findings of one rule that are shown; all are counted.",
)  # fmt: skip
@click.option(
    "--for", "duration", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
    help="Of a URL: stop after this time, and do not check the end.",
)  # fmt: skip
@click.option(
    "--max-gap", default=30.0, show_default=True, type=click.FloatRange(min=0, min_open=True),
    help="Of a URL: seconds without a byte that are worth a warning.",
)  # fmt: skip
@click.option("--rules", is_flag=True, help="List the rules, and do nothing else.")
@request_options
def command(
    source: str, format: str | None, as_json: bool, strict: bool, limit: int,
    duration: float | None, max_gap: float, rules: bool, **options: Any,
) -> int:  # fmt: skip
    """Say what is wrong with a stream: a capture, or a URL.

    Reads Server-Sent Events or NDJSON from a FILE, from stdin (-) or from a URL, and reports each
    fault with its line, its rule, and what a browser makes of it.

    Status: 0 nothing is wrong (warnings and notes apart), 1 something is, 2 it cannot be read, 130
    Ctrl-C (upon which the report so far is shown).
    """
    if rules:
        for name, (level, about) in RULES.items():
            click.echo(f"{name:20} {level:8} {about}")
        return OK
    is_url = source.lower().startswith(("http://", "https://"))
    name = _shown(source) if is_url else "stdin" if source == "-" else source
    report = Report(name, as_json, limit)
    if is_url:
        request = asked(source, **options)
        running = partial(_check_url, request, format, report, duration, max_gap)
    else:
        running = partial(_check_file, source, format, report)
    interrupted = running()
    if interrupted:
        return INTERRUPTED
    return WRONG if report.levels["error"] or (strict and report.levels["warning"]) else OK


def _shown(url: str) -> str:
    """A URL without what may be secret in it."""
    parsed = HTTP.URL(url.partition("#")[0].partition("?")[0])
    return str(parsed.copy_with(userinfo=b""))


def _new(format: str) -> SSECheck | NDJSONCheck:
    return SSECheck() if format == "sse" else NDJSONCheck()


@contextlib.contextmanager
def _counting(
    report: Report, checked: SSECheck | NDJSONCheck, total: int | None
) -> Iterator[Callable[[bytes], None]]:
    """Show on a terminal how far the check is; yield a function that takes each chunk."""
    size = 0
    with progress(quiet_console(report.console), total) as advance:

        def count(chunk: bytes) -> None:
            nonlocal size
            size += len(chunk)
            advance(len(chunk), f"{_count(checked.events.count, 'event')}, {_count(size, 'byte')}")

        yield count


def _check_file(source: str, format: str | None, report: Report) -> bool:
    """Check a file or stdin; tell whether it was interrupted."""
    checked: SSECheck | NDJSONCheck | None = None
    complete = False
    with contextlib.suppress(KeyboardInterrupt), open_input(source) as file:
        format, chunks = format_of_start(file, source, format)
        checked = _new(format)
        with _counting(report, checked, size_of(file)) as count:
            for chunk in chunks:
                report.add(checked.feed(chunk))
                count(chunk)
                if checked.stopped:
                    break
        report.add(checked.close())
        complete = not checked.stopped
    if checked is not None and format is not None:
        report.end(checked, format, complete)
    return checked is None or not (complete or checked.stopped)


def _check_url(
    request: Asked, format: str | None, report: Report, duration: float | None, max_gap: float
) -> bool:
    """Check an answer; tell whether it was interrupted."""
    with opened(request, format) as response:
        if response.status_code == 204:
            raise UnusableError("HTTP 204 No Content: there is no stream to check")
        format = format or format_of(response.headers) or "sse"
        report.add(check_headers(response.headers, format))
        checked = _new(format)
        interrupted = complete = False
        try:
            with _counting(report, checked, None) as count:
                for chunk in _timed(response, duration, max_gap, checked, report):
                    report.add(checked.feed(chunk))
                    count(chunk)
                    if checked.stopped:
                        break
                else:
                    complete = True
        except _Over:
            pass
        except KeyboardInterrupt:
            interrupted = True
        except CutError as error:
            complete = True
            effect = "EventSource reconnects" if format == "sse" else ""
            report.add([Finding("connection-cut", None, f"cut: {error}", effect)])
    if complete:
        report.add(checked.close())
    report.end(checked, format, complete)
    return interrupted


class _Over(Exception):
    """The time of --for is over."""


def _timed(
    response: Any, duration: float | None, max_gap: float,
    checked: SSECheck | NDJSONCheck, report: Report,
) -> Iterator[bytes]:  # fmt: skip
    """Give the chunks of an answer; report the gaps between them, and stop in time."""
    over = threading.Event()

    def stop() -> None:  # a read that blocks is ended by the end of its socket
        over.set()
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
                told = f"nothing came for {seconds(now - last)}"
                report.add([Finding("silent-gap", checked.line + 1, told, effect)])
            last = now
            yield chunk
    except CutError:
        if not over.is_set():
            raise
    finally:
        timer.cancel()
    if over.is_set():
        raise _Over
