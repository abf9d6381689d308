"""The rules of events, whatever their format: JSON, the protocol's end, their number."""

from __future__ import annotations

from collections import Counter

from ...dialects import Frame
from ...dialects.detect import END_MARKS, Detector
from .rules import Finding, excerpt

_MOST_NAMES = 50  # that are counted apart; a stream may have as many names as events
_MOST_HELD = 10


class EventRules:
    """Checks the events of one stream. Belongs to one task.

    Attributes:
        count: events so far.
        names: how many events of each name.
        detector: the protocol of the stream, and whether it ended.
    """

    def __init__(self) -> None:
        self.count = 0
        self.names: Counter[str] = Counter()
        self.detector = Detector()
        self._last = ""  # the data of the last event
        self._containers = 0  # events whose data is a JSON object or array
        self._held: list[Finding] = []  # data that is not JSON, before any that is

    def see(self, frame: Frame, line: int) -> list[Finding]:
        """Check the next event, which is on this line."""
        findings: list[Finding] = []
        name, data = frame.name, frame.data
        self.count += 1
        self.names[name if name in self.names or len(self.names) < _MOST_NAMES else "others"] += 1
        if isinstance(frame.value, dict | list):
            self._containers += 1
        elif frame.value is None and data.strip() not in END_MARKS | {"", "null"}:
            message = f"{excerpt(data.encode())} is not JSON, as the data of other events is"
            effect = "it is given, and does not parse"
            findings += self._hold(Finding("not-json", line, message, effect))
        if self.detector.is_after_end(data):
            last, protocol = self.detector.terminator, self.detector.protocol or "the stream"
            message = f"{name!r} comes after {last}, the last event of {protocol}"
            findings.append(Finding("after-end", line, message, "most clients have gone by then"))
        self.detector.see(frame)
        if data.strip() not in END_MARKS:
            self._last = data
        return findings

    def _hold(self, finding: Finding) -> list[Finding]:
        if self._containers:
            return [finding]
        if len(self._held) < _MOST_HELD:
            self._held.append(finding)
        return []

    def close(self) -> list[Finding]:
        """Check the end of the stream."""
        findings = self._held if self._containers > len(self._held) else []
        if not self.count:
            return [*findings, Finding("no-events", None, "there is no event in it")]
        if self.detector.failed:
            last = excerpt(self._last.encode(), 200)
            message = f"the stream ended with an error of the server: {last}"
            return [*findings, Finding("server-error", None, message, "the answer is not whole")]
        if self.detector.truncated:
            protocol, last = self.detector.protocol, self.detector.terminator
            message = f"{protocol} ends with {last}, which did not come"
            effect = "most clients take the part for the whole"
            findings = [*findings, Finding("truncated", None, message, effect)]
        return findings
