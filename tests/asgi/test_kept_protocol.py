"""`protocol_handler(…, log=…)`: the AI SDK's own resume and stop of a chat whose stream is kept."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from resumed import Steered, outcome
from scripted_asgi import Connection, run

HI = {"id": "chat-1", "messages": [{"role": "user", "parts": [{"type": "text", "text": "Hi"}]}]}
PATH = "/api/chat/chat-1/stream"


class Provider:
    def __init__(self, source: Any) -> None:
        self.source = source
        self.asked = 0

    def stream_text(self, _: Any) -> Any:
        self.asked += 1
        return self.source()


def post(body: Any = HI, **headers: str) -> Connection:
    sent = {"content-type": "application/json", **headers}
    lines = [(name.encode(), value.encode()) for name, value in sent.items()]
    return Connection("POST", "/api/chat", headers=lines).hear(json.dumps(body).encode())


def asked(method: str, path: str = PATH, **headers: str) -> Connection:
    lines = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Connection(method, path, headers=lines)


def made(gs: Any, provider: Provider, log: Any = None, **settings: Any) -> Any:
    settings = {"authorize": None, **settings}
    log = gs.replay.MemoryLog() if log is None else log
    return gs.asgi.protocol_handler(provider, "ai_sdk", log=log, **settings)


def delta(text: str) -> bytes:
    return b'"delta":"%b"}' % text.encode()


def test_a_chat_whose_client_left_is_resumed_from_its_start_and_over_at_its_end(gs: Any) -> None:
    async def test() -> None:
        source = Steered("a", "b")
        app = made(gs, Provider(source))
        assert outcome(await asked("GET").serve(app)) == (204, "expired")
        first = post()
        task = first.begin(app)
        await first.until_said(delta("a"))
        assert first.headers["x-vercel-ai-ui-message-stream"] == "v1"
        first.leave()
        await source.gate.arrival()
        again = asked("GET")
        following = again.begin(app)
        await again.until_said(delta("a"))
        source.gate.open()
        await asyncio.gather(task, following)
        assert again.body.startswith(first.body)
        assert delta("b") in again.body
        assert again.body.endswith(b"data: [DONE]\n\n")
        assert outcome(await asked("GET").serve(app)) == (204, "ended")
        assert source.closed == 1

    run(test())


def test_a_stop_ends_the_stream_that_runs_and_not_the_next(gs: Any) -> None:
    async def test() -> None:
        source = Steered("a", "b")
        provider = Provider(source)
        app = made(gs, provider)
        assert (await asked("DELETE").serve(app)).status == 204
        first = post()
        task = first.begin(app)
        await first.until_said(delta("a"))
        assert (await asked("DELETE").serve(app)).status == 204
        await task
        assert b"the answer was stopped" in first.body
        assert (await asked("DELETE").serve(app)).status == 204
        second = post()
        task = second.begin(app)
        await second.until_said(delta("a"))
        source.gate.open()
        await task
        assert delta("b") in second.body
        assert provider.asked == 2

    run(test())


def test_a_refusal_is_404_before_the_provider_is_asked(gs: Any) -> None:
    calls = []

    async def authorize(request: Any, chat: str) -> bool:
        calls.append((request.method, chat))
        return request.headers.get("user") == "me"

    async def test() -> None:
        provider = Provider(Steered("a"))
        app = made(gs, provider, authorize=authorize)
        for connection in (post(), asked("GET"), asked("DELETE")):
            refused = await connection.serve(app)
            assert refused.status == 404
        assert provider.asked == 0
        assert calls == [("POST", "chat-1"), ("GET", "chat-1"), ("DELETE", "chat-1")]
        assert (await post(user="me").serve(app)).status == 200

    run(test())


def test_requests_without_a_chat_and_other_paths_are_as_without_a_log(gs: Any) -> None:
    async def test() -> None:
        app = made(gs, Provider(Steered("a")))
        body = {name: value for name, value in HI.items() if name != "id"}
        served = await post(body).serve(app)
        assert (served.status, "gaistream-replay" in served.headers) == (200, False)
        assert (await asked("GET", "/api/chat").serve(app)).status == 405
        assert (await post({"messages": 1}).serve(app)).status == 400

    run(test())


def test_a_log_that_cannot_be_used_is_503(gs: Any, tmp_path: Any) -> None:
    async def test() -> None:
        log = gs.replay.SQLiteLog(tmp_path)  # a folder
        app = made(gs, Provider(Steered("a")), log)
        for connection in (post(), asked("GET"), asked("DELETE")):
            assert (await connection.serve(app)).status == 503
        await log.aclose()

    run(test())


def test_a_log_needs_authorize_and_a_protocol_that_resumes(gs: Any) -> None:
    provider, log = Provider(Steered("a")), gs.replay.MemoryLog()
    with pytest.raises(TypeError, match="authorize"):
        gs.asgi.protocol_handler(provider, "ai_sdk", log=log)
    with pytest.raises(gs.errors.FrameTypeError, match="authorize"):
        gs.asgi.protocol_handler(provider, "ai_sdk", log=log, authorize=1)
    with pytest.raises(gs.errors.FrameError, match="resumes"):
        gs.asgi.protocol_handler(provider, "anthropic", log=log, authorize=None)
