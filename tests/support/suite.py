"""How the suite is divided between its runs and processes, and how it is reported.

Progress is one line a room, printed when its last test has ended, and skips are one line a reason.
A room is a folder of `tests/`, of the same name as the folder of `gaistream/` that it tests; the
files directly in `tests/` test the package as a whole.
With -v pytest reports as usual.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Generator, Sequence
from pathlib import PurePosixPath
from typing import Any

import pytest


def room_of(nodeid: str) -> str:
    """Return the room of a test."""
    file = PurePosixPath(nodeid.partition("::")[0])
    if len(file.parts) > 2:
        return file.parts[1]
    return "package"


def names_its_twin(item: pytest.Item) -> bool:
    """Return whether a test runs on the pure twin in a run on the compiled core too."""
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    named = any(type(each) is str and each == "pure" for each in parameters)
    return named or "both" in item.fixturenames


def encodable(data: Any) -> Any:
    """Return a copy of a report's data in which every text can be encoded as UTF-8."""
    if isinstance(data, str):
        return data.encode(errors="backslashreplace").decode()
    if isinstance(data, dict):
        return {encodable(key): encodable(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return type(data)(map(encodable, data))
    return data


class RoomReporter:
    """Print what pytest's terminal reporter would print by dots."""

    def __init__(self, terminal: Any) -> None:
        terminal.showfspath = False
        self._terminal = terminal
        self._left: Counter[str] = Counter()
        self._seconds: Counter[str] = Counter()
        self._outcomes: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._expect([item.nodeid for item in session.items])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:
        self._expect(ids)  # every process collects the same

    def _expect(self, nodeids: Sequence[str]) -> None:
        if not self._left:
            self._left.update(map(room_of, nodeids))

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(self, report: Any) -> Generator[None, Any, Any]:
        """Count an outcome, and print no letter for it."""
        category, _, word = yield
        return category, "", word

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        room = room_of(report.nodeid)
        self._seconds[room] += report.duration
        if report.when == "call" or report.outcome != "passed":
            self._outcomes[room][report.outcome] += 1

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        room = room_of(nodeid)
        self._left[room] -= 1
        if not self._left[room]:
            del self._left[room]
            self._print_room(room)

    def _print_room(self, room: str) -> None:
        counts = self._outcomes.pop(room, Counter())
        told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
        self._terminal.write_line(f"{room:<12} {self._seconds[room]:6.1f} s  {told}")

    def pytest_terminal_summary(self) -> None:
        """Print the rooms that were not finished, and the reasons of the skipped tests."""
        for room in list(self._outcomes):
            self._print_room(room)
        reasons = Counter(
            report.longrepr[2].removeprefix("Skipped: ")
            for report in self._terminal.stats.get("skipped", [])
        )
        for reason, count in sorted(reasons.items()):
            self._terminal.write_line(f"SKIPPED [{count}] {reason}")
