"""Real servers and real cuts: nothing is lost or doubled if the server resumes after an id.

The server of the first three is a process: killed by its id, cut off by nginx's read timeout, or
served by aiohttp. The others are gaistream's handlers, the demo and an example.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import replaying_app
from real_servers import SECONDS, listen, serve_uvicorn
from required import need_package, need_program

from gaistream import ChatRequest, asgi, read_events
from gaistream.client import (
    ContentTypeError,
    ReconnectPolicy,
    StatusError,
    aconnect_sse,
    connect_sse,
)
from gaistream.events import Done
from gaistream.providers.docs import DocsProvider

ROOT = Path(__file__).parents[2]
FAST = ReconnectPolicy(initial_delay=0.05, max_delay=0.5)
COUNT = 50
WHOLE = [f"event {number}" for number in range(1, COUNT + 1)] + ['{"finished":true}']


@contextlib.contextmanager
def process(listening):
    """Run the replaying app in its own process, on a listening socket."""
    fd = listening.fileno()
    running = subprocess.Popen(
        [sys.executable, replaying_app.__file__, str(fd)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, pass_fds=[fd],
    )  # fmt: skip
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def read(url, on_event, **named):
    with connect_sse(url, **{"reconnect": FAST, **named}) as events:
        received = []
        for event in events:
            received.append(event.data)
            on_event(len(received))
        return received


def aread(url, on_event, **named):
    async def reading():
        received = []
        async with aconnect_sse(url, **{"reconnect": FAST, **named}) as events:
            async for event in events:
                received.append(event.data)
                on_event(len(received))
        return received

    return asyncio.run(reading())


faces = pytest.mark.parametrize("face", [read, aread])


@faces
def test_a_stream_of_a_killed_server_is_resumed_without_loss_or_doubles(face):
    with listen() as listening, contextlib.ExitStack() as stack:
        listening.settimeout(None)
        first = stack.enter_context(process(listening))

        def on_event(count):
            if count == replaying_app.CUT_AFTER:
                os.kill(first.pid, signal.SIGKILL)
                first.wait(SECONDS)
                stack.enter_context(process(listening))

        notices = []
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/{COUNT}"
        assert face(url, on_event, on_reconnect=notices.append) == WHOLE
    assert [(each.attempt, each.last_event_id) for each in notices] == [(1, "2")]


NGINX = """
daemon off; {user} pid {home}/pid; error_log {home}/error.log;
events {{}}
http {{
  access_log off; client_body_temp_path {home}/a; proxy_temp_path {home}/b;
  fastcgi_temp_path {home}/c; uwsgi_temp_path {home}/d; scgi_temp_path {home}/e;
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass {url}; proxy_http_version 1.1; proxy_read_timeout 1s; }}
  }}
}}
"""


@contextlib.contextmanager
def nginx(home, url):
    program = need_program("nginx")
    user = "user root;" if os.geteuid() == 0 else ""
    with listen() as listening:
        port, fd = listening.getsockname()[1], listening.fileno()
        file = home / "nginx.conf"
        file.write_text(NGINX.format(home=home, port=port, url=url, user=user))
        command = [program, "-p", str(home), "-c", str(file), "-e", str(home / "error.log")]
        inherited = {**os.environ, "NGINX": f"{fd};"}
        running = subprocess.Popen(command, env=inherited, pass_fds=[fd], stderr=subprocess.DEVNULL)
        try:
            yield f"http://127.0.0.1:{port}"
            assert running.poll() is None, (home / "error.log").read_text()
        finally:
            running.terminate()
            running.wait(SECONDS)


@faces
def test_a_stream_behind_a_proxy_that_times_out_is_resumed_without_loss_or_doubles(face, tmp_path):
    notices = []
    with (
        serve_uvicorn(replaying_app.app, "h11", "asyncio") as server,
        nginx(tmp_path, server.url) as url,
    ):
        received = face(f"{url}/{COUNT}", lambda _: None, on_reconnect=notices.append)
    assert received == WHOLE
    assert [(each.attempt, each.last_event_id) for each in notices] == [(1, "2")]


@contextlib.contextmanager
def serve_aiohttp():
    """Serve the same by aiohttp in a thread; the first connection is reset within the answer."""
    need_package("aiohttp")
    import threading

    from aiohttp import web

    async def answer(request):
        last = int(request.headers.get("Last-Event-ID", 0))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for number in range(last + 1, COUNT + 1):
            await response.write(b"id: %d\ndata: event %d\n\n" % (number, number))
            if not last and number == replaying_app.CUT_AFTER:
                request.transport.abort()
                return response
        await response.write(b'event: done\ndata: {"finished":true}\n\n')
        return response

    async def serve():
        app = web.Application()
        app.router.add_route("*", "/", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.SockSite(runner, listening).start()
        ready.set()
        await stop.wait()
        await runner.cleanup()

    ready, stop, loop = threading.Event(), asyncio.Event(), asyncio.new_event_loop()
    with listen() as listening, contextlib.closing(loop):
        thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
        thread.start()
        assert ready.wait(SECONDS)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(SECONDS)


@faces
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_connection_that_aiohttp_aborts_is_resumed(face, method):
    with serve_aiohttp() as url:
        # whether anything arrives before the abort is the network's to say
        named = {"method": method, "repeatable": True}
        assert face(url, lambda _: None, **named) == WHOLE


async def prepare(request):
    if request.method == "POST":
        return ChatRequest.from_json(await request.json())
    return ChatRequest.from_question(request.query["q"])


@faces
def test_a_whole_answer_of_our_handler_is_requested_once(face):
    body = {"messages": [{"role": "user", "content": "heartbeat"}]}
    with serve_uvicorn(asgi.sse_handler(DocsProvider(), prepare), "httptools", "asyncio") as server:
        for named in ({"params": {"q": "heartbeat"}}, {"json": body}):
            assert json.loads(face(server.url, lambda _: None, **named)[-1]) == {"finished": True}
        assert face(server.url, lambda _: None, params={"q": "x"}, last_event_id="1") == []  # 204
        with pytest.raises(StatusError, match="HTTP 400"):
            face(server.url, lambda _: None)
    with serve_uvicorn(asgi.ndjson_handler(DocsProvider(), prepare), "h11", "asyncio") as server:
        with pytest.raises(ContentTypeError, match="application/x-ndjson"):
            face(server.url, lambda _: None, params={"q": "heartbeat"})


def test_the_stream_of_the_demo_is_read_as_events():
    command = [sys.executable, "-m", "gaistream", "demo", "--port", "0", "--rate", "500"]
    demo = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        address = re.search(r"http://\S+", demo.stdout.readline())[0]
        with connect_sse(f"{address}/chat", params={"q": "heartbeat"}) as events:
            assert isinstance(list(read_events(events))[-1], Done)
    finally:
        demo.send_signal(signal.SIGINT)
        demo.communicate(timeout=SECONDS)


# ---- without the extra; the example ----


def test_without_httpx_and_httpx2_the_error_names_the_extra():
    program = (
        "import sys; sys.modules['httpx'] = sys.modules['httpx2'] = None\n"
        "from gaistream.client import iter_events\n"
        "from gaistream.client import connect_sse"
    )
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert "connect_sse needs httpx or httpx2: pip install 'gaistream[httpx]'" in ran.stderr


def test_importing_the_client_does_not_import_httpx():
    program = "import sys, gaistream.client; assert not {'httpx', 'httpx2'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_the_example_reads_an_answer_across_a_cut(tmp_path):
    with serve_aiohttp() as url:
        command = [sys.executable, str(ROOT / "examples/resuming_reader.py"), url]
        ran = subprocess.run(
            command, env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=tmp_path,
            capture_output=True, text=True, timeout=SECONDS, check=True,
        )  # fmt: skip
    assert ran.stdout.splitlines() == WHOLE[:-1]
    assert re.search(r"reconnecting in [\d.]+ s behind event '\d*': ", ran.stderr)
