"""An HTTP server of plain sockets that answers each connection by the next step of a script."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

from real_servers import SECONDS, listen

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
Step = bytes | Callable[[socket.socket], None]


def stalled(said: bytes) -> Step:
    """Say this, and then nothing until the client goes."""

    def step(connection: socket.socket) -> None:
        connection.sendall(said)
        connection.recv(1)

    return step


def cut(said: bytes) -> Step:
    """Say this in a chunk, and end within the body."""
    return HEAD.replace(b"Connection: close", b"Transfer-Encoding: chunked") + (
        b"%x\r\n%b\r\n" % (len(said), said)
    )


def reset(said: bytes) -> Step:
    """Say this and reset the connection, once the client has read it."""

    def step(connection: socket.socket) -> None:
        connection.sendall(said)
        while True:  # data behind which a reset comes too early is lost
            queued = struct.unpack("i", _queued(connection))[0]
            if not queued:
                break
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return step


def _queued(connection: socket.socket) -> bytes:
    import fcntl

    return fcntl.ioctl(connection, 0x5411, b"\0\0\0\0")  # SIOCOUTQ


class Scripted:
    """The requests that came, and where the server is."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[tuple[str, dict[str, str], bytes]] = []

    @property
    def ids(self) -> list[str | None]:
        return [headers.get("last-event-id") for _, headers, _ in self.requests]


@contextlib.contextmanager
def scripted(*steps: Step) -> Iterator[Scripted]:
    """Serve the steps, one a connection; all of them must be asked for."""
    with listen() as listening:
        server = Scripted(f"http://127.0.0.1:{listening.getsockname()[1]}/")

        def serve() -> None:
            for step in steps:
                connection, _ = listening.accept()
                connection.settimeout(SECONDS)
                with connection, contextlib.suppress(ConnectionError):
                    server.requests.append(_request(connection))
                    step(connection) if callable(step) else connection.sendall(step)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server
        thread.join(SECONDS)
        assert not thread.is_alive()
        assert len(server.requests) == len(steps)


def _request(connection: socket.socket) -> tuple[str, dict[str, str], bytes]:
    said = b""
    while b"\r\n\r\n" not in said:
        part = connection.recv(65536)
        if not part:
            raise ConnectionError
        said += part
    head, _, body = said.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65536)
    return first, headers, body
