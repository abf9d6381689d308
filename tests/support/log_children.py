"""Processes that produce into a log or follow one: see log_child.py."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import log_child


@contextlib.contextmanager
def child(role: str, path: Path | str, *more: Any) -> Iterator[subprocess.Popen[str]]:
    arguments = [sys.executable, log_child.__file__, role, str(path), *map(str, more)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    with process:
        try:
            yield process
        finally:
            process.kill()


def lines(process: subprocess.Popen[str]) -> Iterator[list[str]]:
    """Yield the whole lines that a process prints, until it has ended."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.endswith("\n"):
            yield line.split()
