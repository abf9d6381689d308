"""Real servers as processes, on loopback: how each is started, and the errors that it logs.

Each is started by `served` of tests/support, in a session that is killed at the end. Its output
goes to a file, which `unexpected` searches.
"""

from __future__ import annotations

import collections
import contextlib
import os
import re
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
SUPPORT = ROOT / "tests" / "support"
PATHS = [ROOT / "benchmarks", SUPPORT, ROOT]
sys.path.append(str(SUPPORT))

from server_process import Process, served  # noqa: E402  # it is not on a script's path

STARTING = 30.0  # seconds that a server may take to start
# `{fd}` is a listening socket, `{port}` a free port of 127.0.0.1.
COMMANDS = {
    "uvicorn h11": "uvicorn served:app --fd {fd} --http h11 --loop asyncio",
    "uvicorn httptools": "uvicorn served:app --fd {fd} --http httptools --loop asyncio",
    "uvicorn uvloop": "uvicorn served:app --fd {fd} --http httptools --loop uvloop",
    "uvicorn --reload": "uvicorn served:app --fd {fd} --reload",
    "uvicorn --workers 2": "uvicorn served:app --fd {fd} --workers 2",
    "hypercorn": "hypercorn served:app --bind fd://{fd}",
    "hypercorn --workers 0": "hypercorn served:app --bind fd://{fd} --workers 0",
    "hypercorn trio": "hypercorn served:app --bind fd://{fd} --workers 0 --worker-class trio",
    "granian": "granian served:app --interface asgi --host 127.0.0.1 --port {port}",
    "gunicorn asgi": "gunicorn served:app --worker-class asgi --bind fd://{fd}",
    "daphne": "daphne served:app --fd {fd}",
    "gunicorn sync": (
        "gunicorn served:app --worker-class sync --workers 4 --timeout 300 --bind fd://{fd}"
    ),
    "gunicorn gthread": "gunicorn served:app --worker-class gthread --threads 50 --bind fd://{fd}",
    "gunicorn gevent": "gunicorn served:app --worker-class gevent --bind fd://{fd}",
    "waitress": "serve_waitress {fd}",
}


@contextlib.contextmanager
def started(name: str, app: str, home: Path, **environment: str) -> Iterator[Process]:
    """Start the server `name` of COMMANDS with an app, `module:name`, and kill it at the end."""
    module, _, attribute = app.partition(":")
    served_py = f"""
import os, sys
sys.path[:0] = {list(map(str, PATHS))}
os.environ.update({environment})
from {module} import {attribute} as app
"""
    with served(home, served_py, COMMANDS[name].split()) as process:
        yield process


def send_signal(process: Process, number: int) -> None:
    """Send SIGTERM to the process, like a supervisor; SIGINT to its group, like a terminal."""
    if number == signal.SIGINT:
        os.killpg(process.process.pid, number)
    else:
        process.process.send_signal(number)


def is_there(process: Process) -> bool:
    """Return whether the process, or one that it started, still runs."""
    if process.process.poll() is None:
        return True
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.process.pid, 0)
        return True
    return False


def wait_until(condition: Callable[[], bool], seconds: float, interval: float = 0.02) -> bool:
    """Poll until the condition holds; return whether it did so in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval)
    return True


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
