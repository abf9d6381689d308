"""gaistream and every peer that is installed, in one run: `make peers`.

Prints, as Markdown, the versions, the machine, each case's table (the least nanoseconds an event,
the ratio to the first row, and what a peer gets wrong), then what was aimed at and whether it was
met. What every peer made or read was checked before its figure counts. `--write` puts the tables
into benchmarks/peers.md, the plot into benchmarks/peers.svg, the summary into docs/performance.md,
and the README's rows anew.

Timings are noisy where others work on the machine: compare within a table only. What is written in
Go or JavaScript runs in a process of its own, behind the rest.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import expressions
import other_languages
import peer_readers
import peer_writers
import reading
from expressions import Group, Row
from other_languages import Missing

import gaistream

HERE = Path(__file__).resolve().parent
README = HERE.parent / "README.md"
PERFORMANCE = HERE.parent / "docs" / "performance.md"
LINES = "77-byte lines of NDJSON read, to dicts of two fields"
SMALL = "f-string and encode of the small frame"  # beside which rows of other groups are set
# that a row costs at most so many times what another of its group does, or the small frame
AIMS = [
    ("a small frame", "encode_sse, event by keyword", "f-string and encode", 0.7),
    ("a small frame", "encode_sse", "f-string and encode", 0.6),
    ("a small frame", "encode_sse", expressions.FLOOR, 1.3),
    ("a small frame", "the pure twin", "f-string and encode", 3),
    ("a small frame", "the pure twin", "sse-starlette", 1),
    ("4 KB in 40 lines", "encode_sse", "split and join", 1 / 8),
    ("4 KB in 40 lines", "the pure twin", "sse-starlette", 1),
    ("1 MB in a line", "encode_sse", "bytes of a view: a copy", 1.3),
    ("1 MB in a line", "the pure twin", "sse-starlette", 1),
    ("a token to its frame", "FrameTemplate.render", SMALL, 0.33),
    ("a token to its frame", "encode_events of one", "orjson and concatenation", 1),
    ("a thousand tokens, each", "FrameTemplate.render_many", SMALL, 0.12),
    ("a thousand tokens, each", "encode_events", SMALL, 0.12),
    (expressions.CHUNK_DICT, "encode_sse(json=)", "orjson.dumps alone", 1.2),
    ("an OpenAI chunk", "FrameTemplate.render", "pydantic, built and dumped", 0.01),
    (expressions.A_DELTA, "openai_responses", expressions.RESPONSES, 1 / 40),
    (expressions.A_DELTA, "ag_ui", "gai", 1.3),
    (expressions.A_DELTA, "ag_ui", expressions.AG_UI, 1 / 60),
    ("an NDJSON line of 60 bytes", "encode_ndjson", "orjson", 1.25),
    ("an NDJSON line of 2 KB", "encode_ndjson", "orjson", 1.05),
    ("a thousand NDJSON lines, each", "encode_ndjson_lines", "encode_ndjson of each, joined", 0.9),
    (expressions.WRITER, "SSEWriter.write_event", "the Go original's WriteEvent", 0.5),
]


# ---- measuring ----


def measure(quick: bool) -> list[Group]:
    """Measure everything; ValueError where something came out wrong."""
    groups = list(expressions.measure(2 if quick else expressions.ROUNDS))
    for title, rows, expected in reading.groups():
        least = reading.measure(rows, expected, 1 if quick else reading.ROUNDS)
        found = [Row(name, 1e9 * seconds / len(expected)) for name, seconds in least.items()]
        groups.append(Group(title, found))
    add_scores(groups)
    add_node(groups)
    add_go(groups)
    return groups


def group_of(groups: list[Group], title: str) -> Group:
    return next(group for group in groups if group.title == title)


def add_scores(groups: list[Group]) -> None:
    """Say of each reader how many of the standard's cases it reads rightly."""
    rows = {row.name: row for row in group_of(groups, reading.ONE_A_CHUNK).rows}
    for name, (_, read) in peer_readers.peers().items():
        right, cases = peer_readers.score(read)
        rows[name].note = f"right in {right} of {cases} cases"
    for name, core in (("SSEDecoder", gaistream), ("the pure twin", gaistream.core.pure)):
        right, cases = peer_readers.score(
            lambda chunks, core=core: reading.gaistream_reader(chunks, core.SSEDecoder)()
        )
        rows[name].note = f"right in {right} of {cases} cases"


def add_node(groups: list[Group]) -> None:
    """Add eventsource-parser to what it reads, or why it is not there."""
    chunks = {
        reading.ONE_A_CHUNK: [reading.SMALL] * reading.EVENTS,
        reading.IN_4_KB: reading.chunks_of(reading.SMALL * reading.EVENTS, 4096),
        reading.LARGE_EVENTS: [reading.LARGE],
    }
    data = {title: reading_of(each) for title, each in chunks.items()}
    try:
        found = other_languages.node(
            {title: (each, data[title]) for title, each in chunks.items()},
            HERE.parent / "build" / "peers",
        )
    except Missing as missing:
        found = {"version": "", "missing": str(missing)}
    for title in chunks:
        row = Row(f"eventsource-parser {found['version']}".rstrip(), None, found.get("missing", ""))
        if title in found:
            row.ns = found[title]["ns"]
        group_of(groups, title).rows.append(row)


def reading_of(chunks: list[bytes]) -> list[str]:
    return reading.gaistream_reader(chunks, gaistream.SSEDecoder)()


def add_go(groups: list[Group]) -> None:
    """Add the Go original's figures, or why they are not there."""
    try:
        found: dict[str, Any] = other_languages.go()
    except Missing as missing:
        found = {"missing": str(missing)}
    for title, name, what in (
        (expressions.WRITER, "the Go original's WriteEvent", "WriteEvent"),
        (expressions.WRITER, "the Go original, a token of an SSE stream", "SSE stream"),
        (expressions.WRITER, "the Go original, a token of an NDJSON stream", "NDJSON stream"),
        (LINES, "the Go original's reader", "NDJSON reader"),
    ):
        row = Row(name, None, found.get("missing", ""))
        if what in found:
            row.ns = found[what]["ns"]
            row.note = (f"re-created, {found['version']}; "
                        f"{found[what]['allocations']:.0f} allocations")  # fmt: skip
        group_of(groups, title).rows.append(row)
    rows = group_of(groups, expressions.WRITER).rows
    rows.insert(0, rows.pop(-3))  # what the others are compared with


# ---- saying ----


def machine() -> str:
    model = platform.machine()
    cores = 0
    for line in (Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else ()):
        if line.startswith("model name"):
            model, cores = line.partition(":")[2].strip(), cores + 1
    python = f"{platform.python_implementation()} {platform.python_version()}"
    said = f"{python}, {platform.system()} on {model}"
    return f"{said}, {cores} cores" if cores else said


def versions() -> str:
    """Name gaistream's version and those of the peers that were measured."""
    try:
        commit = f"{other_languages.run(['git', 'describe', '--always'], HERE).strip()}, "
    except (Missing, OSError):
        commit = ""
    names = {name for name, _ in peer_writers.peers().values()}
    names |= {name for name, _ in (peer_readers.peers() | peer_readers.line_peers()).values()}
    there = [f"{name} {importlib.metadata.version(name)}"
             for name in sorted({*names, "orjson", "pydantic"})]  # fmt: skip
    own = f"gaistream {gaistream.__version__} ({commit}{gaistream.backend})"
    return ", ".join([own, *there])


def figure(ns: float) -> str:
    if ns >= 100_000:
        return f"{ns / 1000:,.0f} µs"
    return f"{ns:,.0f}" if ns >= 10 else f"{ns:.1f}"


def ratio(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2f}" if value >= 0.095 else f"{value:.3f}"


def table(group: Group) -> Iterator[str]:
    """Yield the lines of a group's table."""
    first = next((row.ns for row in group.rows if row.ns), None)
    yield f"| **{group.title}** | ns | × the first | |"
    yield "|---|---|---|---|"
    for row in group.rows:
        if row.ns is None or first is None:
            yield f"| {row.name} | – | | {row.note} |"
        else:
            yield f"| {row.name} | {figure(row.ns)} | {ratio(row.ns / first)} | {row.note} |"
    yield ""


def outcomes(groups: list[Group]) -> Iterator[tuple[str, str, str, float, float]]:
    """Yield each aim that can be judged: group, row, compared row, limit and result."""
    costs = {(group.title, row.name): row.ns for group in groups for row in group.rows if row.ns}
    for group in groups:
        costs[group.title, SMALL] = costs.get(("a small frame", "f-string and encode"), 0)
    for title, name, beside, most in AIMS:
        mine, other = costs.get((title, name)), costs.get((title, beside))
        if mine and other:
            yield title, name, beside, most, mine / other


def aims(groups: list[Group]) -> Iterator[str]:
    """Yield the table of the aims and their results."""
    yield "| aimed at | at most | is | |"
    yield "|---|---|---|---|"
    for title, name, beside, most, found in outcomes(groups):
        met = "met" if found <= most else "missed"
        yield f"| {title}: {name} ÷ {beside} | {ratio(most)} | {ratio(found)} | {met} |"
    yield ""


def missed(groups: list[Group]) -> str:
    """List what was aimed at and missed."""
    said = [
        f"- {title}: {name} ÷ {beside} was to be at most {ratio(most)}, and is {ratio(found)}"
        for title, name, beside, most, found in outcomes(groups) if found > most
    ]  # fmt: skip
    return "\n".join(["Aimed at and missed:", "", *said] if said else ["No aim was missed."])


OURS = ("encode_", "SSE", "NDJSON", "FrameTemplate", "LineSplitter", "TextDelta")


def is_ours(row: Row) -> bool:
    return row.name.startswith(OURS) and "joined" not in row.name


def is_peer(row: Row) -> bool:
    """Return True if a row is another way to the same result: not ours, not a floor, not more."""
    more = ("the floor", "the pure twin", "the Go original, a token")
    return not is_ours(row) and not row.name.startswith(more)


def summary(groups: list[Group]) -> Iterator[str]:
    """Yield one line a group: its first row, gaistream's, the fastest peer's."""
    yield "| | beside | gaistream | the pure twin | fastest other |"
    yield "|---|---|---|---|---|"
    for group in groups:
        first, ours, other = compared(group)
        if first is None or ours is None:
            continue
        cells = [f"{first.name} {figure(first.ns or 0)}", said(ours, first)]
        twin = [row for row in group.rows if row.ns and "pure twin" in row.name]
        cells.append(ratio((twin[0].ns or 0) / (first.ns or 1)) if twin else "")
        cells.append(said(other, first) if other else "")
        yield f"| {group.title} | {' | '.join(cells)} |"
    yield ""


def compared(group: Group) -> tuple[Row | None, Row | None, Row | None]:
    """Return the first row, ours and the fastest peer; None if the first is ours."""
    rows = [row for row in group.rows if row.ns]
    ours = [row for row in rows if is_ours(row) and "data_bytes" not in row.name]
    others = [row for row in rows[1:] if is_peer(row)]
    if not ours or is_ours(rows[0]):
        return None, None, None
    return rows[0], cheapest(ours), cheapest(others) if others else None


def cheapest(rows: list[Row]) -> Row:
    return min(rows, key=lambda row: row.ns or 0)


def readme_row(group: Group) -> str:
    """Return a group as a row of the README's table."""
    first, ours, other = compared(group)
    assert first is not None
    assert ours is not None
    beside = [f"{row.name} {figure(row.ns or 0)}" for row in (first, other) if row is not None]
    return f"| {group.title} | {figure(ours.ns or 0)} ns | {'; '.join(beside)} | `make peers` |"


def said(row: Row, first: Row) -> str:
    code = f"`{row.name}`" if is_ours(row) else row.name
    return f"{code} {figure(row.ns or 0)}, {ratio((row.ns or 0) / (first.ns or 1))}"


def write(groups: list[Group], text: str) -> None:
    """Put the tables, the plot and the summary where the repository keeps them."""
    import peers_plot

    (HERE / "peers.md").write_text(f"# What `make peers` printed\n\n{text}\n")
    peers_plot.plot(groups, HERE / "peers.svg")
    page = PERFORMANCE.read_text()
    lines = "\n".join([*summary(groups), missed(groups), ""])
    page, count = re.subn(r"(?s)(<!-- peers -->\n).*?(<!-- /peers -->)",
                          lambda found: f"{found[1]}{lines}{found[2]}", page)  # fmt: skip
    if count != 1:
        sys.exit("docs/performance.md has no place between <!-- peers --> and <!-- /peers -->")
    PERFORMANCE.write_text(page)
    readme = README.read_text()
    for group in groups:
        row = re.search(rf"(?m)^\| {re.escape(group.title)} \|.*$", readme)
        if row is not None:
            readme = readme.replace(row[0], readme_row(group))
    README.write_text(readme)


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description="gaistream and its peers in one run.")
    parser.add_argument("--quick", action="store_true", help="few rounds: figures say nothing")
    parser.add_argument("--write", action="store_true", help="into benchmarks/, docs/, the README")
    given = parser.parse_args()
    groups = measure(given.quick)
    text = "\n".join([f"{versions()}; {machine()}.", "", *(
        line for group in groups for line in table(group)), *aims(groups)])  # fmt: skip
    print(text)
    if not given.quick:
        reading.curves()
    if given.write:
        write(groups, text)


if __name__ == "__main__":
    main()
