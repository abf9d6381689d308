"""gaistream and its peers, each case in one run: `make bench`. Compare within a group only.

The cases, payloads and checks are those of benchmarks/expressions.py; here each is in a function
of its own, as a caller would have it. The time of a bulk is that of all its events.
"""

from __future__ import annotations

import timeit

import expressions
import pytest

import gaistream

CASES = [
    pytest.param(name, expression, expected, id=f"{title}: {name}",
                 marks=pytest.mark.benchmark(group=f"{number:02d} {title}"))
    for number, (title, _, expected, rows) in enumerate(expressions.GROUPS)
    for name, expression in rows
]  # fmt: skip


@pytest.mark.parametrize(("name", "expression", "expected"), CASES)
def bench_writing(benchmark, name, expression, expected):
    function = eval(f"lambda: {expression}", expressions.NAMES)
    try:
        found = function()
    except NameError as missing:
        pytest.skip(f"not installed: {missing.name}")
    if expected is not None and name != expressions.ONLY_JSON:
        expressions.check(name, found, expected)
    benchmark.extra_info["correct"] = True
    iterations = max(1, timeit.Timer(function).autorange()[0] // 200)  # a millisecond
    benchmark.pedantic(function, iterations=iterations, rounds=30, warmup_rounds=1)


def test_the_compiled_core_is_measured():
    assert gaistream.backend == "native"
