"""Blocking sources at the end of their event loop, process and interpreter: each is closed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from real_servers import SECONDS, Client, listen

COMMON = """
import asyncio, os, sys, threading, time
import gaistream
from gaistream.asgi import DrainMiddleware, SSEResponse
from gaistream.loops.sources import open_source
from gaistream.wsgi import SSEResponse as WSGIResponse

SCOPE = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}

def say(text):
    os.write(1, text.encode() + b"\\n")

def source():
    try:
        while True:
            time.sleep(0.01)
            yield "x"
    finally:
        time.sleep(0.05)
        say("closed")

def blocked():
    yield "x"
    say("blocks")
    time.sleep(3600)

async def receive():
    await asyncio.Event().wait()

async def send(message):
    pass

async def serve(*sources):
    apps = [SSEResponse(each, on_close=lambda outcome: say(outcome.kind)) for each in sources]
    tasks = [asyncio.create_task(app(SCOPE, receive, send)) for app in apps]
    await asyncio.sleep(0.1)
    return tasks
"""
ENDS = {
    "the loop is cancelled": """
asyncio.run(serve(source(), source(), source()))
""",
    "a drain": """
async def main():
    tasks = await serve(source(), source(), source())
    await gaistream.drain(0)
    await asyncio.gather(*tasks)
    say("returned")
asyncio.run(main())
""",
    "the loop is left open": """
loop = asyncio.new_event_loop()
tasks = loop.run_until_complete(serve(source(), source(), source()))
""",
    "a loop in a daemon thread": """
begun = threading.Event()
def run():
    async def main():
        tasks = await serve(source(), source(), source())
        begun.set()
        await asyncio.gather(*tasks)
    asyncio.run(main())
threading.Thread(target=run, daemon=True).start()
assert begun.wait(20)
""",
    "a response of WSGI": """
environ = {"REQUEST_METHOD": "GET"}
apps = [WSGIResponse(source(), helper_thread=True) for _ in range(3)]
bodies = [app(environ, lambda *_: None) for app in apps]
for body in bodies:
    next(body)
""",
    "trio": """
import trio
async def waiting():
    await trio.sleep_forever()
async def taken(message):
    await trio.lowlevel.checkpoint()
async def main():
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(SSEResponse(source()), SCOPE, waiting, taken)
        await trio.sleep(0.1)
        nursery.cancel_scope.cancel()
trio.run(main)
""",
}


def said(program: str) -> list[str]:
    """Run a program to its end, and return its lines."""
    ran = subprocess.run(
        [sys.executable, "-c", COMMON + program],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()


@pytest.mark.parametrize("end", ENDS)
def test_sources_are_closed_before_the_process_ends(end: str) -> None:
    if end == "trio":
        pytest.importorskip("trio")
    lines = said(ENDS[end])
    assert lines.count("closed") == 3
    if end == "a drain":  # which waits for the sources too
        assert sorted(lines[:-1]) == ["closed"] * 3 + ["drained"] * 3
        assert lines[-1] == "returned"


def test_a_source_that_blocks_for_ever_does_not_hold_the_process() -> None:
    lines = said("asyncio.run(serve(blocked(), source(), blocked()))")
    assert sorted(lines) == ["blocks", "blocks", *["cancelled"] * 3, "closed"]


def test_sources_are_closed_before_a_server_ends_by_a_signal(tmp_path: Path) -> None:
    app = """
async def app(scope, receive, send):
    await SSEResponse(slow())(scope, receive, send)

def slow():
    try:
        yield from source()
    finally:
        time.sleep(0.5)  # longer than the server itself takes to end
        say("slow")

app = DrainMiddleware(app, 0)
"""
    (tmp_path / "served.py").write_text(COMMON + app)
    with listen() as listening, contextlib.ExitStack() as ends:
        command = ["uvicorn", "served:app", "--fd", str(listening.fileno())]
        process = subprocess.Popen(
            [sys.executable, "-m", *command, "--log-level", "critical"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
            pass_fds=[listening.fileno()],
        )
        ends.callback(process.kill)
        clients = [Client(listening.getsockname()).ask("/") for _ in range(3)]
        for client in clients:
            ends.callback(client.close)
            client.until(b'"x"')
        process.send_signal(signal.SIGTERM)
        lines, _ = process.communicate(timeout=SECONDS)
    assert lines.split().count(b"slow") == 3


@pytest.mark.skipif(sys.version_info < (3, 12), reason="needs isolated subinterpreters")
def test_a_source_runs_in_an_isolated_subinterpreter(tmp_path: Path) -> None:
    inner = COMMON + ENDS["the loop is cancelled"]
    pure = "import os; os.environ['GAISTREAM_BACKEND'] = 'pure'"  # the core cannot be loaded there
    (tmp_path / "inner.py").write_text(pure + inner)
    outer = f"""
try:
    import _interpreters as interpreters
    isolated = interpreters.create("isolated")
except ImportError:
    import _xxsubinterpreters as interpreters
    isolated = interpreters.create(isolated=True)
say(str(interpreters.run_string(isolated, open({str(tmp_path / "inner.py")!r}).read())))
os._exit(0)  # Python 3.12.1 aborts while it ends an isolated interpreter
"""
    assert sorted(said(outer)) == ["None", *["cancelled"] * 3, *["closed"] * 3]
