"""What `check` asks of events, whatever their framing: JSON, the protocol's end, their number."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ..dialects.protocols import DONE, Ending
from ._rules import Finding, excerpt

_MOST_NAMES = 50  # names that are counted apart; a stream may have as many as events
_MOST_HELD = 10


class EventRules:
    """Looks at the events of one stream, one after the other. Belongs to one task.

    Attributes:
        count: events so far.
        names: how many of each name.
        ending: which protocol it is, and whether it ended.
    """

    def __init__(self) -> None:
        self.count = 0
        self.names: Counter[str] = Counter()
        self.ending = Ending()
        self._last = ""  # the data of the last event
        self._containers = 0  # events whose data is a JSON object or array
        self._held: list[Finding] = []  # not JSON, before any that was

    def see(self, name: str, data: str, payload: Any, line: int) -> list[Finding]:
        """Take an event; `payload` is its data's value, None where it is not JSON."""
        found: list[Finding] = []
        self.count += 1
        self.names[name if name in self.names or len(self.names) < _MOST_NAMES else "others"] += 1
        if isinstance(payload, dict | list):
            self._containers += 1
        elif payload is None and data.strip() not in ("", "null", DONE):
            said = f"{excerpt(data.encode())} is not JSON, as the data of other events is"
            found += self._hold(Finding("not-json", line, said, "it is given, and does not parse"))
        if self.ending.is_after_end(data):
            last, of = self.ending.terminator, self.ending.protocol or "the stream"
            said = f"{name!r} stands behind {last}, the last event of {of}"
            found.append(Finding("after-end", line, said, "most clients have gone by then"))
        self.ending.see(name, data, payload)
        self._last = data
        return found

    def _hold(self, finding: Finding) -> list[Finding]:
        if self._containers:
            return [finding]
        if len(self._held) < _MOST_HELD:
            self._held.append(finding)
        return []

    def close(self) -> list[Finding]:
        """Say that the stream came to its end."""
        found = self._held if self._containers > len(self._held) else []
        if not self.count:
            return [*found, Finding("no-events", None, "there is no event in it")]
        if self.ending.failed:
            last = excerpt(self._last.encode(), 200)
            said = f"the stream ended in an error of the server's: {last}"
            return [*found, Finding("server-error", None, said, "the answer is not whole")]
        if self.ending.truncated:
            last = self.ending.terminator
            said = f"{self.ending.protocol} ends with {last}, which did not come"
            effect = "most clients take what came for the whole"
            found = [*found, Finding("truncated", None, said, effect)]
        return found
