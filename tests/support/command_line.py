"""Runs the command `gaistream` as a process of its own, in pipes or on a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

DEADLINE = 60  # seconds after which a command that hangs fails its test
COMMAND = [sys.executable, "-m", "gaistream"]
# what would change colours, widths and flushing from one machine to the next
_UNSET = {
    "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS", "LINES",
    "PYTHONUNBUFFERED",
}  # fmt: skip
PLAIN = {name: value for name, value in os.environ.items() if name not in _UNSET}


class Ran:
    """A command that has ended: its status, and what it wrote, as text."""

    def __init__(self, status: int, out: bytes, errors: bytes) -> None:
        self.status = status
        self.bytes = out
        self.out = out.decode()
        self.errors = errors.decode()
        assert "Traceback" not in self.errors, self.errors


def run(*arguments: str, stdin: bytes = b"", **environment: str) -> Ran:
    """Run it in pipes, with these bytes on stdin."""
    ran = subprocess.run(
        [*COMMAND, *arguments], input=stdin, capture_output=True, timeout=DEADLINE,
        env={**PLAIN, **environment}, check=False,
    )  # fmt: skip
    return Ran(ran.returncode, ran.stdout, ran.stderr)


def start(*arguments: str, **named: Any) -> subprocess.Popen[bytes]:
    """Start it in pipes, for tests that talk to it while it runs; they end it."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen([*COMMAND, *arguments], **{"env": PLAIN, **pipes, **named})


def end(process: subprocess.Popen[bytes]) -> Ran:
    """Wait for its end, and give what it wrote that was not read."""
    try:
        out, errors = process.communicate(timeout=DEADLINE)
    finally:
        process.kill()
        process.wait()
    return Ran(process.returncode, out or b"", errors or b"")


def run_on_terminal(*arguments: str, **environment: str) -> Ran:
    """Run it with stdout and stderr on a terminal of 100 columns; both are in `out`."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    env = {**PLAIN, "TERM": "xterm-256color", **environment}
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=env
    )
    os.close(theirs)
    written = b""
    try:
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # Linux says it so when the last process has closed the terminal
                break
            if not part:
                break
            written += part
        process.wait(DEADLINE)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return Ran(process.returncode, written.replace(b"\r\n", b"\n"), b"")
