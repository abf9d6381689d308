"""What reading costs, beside the peers, each case in one run: `make bench`.

The readers, payloads and checks are those of benchmarks/reading.py, which also prints the curves.
A row's time is of the whole stream: 2000 events, or 5000 lines.
"""

from __future__ import annotations

import pytest
import reading

import gaistream

GROUPS = {group: (rows, expected) for group, rows, expected in reading.groups()}
CASES = [
    pytest.param(read, expected, id=f"{group}: {name}", marks=pytest.mark.benchmark(group=group))
    for group, (rows, expected) in GROUPS.items()
    for name, read in rows
]


@pytest.mark.parametrize(("read", "expected"), CASES)
def bench_reading(benchmark, read, expected):
    found = benchmark.pedantic(read, rounds=15, warmup_rounds=1)
    benchmark.extra_info["correct"] = reading.agrees(found, expected)
    assert benchmark.extra_info["correct"]


def test_the_compiled_core_is_measured():
    assert gaistream.backend == "native"
