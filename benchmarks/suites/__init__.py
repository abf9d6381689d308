"""What ASV follows from commit to commit: `make asv`. Every module here is a suite, and only here.

Each time stands beside a check of what was made, without which the benchmark fails; parameters are
sizes, chunkings and twins, so that growth shows as a curve. The payloads are those of
benchmarks/payloads.py, one folder up. A suite runs on older commits too, as far as these have what
it measures.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("GAISTREAM_BACKEND", "native")
sys.path.append(str(Path(__file__).resolve().parent.parent))

import payloads

TWINS: dict[str, Any] = {
    "native": importlib.import_module("gaistream.core._core"), "pure": payloads.pure_twin(),
}  # fmt: skip
SMOKE = "GAISTREAM_SMOKE" in os.environ  # only that everything runs is asked


def sizes(*values: int) -> tuple[int, ...]:
    """Give the sizes to measure with, in rising order; the first alone in a smoke run."""
    return values[:1] if SMOKE else values


class Timed:
    """How long a time is taken: little, so that a few commits take minutes."""

    warmup_time = 0.02  # seconds
    sample_time = 0.005
    repeat = (3, 15, 0.3)  # least, most, and the seconds after which no more are taken


def must(found: object, expected: object) -> None:
    """Fail the benchmark of something that came out wrong."""
    if found != expected:
        raise AssertionError(f"{found!r:.200} is not {expected!r:.200}")


def allocations() -> int:
    """Count the calls of the core's allocator so far, for memory and for bytes."""
    return sum(TWINS["native"].allocations())
