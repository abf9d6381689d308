"""The benchmarks of streams and servers that must end run, and find what is left."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from required import need_package, once_a_check

once_a_check()
pytest.importorskip("resource", reason="the benchmarks need POSIX")

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run(program: str, *arguments: str) -> tuple[int, list[str]]:
    """Run a benchmark; return its exit status and its lines."""
    for package in ("uvicorn", "httptools", "uvloop", "starlette"):
        need_package(package)
    finished = subprocess.run(
        [sys.executable, str(BENCHMARKS / program), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert finished.stderr == ""
    return finished.returncode, finished.stdout.splitlines()


def test_clients_come_and_go_and_leave_nothing():
    sources = "ends,waits,group,never_awaits,raises"
    status, lines = run("kills.py", "uvicorn h11", "--clients", "40", "--sources", sources)
    assert status == 0, lines
    server, *counts = lines[3].replace("uvicorn h11", "uvicorn-h11").split()
    assert (server, counts[0], counts[-7:]) == ("uvicorn-h11", "40", ["0"] * 7)
    assert 15 < int(counts[1]) <= 40  # sources were begun
    assert lines[-1] == "Nothing is left."


def test_answers_go_on_without_their_clients_and_none_is_lost():
    status, lines = run("kills.py", "uvicorn h11", "--answers", "--clients", "40")
    assert status == 0, lines
    assert lines[2].split()[-2:] == ["lost", "errors"]
    assert lines[3].split()[-2:] == ["0", "0"]


class Watched:
    """Server processes with some streams and tasks that do not end."""

    def __init__(self, freed: int) -> None:
        self.held = Counter(streams=3, sources=3, tasks=9, threads=2, fds=20, begun=5)
        self.paths = Counter(hangs=3)
        self._freed = freed

    def counts(self, *, collect: bool = False) -> Counter[str]:
        if collect:
            self.held["tasks"] -= self._freed
        return self.held.copy()


def test_what_is_left_is_seen(monkeypatch):
    import kills

    monkeypatch.setattr(kills, "CLOSING", 0)
    before, result = Counter(tasks=4, threads=3, fds=19, begun=1), kills.Result("any")
    kills.wait(Watched(freed=4), before, 0, result)
    assert result.left == {
        "streams": 3, "sources": 3, "tasks": 1, "threads": 0, "fds": 1, "lost": 0,
    }  # fmt: skip
    assert {name for name, count in result.collected.items() if count} == {"tasks"}
    assert result.collected["tasks"] == 4
    assert (result.begun, result.paths, result.is_right) == (4, Counter(hangs=3), False)


def test_exits_are_measured():
    arguments = ["--sources", "ending", "--signals", "TERM", "--silence", "0.2", "--ending", "0.3"]
    status, lines = run("exits.py", "uvicorn h11", *arguments)
    assert status == 0, lines
    assert lines[-1].startswith("uvicorn h11            TERM    0.")
    assert lines[-1].strip().endswith("3/3 whole, 3 done")


def test_memory_is_measured():
    status, lines = run("memory.py", "threads", "garbage", "--quick")
    assert status == 0, lines
    assert "answers: {'200': 20}" in lines
    named = [line for line in lines if line.startswith(("asgi ", "wsgi"))]
    assert len(named) == 9


def test_every_client_is_drawn_from_the_seed():
    import wild_clients

    paths = wild_clients.PATHS["asgi"]
    drawn = wild_clients.plans(random.Random("1"), 200, paths)
    assert drawn == wild_clients.plans(random.Random("1"), 200, paths)
    assert drawn != wild_clients.plans(random.Random("2"), 200, paths)
    assert {plan.path for plan in drawn} == set(paths)


LOG = """\
INFO: started
ERROR gaistream a stream's source failed
Traceback (most recent call last):
  File "x.py", line 3, in raises
RuntimeError: broken
ERROR asyncio Task was destroyed but it is pending!
[2026-01-02 03:04:05 +0000] [123] [ERROR] Error handling request /a
Traceback (most recent call last):
  File "x.py", line 3, in raises
KeyError: 'a'
"""


@pytest.mark.parametrize("times", [1, 3])
def test_errors_that_the_sources_do_not_raise_are_counted(times):
    import processes

    assert processes.unexpected(LOG * times, "RuntimeError: broken") == Counter({
        "ERROR asyncio Task was destroyed but it is pending!": times,
        "[N-N-N N:N:N +N] [N] [ERROR] Error handling request /a … KeyError: 'a'": times,
    })
