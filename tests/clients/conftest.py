"""Prints the matrix of the vendors' clients after the tests: a row a client, a column a case."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from client_matrix import CLIENTS, COLUMNS, not_applicable


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what came out: `ok`, `FAILED`, `n.a.` with its reason below, `-` if it did not run."""
    cells: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, ()):
            for client, column, *result in (
                value for name, value in report.user_properties if name == "cell"
            ):
                cells[client, column].append(result[0] if result else outcome)
    if not cells:
        return
    rows = []
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    for client in CLIENTS:
        row = []
        for column in COLUMNS:
            results = cells[str(client), column]
            if reason := not_applicable(client, column):
                row.append("n.a.")
                reasons[f"{column}: {reason}"].append(str(client))
            elif "failed" in results:
                row.append("FAILED")
            else:
                row.append(f"ok {len(results)}" if results else "-")
        rows.append([str(client), *row])
        for field, reason in client.lacks.items():
            if field not in COLUMNS:
                reasons[f"{field} not compared: {reason}"].append(str(client))
    write = terminalreporter.write_line
    widths = [max(map(len, column)) for column in zip(["", *COLUMNS], *rows, strict=True)]
    for row in [["", *COLUMNS], *rows]:
        write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
    for reason, clients in reasons.items():
        write(f"{reason} ({'; '.join(clients)})")
