"""The workers for gunicorn: each recycles itself in a real server, and no client keeps it alive."""

from __future__ import annotations

import contextlib
import importlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from real_servers import SECONDS, Client, until
from server_process import Process, served

pytest.importorskip("gunicorn", "25", reason="gunicorn 25 is not installed")

from gunicorn.util import load_class

from gaistream.errors import FrameError

COMMON = """
import itertools, os
from gaistream import SSEOptions
from gaistream.frameworks import gunicorn

class Worker(gunicorn.{worker}):
    grace = 0.4
    retry_ms = 2000

silent = SSEOptions(heartbeat_interval=None)
"""
ASGI_APP = (
    COMMON
    + """
import anyio
from gaistream.asgi import SSEResponse

async def talking():
    for number in itertools.count():
        yield "more" if number else "hello"
        await anyio.sleep(0.02)

async def much():
    while True:
        yield "x" * 10_000

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            phase = (await receive())["type"]
            await send({{"type": phase + ".complete"}})
            if phase == "lifespan.shutdown":
                print("lifespan ended", flush=True)
                return
    elif scope["path"] == "/pid":
        await send({{"type": "http.response.start", "status": 200, "headers": []}})
        await send({{"type": "http.response.body", "body": b"%d" % os.getpid()}})
    else:
        source = talking() if scope["path"] == "/" else much()
        await SSEResponse(source, silent, send_timeout=0.2)(scope, receive, send)
"""
)
WSGI_APP = (
    COMMON
    + """
import time
from gaistream.wsgi import SSEResponse

def talking():
    for number in itertools.count():
        yield "more" if number else "hello"
        time.sleep(0.02)

def much():
    while True:
        yield "x" * 10_000

def app(environ, start_response):
    if environ["PATH_INFO"] == "/pid":
        start_response("200 OK", [])
        return [b"%d" % os.getpid()]
    source = talking() if environ["PATH_INFO"] == "/" else much()
    return SSEResponse(source, silent)(environ, start_response)
"""
)
GUNICORN = ["gunicorn", "served:app", "--bind", "fd://{fd}", "--worker-class", "served.Worker"]
WORKERS = ["ASGIWorker", "UvicornWorker", "ThreadWorker"]


@contextlib.contextmanager
def gunicorn(home: Path, worker: str, *more: str) -> Iterator[Process]:
    """Run gunicorn with one worker, of a subclass of ours."""
    load(worker)
    app = WSGI_APP if worker == "ThreadWorker" else ASGI_APP
    threads = ["--threads", "4"] if worker == "ThreadWorker" else []
    with served(home, app.format(worker=worker), [*GUNICORN, *threads, *more]) as server:
        yield server


def pid(server: Process) -> int:
    """Return the id of the process that answers; one that recycles itself may be gone."""
    client = Client(server.address)
    try:
        client.ask("/pid").head()
        return int(client.rest())
    finally:
        client.close()


def recycled(server: Process, first: int) -> bool:
    """Wait until another worker answers; the former one may cut its last connections."""
    with contextlib.suppress(OSError, IndexError):
        return pid(server) != first
    return False


def reads_nothing(server: Process) -> Client:
    """Return a client that has requested much and read only the head."""
    client = Client(server.address, receive_buffer=4096)
    assert client.ask("/much").head()[0] == 200
    return client


@pytest.mark.parametrize("worker", WORKERS)
def test_a_worker_that_recycles_itself_ends_its_streams_whole_and_the_next_one_serves(
    tmp_path: Path, worker: str
) -> None:
    with gunicorn(tmp_path, worker, "--max-requests", "2") as server:
        [client] = server.clients(1)
        first = pid(server)
        until(lambda: recycled(server, first))
        assert client.rest().endswith(b"retry: 2000\n")
        client.close()


@pytest.mark.parametrize("worker", WORKERS)
def test_at_a_signal_streams_end_whole_and_a_client_that_reads_nothing_keeps_no_worker(
    tmp_path: Path, worker: str
) -> None:
    with gunicorn(tmp_path, worker) as server:
        [client] = server.clients(1)
        with contextlib.closing(reads_nothing(server)):
            server.process.send_signal(signal.SIGTERM)
            assert client.rest().endswith(b"retry: 2000\n")
            client.close()
            assert server.has_ended()
        if worker != "ThreadWorker":
            assert "lifespan ended" in (tmp_path / "server.log").read_text()


@pytest.mark.parametrize("worker", WORKERS)
def test_gunicorn_finds_the_classes_by_their_names(worker: str) -> None:
    found = load(worker)
    assert found.__name__ == worker
    assert issubclass(found, load_class("gunicorn.workers.base.Worker"))
    assert (found.grace, found.retry_ms) == (5.0, None)


def load(worker: str) -> Any:
    if worker == "UvicornWorker":
        pytest.importorskip("uvicorn_worker", reason="uvicorn-worker is not installed")
    return load_class(f"gaistream.frameworks.gunicorn.{worker}")


@pytest.mark.parametrize("worker", WORKERS)
def test_the_grace_ends_before_the_server_cuts(worker: str) -> None:
    def allowed(grace: float, graceful_timeout: float, timeout: float) -> float:
        cfg = SimpleNamespace(graceful_timeout=graceful_timeout, timeout=timeout)
        return load(worker)._allowed_grace(SimpleNamespace(grace=grace, cfg=cfg))

    assert allowed(5, 30, 30) == 5
    assert allowed(100, 30, 30) == 28
    assert allowed(100, 30, 20) == 18
    assert allowed(100, 20, 0) == 18  # without a --timeout
    assert allowed(5, 2, 30) == 0.5
    assert allowed(5, 0, 30) == 0


@pytest.mark.parametrize("worker", WORKERS)
def test_wrong_settings_are_refused_before_the_fork(worker: str) -> None:
    with pytest.raises(FrameError, match="grace"):
        type(worker, (load(worker),), {"grace": -1})()
    with pytest.raises(FrameError, match="retry_ms"):
        type(worker, (load(worker),), {"retry_ms": 1.5})()


@pytest.mark.parametrize(
    ("worker", "base", "method"),
    [
        ("ASGIWorker", "gunicorn.workers.gasgi.ASGIWorker", "_shutdown"),
        ("UvicornWorker", "uvicorn_worker.UvicornWorker", "_serve"),
    ],
)
def test_a_base_without_the_overridden_method_is_a_runtime_error(
    monkeypatch: pytest.MonkeyPatch, worker: str, base: str, method: str
) -> None:
    ours = load(worker)
    monkeypatch.delattr(load_class(base), method)
    with pytest.raises(RuntimeError, match=f"{worker} of gaistream overrides {method}"):
        ours()


@pytest.mark.parametrize(
    ("module", "package"),
    [("gunicorn.workers.gasgi", "gunicorn 25"), ("uvicorn_worker", "uvicorn-worker")],
)
def test_a_missing_package_is_an_import_error(
    monkeypatch: pytest.MonkeyPatch, module: str, package: str
) -> None:
    for name in ["gunicorn", "_uvicorn_worker"]:
        monkeypatch.delitem(sys.modules, f"gaistream.frameworks.{name}", raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=package):
        workers = importlib.import_module("gaistream.frameworks.gunicorn")
        assert module != "gunicorn.workers.gasgi"
        assert issubclass(workers.ThreadWorker, workers.DrainingWorker)
        workers.UvicornWorker


def test_an_unknown_name_is_an_attribute_error() -> None:
    workers = importlib.import_module("gaistream.frameworks.gunicorn")
    with pytest.raises(AttributeError, match="SyncWorker"):
        workers.SyncWorker


assert SECONDS < 30  # gunicorn itself waits for 30 s: a worker that does not end fails its test
