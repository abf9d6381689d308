"""The plot of the README: each case's peers as bars, gaistream's in colour, by peers.py."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from expressions import Group, Row
from matplotlib import pyplot

# title of the group, and what to leave out
SHOWN = (
    "a small frame", "an event through a writer to its sink", "4 KB in 40 lines",
    "an OpenAI chunk", "84-byte events read, one a chunk",
    "77-byte lines of NDJSON read, to dicts of two fields",
)  # fmt: skip
OURS, TWIN, OTHER = "#1f6f8b", "#8fbccb", "#b9b9b9"


def colour(row: Row) -> str:
    if "pure twin" in row.name:
        return TWIN
    ours = ("encode_", "SSE", "NDJSON", "FrameTemplate")
    return OURS if row.name.startswith(ours) else OTHER


def plot(groups: list[Group], place: Path) -> None:
    """Draw the chosen groups, one axis each, nanoseconds on a logarithmic scale."""
    chosen = [group for title in SHOWN for group in groups if group.title == title]
    mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "gaistream", "font.size": 9}
    counts = [sum(row.ns is not None for row in group.rows) for group in chosen]
    figure, axes = pyplot.subplots(
        len(chosen), 1, figsize=(8, 0.24 * sum(counts) + 0.5 * len(chosen)), sharex=True,
        gridspec_kw={"height_ratios": counts}, layout="constrained", squeeze=False,
    )  # fmt: skip
    for axis, group in zip(axes[:, 0], chosen, strict=True):
        rows = sorted((row for row in group.rows if row.ns), key=lambda row: -(row.ns or 0))
        costs = [row.ns or 0 for row in rows]
        bars = axis.barh([row.name for row in rows], costs, color=[colour(row) for row in rows],
                         height=0.72)  # fmt: skip
        axis.bar_label(bars, [f"{cost:,.0f}" for cost in costs], padding=3, fontsize=8)
        axis.set_xscale("log")
        axis.set_title(group.title, loc="left", fontsize=10, fontweight="bold")
        axis.spines[["top", "right", "bottom"]].set_visible(False)
        axis.tick_params(axis="y", length=0)
        axis.xaxis.set_visible(False)
        axis.margins(x=0.12)
    figure.supxlabel("nanoseconds an event, less is better (logarithmic scale)", fontsize=9)
    figure.savefig(place, metadata={"Date": None, "Creator": None}, facecolor="white")
    pyplot.close(figure)
