"""The AI SDK's own clients of versions 5, 6 and 7 resume a chat whose stream is kept."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from real_servers import SECONDS, serve_uvicorn
from required import once_a_check
from vendor_clients import ClientScript

from gaistream import dialects, events
from gaistream.asgi import protocol_handler
from gaistream.replay import MemoryLog

once_a_check()


class Slow:
    """Says one word, and the rest once the chat is resumed."""

    def __init__(self) -> None:
        self.resumed = threading.Event()

    async def stream_text(self, _: Any) -> Any:
        yield events.Start("answer-1", "m")
        yield events.TextDelta("one ")
        while not self.resumed.is_set():  # noqa: ASYNC110 - another thread sets it
            await asyncio.sleep(0.01)
        yield events.TextDelta("two")
        yield events.Finish(events.Usage(1, 2), "stop")


@pytest.mark.parametrize("version", [5, 6, 7])
def test_a_chat_is_resumed_from_its_start_while_it_runs_and_not_afterwards(version: int) -> None:
    model = Slow()
    dialect = dialects.ai_sdk(version=version)
    handler = protocol_handler(model, dialect, log=MemoryLog(), authorize=None)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "GET":
            model.resumed.set()
        await handler(scope, receive, send)

    with (
        serve_uvicorn(app, "h11", "asyncio") as server,
        ClientScript("ai_sdk.mjs", seconds=SECONDS) as script,
    ):
        about: Any = {"version": version, "url": f"{server.url}/api/chat", "id": "chat-1"}
        assert script.ask(**about, leave=True) == {"left": True}
        answer = script.ask(**about, resume=True)
        text = "".join(
            each["text"] for each in answer["message"]["parts"] if each["type"] == "text"
        )
        assert (text, answer["error"]) == ("one two", None)
        assert answer["message"]["id"] == "answer-1"
        over = script.ask(**about, resume=True)
        assert (over["message"], over["error"]) == (None, None)
