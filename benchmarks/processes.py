"""Real servers as processes, on loopback: how each is started, and the errors that it logs.

A server listens on a socket that is opened before it starts, or on a port that is kept for it. It
runs in its own session, which is killed at the end. Its output goes to a file, which `unexpected`
searches.
"""

from __future__ import annotations

import collections
import contextlib
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PATHS = [ROOT / "benchmarks", ROOT / "tests" / "support", ROOT]

STARTING = 30.0  # seconds that a server may take to start
# `{app}` is module:name, `{fd}` a listening socket, `{port}` a free port of 127.0.0.1.
COMMANDS = {
    "uvicorn h11": "uvicorn {app} --fd {fd} --http h11 --loop asyncio",
    "uvicorn httptools": "uvicorn {app} --fd {fd} --http httptools --loop asyncio",
    "uvicorn uvloop": "uvicorn {app} --fd {fd} --http httptools --loop uvloop",
    "uvicorn --reload": "uvicorn {app} --fd {fd} --reload",
    "uvicorn --workers 2": "uvicorn {app} --fd {fd} --workers 2",
    "hypercorn": "hypercorn {app} --bind fd://{fd}",
    "hypercorn --workers 0": "hypercorn {app} --bind fd://{fd} --workers 0",
    "hypercorn trio": "hypercorn {app} --bind fd://{fd} --workers 0 --worker-class trio",
    "granian": "granian {app} --interface asgi --host 127.0.0.1 --port {port}",
    "gunicorn asgi": "gunicorn {app} --worker-class asgi --bind fd://{fd}",
    "daphne": "daphne {app} --fd {fd}",
    "gunicorn sync": (
        "gunicorn {app} --worker-class sync --workers 4 --timeout 300 --bind fd://{fd}"
    ),
    "gunicorn gthread": "gunicorn {app} --worker-class gthread --threads 50 --bind fd://{fd}",
    "gunicorn gevent": "gunicorn {app} --worker-class gevent --bind fd://{fd}",
    "waitress": "waitress --host 127.0.0.1 --port {port} --threads 50 {app}",
}


class Process:
    """A running server.

    Attributes:
        address: where it listens.
        log: the file with its output.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], address: tuple[str, int], log: Path
    ) -> None:
        self._process = process
        self.pid = process.pid
        self.address = address
        self.log = log

    def send_signal(self, number: int) -> None:
        """Send SIGTERM to the process, as a supervisor does; SIGINT to all, as a terminal does."""
        if number == signal.SIGINT:
            os.killpg(self.pid, number)
        else:
            os.kill(self.pid, number)

    def is_there(self) -> bool:
        """Return whether the process, or one that it started, still runs."""
        if self._process.poll() is None:
            return True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, 0)
            return True
        return False

    def kill(self) -> None:
        """Kill the process and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


@contextlib.contextmanager
def started(name: str, app: str, home: Path, **environment: str) -> Iterator[Process]:
    """Start the server `name` of COMMANDS with an app, and kill it at the end.

    Raises:
        TimeoutError: the server opens its own socket and has not done so in time.
    """
    command = COMMANDS[name]
    own_port = "{port}" in command
    log = home / "server.log"
    with contextlib.ExitStack() as stack:
        kept = stack.enter_context(socket.socket())
        if own_port:  # kept, so that nobody else gets the port, but it does not listen
            kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", 0))
        address = kept.getsockname()
        if not own_port:
            kept.listen(2048)
        arguments = command.format(app=app, fd=kept.fileno(), port=address[1]).split()
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                pass_fds=[kept.fileno()],
                cwd=home,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(map(str, PATHS)),
                    "HOME": str(home),
                    **environment,
                },
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        if not own_port:
            kept.close()  # else it would listen after the server has ended
        running = Process(process, address, log)
        try:
            if own_port and not wait_until(lambda: _listens(address), STARTING):
                raise TimeoutError("it does not listen")
            yield running
        finally:
            running.kill()


def wait_until(condition: Callable[[], bool], seconds: float, interval: float = 0.02) -> bool:
    """Poll until the condition holds; return whether it did so in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval)
    return True


def _listens(address: tuple[str, int]) -> bool:
    """Return whether somebody listens there."""
    with socket.socket() as trying:
        return trying.connect_ex(address) == 0


def allow_many_files() -> None:
    """Raise the limit of open files to the most that is allowed; servers inherit it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


# ---- logs ----

_ENTRY = re.compile(r"(?m)^(?=.{0,60}\b(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)\b|Exception ignored)")
_WRONG = re.compile(r"\b(?:ERROR|CRITICAL)\b|Traceback|Exception ignored|never retrieved|awaited")
_RAISED = re.compile(r"(?m)^[\s|]*([\w.]+(?:Error|Exception|Group|Exit|Interrupt|Cancelled)\b.*)$")


def unexpected(log: str, expected: str) -> collections.Counter[str]:
    """Count the errors in a server's output, apart from those that match a pattern.

    Returns:
        Counts by a line that names the kind: how the entry begins, and the last that was raised.
    """
    found: collections.Counter[str] = collections.Counter()
    for entry in _ENTRY.split(log):
        if _WRONG.search(entry) and not re.search(expected, entry):
            raised = _RAISED.findall(entry)
            words = entry.split("\n", 1)[0] + (f" … {raised[-1]}" if raised else "")
            found[re.sub(r"0x[0-9a-f]+|\d+", "N", words)[:200]] += 1
    return found
