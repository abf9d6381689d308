"""What `gaistream check` prints: the findings as they come, then a summary."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich.console import Console

from ...core import json_bytes
from .._terminal import console, show, show_json
from .lines import StreamCheck
from .rules import LEVELS, Finding

_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}


class Report:
    """Shows findings as they come, at most `limit` of each rule, and counts all of them."""

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
        """The console of the findings; None if they are JSON, which is written without it."""
        return None if self._as_json else self._out

    def end(self, check: StreamCheck, format: str, complete: bool) -> None:
        """Show the summary."""
        events = check.events
        if self._as_json:
            summary = {
                "format": format, "complete": complete, "lines": check.line,
                "events": events.count, "names": dict(events.names.most_common()),
                "protocol": events.detector.protocol or None,
                "terminated": events.detector.terminated,
                "last_event_id": check.last_event_id or None, "retry": check.retry,
                "findings": dict(self._rules),
                **{f"{level}s": self.levels[level] for level in LEVELS},
            }  # fmt: skip
            self._line({"summary": summary})
            return
        for rule, count in self._rules.items():
            if count > self._limit:
                show(self._out, (f"{self._name}: {count - self._limit} more [{rule}]", "dim"))
        style = "bold red" if self.levels["error"] else "bold green"
        counts = ", ".join(count_of(self.levels[level], level) for level in LEVELS)
        show(self._out, (f"{self._name}: {counts}", style))
        show(self._out, (_reading_of(check, format), ""))
        if not complete:
            show(self._out, ("The stream went on: its end was not checked.", "dim"))

    def _line(self, value: dict[str, Any]) -> None:
        show_json(self._out, json_bytes(value, errors="replace").decode())


def count_of(number: int, noun: str) -> str:
    """Return a number with its noun, such as "1 event" or "2 events"."""
    return f"{number} {noun}{'s' * (number != 1)}"


def _reading_of(check: StreamCheck, format: str) -> str:
    """Return how a browser, or for NDJSON a reader, reads the whole."""
    events = check.events
    names = ", ".join(f"{name} ×{count}" for name, count in events.names.most_common(12))
    more = ", …" if len(events.names) > 12 else ""
    reader = "A browser dispatches" if format == "sse" else "A reader gets"
    text = f"{reader} {count_of(events.count, 'event')}{f' ({names}{more})' if names else ''}"
    if check.last_event_id:
        text += f", resumes after the id {check.last_event_id!r}"
    if check.retry is not None:
        text += f", reconnects after {check.retry} ms"
    detector = events.detector
    if detector.protocol:
        ended = "ended" if detector.terminated else "did not end"
        text += f". Its protocol is {detector.protocol}; it {ended} with {detector.terminator}"
    return text + "."
