"""How the suite is divided between its two runs, shared out to processes and reported."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest
from suite import RoomReporter, encodable, names_its_twin, room_of


@pytest.mark.parametrize(
    ("nodeid", "room"),
    [
        ("tests/client/test_cuts.py::test_it[a::b]", "client"),
        ("tests/test_imports.py", "package"),
        ("tests/release/test_dist.py::test_it", "release"),
        ("tests/streaming/test_clock.py::test_it", "streaming"),
        ("tests/core/pure/test_sse.py::test_it", "core"),
    ],
)
def test_the_room_of_a_test(nodeid, room):
    assert room_of(nodeid) == room


def test_one_line_a_room_when_its_last_test_has_ended_and_one_a_reason():
    lines = []
    terminal = SimpleNamespace(write_line=lines.append, stats={}, showfspath=True)
    reporter = RoomReporter(terminal)
    tests = ["tests/a/test_1.py::test", "tests/b/test_2.py::test", "tests/a/test_3.py::test"]
    reporter.pytest_xdist_node_collection_finished(None, tests)
    reporter.pytest_xdist_node_collection_finished(None, tests)  # of the second process
    for nodeid, outcome in zip(tests, ["passed", "failed", "skipped"], strict=True):
        when = "setup" if outcome == "skipped" else "call"
        report = SimpleNamespace(nodeid=nodeid, outcome=outcome, when=when, duration=0.5)
        reporter.pytest_runtest_logreport(report)
        reporter.pytest_runtest_logfinish(nodeid)
    skips = [SimpleNamespace(longrepr=("file", line, "Skipped: no nginx")) for line in (1, 2)]
    terminal.stats["skipped"] = skips
    reporter.pytest_terminal_summary()
    assert [" ".join(line.split()) for line in lines] == [
        "b 0.5 s 1 failed", "a 1.0 s 1 passed, 1 skipped", "SKIPPED [2] no nginx",
    ]  # fmt: skip


def test_this_runs_on_each_twin(gs, request):
    assert names_its_twin(request.node) is (gs.backend == "pure")


def test_this_compares_the_twins(both, request):
    assert names_its_twin(request.node)


@pytest.mark.parametrize("word", ["native", "purest"])
def test_this_knows_no_twin(word, request):
    assert not names_its_twin(request.node)


def test_a_report_with_lone_surrogates_can_be_sent():
    data = {"sections": [("log", "a \ud83d b")], "when": "call", "duration": 0.5, "nodes": None}
    assert encodable(data) == {**data, "sections": [("log", "a \\ud83d b")]}


def test_the_run_after_the_native_one_may_have_nothing_left_to_do():
    chosen = [f"{__file__}::test_this_runs_on_each_twin", "--after-native"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120,
                         env={"GAISTREAM_BACKEND": "pure", "PATH": "/usr/bin:/bin"})  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 deselected in " in ran.stdout
