"""An ASGI app of numbered events that goes on behind Last-Event-ID, for clients that resume.

`/<count>` is an answer of so many events and a `done`. A request that does not resume is answered
up to event 2 and then with silence (there are no heartbeats), so that whoever cuts it cuts within
the answer; one that resumes is answered to its end. `python replaying_app.py FD` serves it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import gaistream
from gaistream import ServerSentEvent

CUT_AFTER = 2


async def events(count: int, last: str) -> AsyncIterator[ServerSentEvent]:
    """Give the events behind `last`."""
    for number in range(int(last or 0) + 1, count + 1):
        yield ServerSentEvent(f"event {number}", id=str(number), retry=10)
        if not last and number == CUT_AFTER:
            await asyncio.Event().wait()


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer one request."""
    source = events(int(scope["path"][1:]), gaistream.http.last_event_id(scope) or "")
    options = gaistream.SSEOptions(heartbeat_interval=None)
    await gaistream.asgi.SSEResponse(source, options)(scope, receive, send)


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app, fd=int(sys.argv[1]), lifespan="off", log_level="warning")
