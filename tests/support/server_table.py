"""The servers that gaistream is held to, and in what they differ: one line of KINDS for each.

A kind says what its server does beyond the least that every one does; servers.md in the handbook
says the same to users. Each is started on a socket that listens already, or whose port is kept.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import served_app
from http2_client import HTTP2Client
from real_servers import SECONDS, Client, Server, listen, serve_uvicorn, serve_wsgiref, until
from required import need_package, need_program

import gaistream

Serve = Callable[[int, Path], AbstractContextManager[Server]]


@dataclass(frozen=True)
class Kind:
    """A server as it is served here.

    Args:
        name: what tests call it.
        interface: "asgi" or "wsgi".
        serve: starts it with served_app; gets the control port and a folder.
        framing: how a stream's end is marked: "chunked", "close" (of the connection), "frames".
        keep_alive: a connection serves the next request after a stream.
        several: streams at once.
        early_headers: an ASGI server's headers are sent before there is a body.
        reads_chunked: a request's body may come without a length.
        keeps_accel: X-Accel-Buffering reaches the client.
    """

    name: str
    interface: str
    serve: Serve
    framing: str = "chunked"
    keep_alive: bool = True
    several: bool = True
    early_headers: bool = True
    reads_chunked: bool = True
    keeps_accel: bool = True

    @property
    def client(self) -> type[Client]:
        return HTTP2Client if self.framing == "frames" else Client


# ---- servers as processes ----


def _steered(home: Path, port: int) -> None:
    """Write the module that servers import: `app.asgi` and `app.wsgi`."""
    apps = [f"{each} = served_app.{each}_app({port})" for each in ("asgi", "wsgi")]
    (home / "app.py").write_text("\n".join(["import served_app", *apps, ""]))


@contextlib.contextmanager
def _running(home: Path, command: list[str], fd: int, **environment: str) -> Iterator[None]:
    """Run a process, which must neither end nor fail to."""
    support, package = Path(__file__).parent, Path(gaistream.__file__).parent.parent
    paths = os.pathsep.join(map(str, (home, support, package)))
    environment = {**os.environ, "PYTHONPATH": paths, "HOME": str(home), **environment}
    log = home / f"{Path(command[0]).name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=home, env=environment, pass_fds=[fd], stdout=output, stderr=output
        )
        try:
            yield
            assert process.poll() is None, log.read_text()
        finally:
            process.terminate()
            try:
                process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise AssertionError(f"{command} does not stop:\n{log.read_text()}") from None


def python(interface: str, package: str, *arguments: str) -> Serve:
    """Serve by `python -m package`; `{fd}` in its arguments becomes that of its socket."""

    @contextlib.contextmanager
    def serve(port: int, home: Path) -> Iterator[Server]:
        need_package(package)
        _steered(home, port)
        with listen() as listening:
            listening.settimeout(None)
            fd = listening.fileno()
            options = [each.replace("{fd}", str(fd)) for each in arguments]
            with _running(home, [sys.executable, "-m", package, *options], fd):
                yield Server(package, interface, listening)

    return serve


def gunicorn(worker: str, *more: str) -> Serve:
    """Serve by gunicorn with one worker process."""
    interface = "asgi" if worker == "asgi" else "wsgi"
    options = ["--worker-class", worker, "--log-level", "warning", "--graceful-timeout", "1"]
    return python(interface, "gunicorn", f"app:{interface}", "--bind", "fd://{fd}", *options, *more)


def hypercorn(worker: str) -> Serve:
    """Serve by hypercorn with one worker process: HTTP/1.1 and HTTP/2 on the same port."""
    options = ["--worker-class", worker, "--graceful-timeout", "1", "--log-level", "WARNING"]
    return python("asgi", "hypercorn", "app:asgi", "--bind", "fd://{fd}", *options)


def daphne() -> Serve:
    return python("asgi", "daphne", "--fd", "{fd}", "--verbosity", "0", "app:asgi")


def granian(interface: str, *more: str) -> Serve:
    """Serve by granian, which opens its socket itself."""

    @contextlib.contextmanager
    def serve(port: int, home: Path) -> Iterator[Server]:
        need_package("granian")
        _steered(home, port)
        with socket.socket() as kept:  # so that nobody else gets the port
            kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            kept.bind(("127.0.0.1", 0))
            address = kept.getsockname()
            options = ["--interface", interface, "--host", address[0], "--port", str(address[1])]
            command = [sys.executable, "-m", "granian", *options, "--log-level", "warning", *more]
            with _running(home, [*command, f"app:{interface}"], kept.fileno()):
                until(lambda: _listens(address))
                yield Server("granian", interface, kept)

    return serve


def _listens(address: Any) -> bool:
    with socket.socket() as trying:
        return trying.connect_ex(address) == 0


def waitress() -> Serve:
    program = (
        "import sys, socket, app, waitress;"
        "waitress.serve(app.wsgi, sockets=[socket.socket(fileno=int(sys.argv[1]))])"
    )

    @contextlib.contextmanager
    def serve(port: int, home: Path) -> Iterator[Server]:
        need_package("waitress")
        _steered(home, port)
        with listen() as listening:
            listening.settimeout(None)
            fd = listening.fileno()
            with _running(home, [sys.executable, "-c", program, str(fd)], fd):
                yield Server("waitress", "wsgi", listening)

    return serve


def behind_nginx(inner: Serve) -> Serve:
    """Put nginx in front, with nothing configured but where to pass requests to."""

    @contextlib.contextmanager
    def serve(port: int, home: Path) -> Iterator[Server]:
        program = need_program("nginx")
        with inner(port, home) as server, listen() as listening:
            front = f"server {{ listen 127.0.0.1:{listening.getsockname()[1]};"
            route = f"location / {{ proxy_pass {server.url}; }} }}"
            folders = "".join(
                f"{name}_temp_path {home}/{name};"
                for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            )
            lines = [
                f"daemon off; pid {home}/nginx.pid; error_log stderr;",
                "user root;" if os.geteuid() == 0 else "",
                f"events {{}} http {{ access_log off; {folders} {front} {route} }}",
            ]
            (home / "nginx.conf").write_text("\n".join(lines))
            command = [program, "-p", str(home), "-c", f"{home}/nginx.conf", "-e", "stderr"]
            with _running(home, command, fd := listening.fileno(), NGINX=f"{fd};"):
                front_server = Server("nginx", server.interface, listening)
                front_server.tasks = server.tasks
                yield front_server

    return serve


# ---- servers in this process ----


def uvicorn(http: str, loop: str) -> Serve:
    def serve(port: int, home: Path) -> Any:
        need_package(http)
        need_package(loop)
        return serve_uvicorn(served_app.asgi_app(port), http, loop)

    return serve


def wsgiref(port: int, home: Path) -> Any:
    return serve_wsgiref(served_app.wsgi_app(port))


# ---- the table ----

KINDS = [
    *(
        Kind(f"uvicorn {http} {loop}", "asgi", uvicorn(http, loop))
        for http in ("h11", "httptools")
        for loop in ("asyncio", "uvloop")
    ),
    Kind("hypercorn h1 asyncio", "asgi", hypercorn("asyncio")),
    Kind("hypercorn h1 uvloop", "asgi", hypercorn("uvloop")),
    Kind("hypercorn h1 trio", "asgi", hypercorn("trio")),
    *(
        Kind(f"hypercorn h2 {loop}", "asgi", hypercorn(loop), framing="frames")
        for loop in ("asyncio", "uvloop", "trio")
    ),
    Kind("granian asgi", "asgi", granian("asgi"), early_headers=False),
    Kind("daphne", "asgi", daphne(), early_headers=False),
    Kind("gunicorn asgi", "asgi", gunicorn("asgi"), early_headers=False),
    Kind("nginx uvicorn", "asgi", behind_nginx(uvicorn("h11", "asyncio")), keeps_accel=False),
    Kind("gunicorn sync", "wsgi", gunicorn("sync"), keep_alive=False, several=False),
    Kind("gunicorn gthread", "wsgi", gunicorn("gthread", "--threads", "8", "--keep-alive", "5")),
    Kind("gunicorn gevent", "wsgi", gunicorn("gevent", "--keep-alive", "5")),
    Kind("granian wsgi", "wsgi", granian("wsgi", "--blocking-threads", "8")),
    Kind("waitress", "wsgi", waitress(), keep_alive=False),
    Kind(
        "wsgiref",
        "wsgi",
        wsgiref,
        "close",
        keep_alive=False,
        several=False,
        reads_chunked=False,  # it cannot tell where such a body ends
    ),
    Kind(
        "nginx gunicorn",
        "wsgi",
        behind_nginx(gunicorn("gthread", "--threads", "8")),
        keeps_accel=False,
    ),
]


def on(kinds: list[Kind] = KINDS) -> pytest.MarkDecorator:
    """Run a test on each of these servers."""
    names = [kind.name for kind in kinds]
    return pytest.mark.parametrize("server", kinds, ids=names, indirect=True, scope="module")


def browse(server: Server) -> httpx.Client:
    h2 = server.kind.framing == "frames"
    return httpx.Client(base_url=server.url, timeout=SECONDS, http1=not h2, http2=h2)
