"""A stdin, stdout or stderr that is closed or full: one line and a status, never a traceback."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from command_line import COMMAND, DEADLINE, PLAIN

FULL = "/dev/full"
needs_full = pytest.mark.skipif(not Path(FULL).exists(), reason="there is no /dev/full")
CAPTURE = b"data: 1\n\n"
NO_SPACE = b"Error: No space left on device\n"


def run_in_shell(line: str) -> subprocess.CompletedProcess[bytes]:
    """Run `gaistream` and what follows, as the shell redirects it, with a capture on stdin."""
    command = " ".join([*COMMAND, line])
    return subprocess.run(
        command, shell=True, input=CAPTURE, capture_output=True, timeout=DEADLINE, env=PLAIN
    )


@pytest.mark.parametrize(
    ("line", "status", "errors"),
    [
        ("check - >&-", 2, b"Error: stdout is closed\n"),
        ("convert - >&-", 2, b"Error: stdout is closed\n"),
        ("check --rules >&-", 2, b"Error: stdout is closed\n"),
        ("--version >&-", 2, b"Error: stdout is closed\n"),
        ("--help >&-", 2, b"Error: stdout is closed\n"),
        ("check - <&-", 2, b"Error: cannot read stdin: it is closed\n"),
        ("convert - --to ndjson <&-", 2, b"Error: cannot read stdin: it is closed\n"),
        pytest.param("demo --port 0 > /dev/full", 2, NO_SPACE, marks=needs_full),
        ("tail -d @- http://127.0.0.1:1/ <&-", 2, b"Error: cannot read stdin: it is closed\n"),
        pytest.param("--version > /dev/full", 2, NO_SPACE, marks=needs_full),
        pytest.param("tail --help > /dev/full", 2, NO_SPACE, marks=needs_full),
        pytest.param("check - > /dev/full", 2, NO_SPACE, marks=needs_full),
        pytest.param("convert - > /dev/full", 2, NO_SPACE, marks=needs_full),
    ],
)
def test_without_stdin_or_stdout_there_is_one_line_and_status_2(
    line: str, status: int, errors: bytes
) -> None:
    ran = run_in_shell(line)
    assert (ran.returncode, ran.stdout, ran.stderr) == (status, b"", errors)


@pytest.mark.parametrize(
    ("line", "status", "out"),
    [
        ("convert - --to ndjson 2>&-", 0, b'{"data":"1"}\n'),
        pytest.param("convert - --to ndjson 2>/dev/full", 0, b'{"data":"1"}\n', marks=needs_full),
        ("tail http://127.0.0.1:1/ 2>&-", 2, b""),
        pytest.param("tail http://127.0.0.1:1/ 2>/dev/full", 2, b"", marks=needs_full),
        pytest.param("nothing 2>/dev/full", 2, b"", marks=needs_full),
        pytest.param("check - > /dev/full 2>/dev/full", 2, b"", marks=needs_full),
        ("check - >&- 2>&-", 2, b""),
        ("convert - --to ndjson <&- 2>&-", 2, b""),
    ],
)
def test_a_closed_or_full_stderr_changes_no_result(line: str, status: int, out: bytes) -> None:
    ran = run_in_shell(line)
    assert (ran.returncode, ran.stdout, ran.stderr) == (status, out, b"")


def test_a_message_is_on_stderr_whole() -> None:
    ran = run_in_shell("convert - --to ndjson")
    assert ran.stderr == b"1 event from sse; nothing was lost\n"


@pytest.mark.parametrize("line", ["--version", "check --rules", "check -", "convert -"])
def test_a_reader_that_has_gone_is_status_141(line: str) -> None:
    ends = os.pipe()
    os.close(ends[0])
    with os.fdopen(ends[1], "wb") as gone:
        ran = subprocess.run(
            [*COMMAND, *line.split()], input=CAPTURE, stdout=gone, stderr=subprocess.PIPE,
            timeout=DEADLINE, env=PLAIN,
        )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (141, b"")
