"""A server of the MCP SDK, unchanged but for `install()`: `python server.py sse|streamable-http`.

It prints its port once it listens, and a line for each call of `wait` that was cancelled.
"""

from __future__ import annotations

from gaistream.frameworks import sse_starlette

sse_starlette.install()

import importlib.metadata
import socket
import sys
from typing import Any

import anyio
import mcp.server.sse
import mcp.server.streamable_http
import uvicorn
from mcp.server.streamable_http import EventMessage, EventStore

IS_1 = importlib.metadata.version("mcp").startswith("1.")
if IS_1:
    from mcp.server.fastmcp import Context
    from mcp.server.fastmcp import FastMCP as Server
else:
    from mcp.server.mcpserver import Context
    from mcp.server.mcpserver import MCPServer as Server

for module in (mcp.server.sse, mcp.server.streamable_http):
    assert module.EventSourceResponse is sse_starlette.EventSourceResponse


class Store(EventStore):
    """Keeps the events of all streams in memory."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []

    async def store_event(self, stream_id: str, message: Any) -> str:
        self.events.append((stream_id, message))
        return str(len(self.events))

    async def replay_events_after(self, last_event_id: str, send_callback: Any) -> str:
        stream_id = self.events[int(last_event_id) - 1][0]
        for number, (its, message) in enumerate(self.events, 1):
            if number > int(last_event_id) and its == stream_id and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream_id


options = {"event_store": Store(), **({"retry_interval": 10} if not IS_1 else {})}
server = Server("dropin", **(options if IS_1 else {}))


@server.tool()
def add(a: int, b: int) -> int:
    """Return a sum."""
    return a + b


@server.tool()
async def count(to: int, ctx: Context) -> str:  # type: ignore[type-arg]
    """Report progress."""
    for number in range(1, to + 1):
        await ctx.report_progress(number, to)
    return "counted"


@server.tool()
async def wait() -> str:
    """Wait until the call is cancelled."""
    print("waiting", flush=True)
    try:
        await anyio.sleep_forever()
    finally:
        print("cancelled", flush=True)


@server.tool()
async def leave(ctx: Context) -> str:  # type: ignore[type-arg]
    """End the stream of this call, whose client then comes again for the result."""
    await ctx.close_sse_stream()
    await anyio.sleep(0.1)
    return "resumed"


def main() -> None:
    if sys.argv[1] == "sse":
        app = server.sse_app()
    else:
        app = server.streamable_http_app(**({} if IS_1 else options))
    sock = socket.create_server(("127.0.0.1", 0))
    running = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    print(sock.getsockname()[1], flush=True)
    running.run(sockets=[sock])


if __name__ == "__main__":
    main()
