"""Streams with `Incremental: ?1` behind nginx, Caddy and HAProxy, configured with nothing more."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from real_servers import SECONDS, listen, serve_uvicorn, until
from required import need_program, once_a_check
from server_table import _running

import gaistream
from gaistream.asgi import SSEResponse

once_a_check()

NGINX = """
daemon off; {user} pid {home}/pid; error_log stderr;
events {{}}
http {{
  access_log off; client_body_temp_path {home}/a; proxy_temp_path {home}/b;
  fastcgi_temp_path {home}/c; uwsgi_temp_path {home}/d; scgi_temp_path {home}/e;
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {url}; }} }}
}}
"""
CADDY = """
{{
  admin off
  auto_https off
}}
http://127.0.0.1:{port} {{
  reverse_proxy {address}
}}
"""
HAPROXY = """
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
listen front
  bind 127.0.0.1:{port}
  server back {address}
"""
PROXIES = {
    "nginx": (NGINX, ["-p", "{home}", "-c", "{file}", "-e", "stderr"]),
    "caddy": (CADDY, ["run", "--config", "{file}", "--adapter", "caddyfile"]),
    "haproxy": (HAPROXY, ["-db", "-f", "{file}"]),
}


def answers(url: str) -> bool:
    try:
        return httpx.head(url, timeout=SECONDS).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("name", PROXIES)
def test_an_incremental_stream_passes_a_proxy_event_by_event(name: str, tmp_path: Path) -> None:
    program = need_program(name)
    go_on = threading.Event()

    async def answer() -> AsyncIterator[str]:
        yield "one"
        yield "two" if await asyncio.to_thread(go_on.wait, SECONDS) else "too late"

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await SSEResponse(answer(), incremental=True)(scope, receive, send)

    with listen() as free:
        port = free.getsockname()[1]
    with serve_uvicorn(app, "h11", "asyncio") as server:
        settings, arguments = PROXIES[name]
        file = tmp_path / "settings"
        values = {
            "home": tmp_path, "file": file, "port": port, "url": server.url,
            "address": server.url.removeprefix("http://"),
            "user": "user root;" if os.geteuid() == 0 else "",
        }  # fmt: skip
        file.write_text(settings.format(**values))
        command = [program, *(each.format(**values) for each in arguments)]
        url = f"http://127.0.0.1:{port}/"
        with _running(tmp_path, command, 2):
            until(lambda: answers(url))
            with httpx.stream("GET", url, timeout=SECONDS) as response:
                assert response.headers["incremental"] == "?1"
                events = gaistream.read_events(response)
                assert next(events).text == "one"  # before the second can come
                go_on.set()
                assert next(events).text == "two"
                assert next(events) == gaistream.events.Done()
