"""An SQLiteLog that is in use when its process forks, as under gunicorn's --preload."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, sys, threading
from gaistream.replay import End, Record, SQLiteLog, run_in_thread

log = SQLiteLog(sys.argv[1])
epoch = run_in_thread(log.begin("s"))
run_in_thread(log.append("s", epoch, 1, [Record(b"parent")]))
page = run_in_thread(log.read("s"))
waits = threading.Thread(target=lambda: run_in_thread(log.wait("s", page)))
waits.start()
while not log._thread._waiters:
    pass
child = os.fork()
if child == 0:
    run_in_thread(log.append("s", epoch, 2, [Record(b"child")]))
    run_in_thread(log.aclose())
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
waits.join()  # the child's record has woken it
run_in_thread(log.append("s", epoch, 3, [Record(b"parent")]))
print([record.data for record in run_in_thread(log.read("s")).records])
run_in_thread(log.aclose())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_parent_and_child_go_on_after_a_fork(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(tmp_path / "log.db")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.stdout == "[b'parent', b'child', b'parent']\n", done.stderr
