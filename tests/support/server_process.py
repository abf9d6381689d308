"""Servers in processes of their own, as their command lines start them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from frames import said
from real_servers import SECONDS, Client, listen, until

import gaistream

WAITRESS = """
import socket, sys
import waitress

if __name__ == "__main__":
    listening = socket.socket(fileno=int(sys.argv[1]))
    import served
    waitress.serve(served.app, sockets=[listening], threads=8)
"""


class Process:
    """A server in a process of its own, and of its own group."""

    def __init__(self, process: subprocess.Popen[bytes], address: tuple[str, int]) -> None:
        self.process = process
        self.address = address

    def clients(self, count: int, path: str = "/") -> list[Client]:
        """Open streams, each of which has said the first thing that it has to say."""
        clients = [Client(self.address).ask(path) for _ in range(count)]
        for client in clients:
            assert client.head()[0] == 200
            client.until(said("hello"))
        return clients

    def has_ended(self) -> bool:
        """Wait for its end, as a server is to end at a signal."""
        return self.process.wait(SECONDS) in (0, -signal.SIGTERM)


@contextlib.contextmanager
def served(home: Path, app: str, command: list[str]) -> Iterator[Process]:
    """Run a server on a socket of ours, or on a free port where it opens its own."""
    (home / "served.py").write_text(app)
    (home / "serve_waitress.py").write_text(WAITRESS)
    own = any("{port}" in each for each in command)
    with contextlib.ExitStack() as stack:
        kept = stack.enter_context(socket.socket() if own else listen())
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if own:  # it is kept, so that nobody else gets the port, but does not listen
            kept.bind(("127.0.0.1", 0))
        kept.settimeout(None)
        address = kept.getsockname()
        values = {"fd": kept.fileno(), "port": address[1]}
        path = os.pathsep.join([str(home), str(Path(gaistream.__file__).parent.parent)])
        with (home / "server.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *(each.format(**values) for each in command)],
                pass_fds=[kept.fileno()],
                cwd=home,
                env={**os.environ, "PYTHONPATH": path, "HOME": str(home)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            if own:
                until(lambda: _listens(address))
            else:
                kept.close()
            yield Process(process, address)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # also what a killed master leaves
            process.wait()


def _listens(address: Any) -> bool:
    with socket.socket() as trying:
        return trying.connect_ex(address) == 0
