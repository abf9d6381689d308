"""What the gateway answers by itself: one model, and how many tokens a request has."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

from recording_provider import RecordingProvider
from scripted_asgi import Connection, run


def test_tokens_are_counted_by_an_estimate_and_wrong_requests_have_their_400(
    gs: ModuleType,
) -> None:
    async def count(payload: Any) -> Any:
        provider = RecordingProvider()
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        asking = Connection("POST", "/v1/messages/count_tokens").hear(body)
        served = await asking.serve(gs.gateway.Gateway(provider))
        assert provider.asked == []
        return served.status, json.loads(served.body)

    async def test() -> None:
        words = "some words, which are counted. " * 100
        ask = {"model": "m", "messages": [{"role": "user", "content": words}]}
        status, told = await count(ask)
        assert (status, set(told)) == (200, {"input_tokens"})
        assert 700 < told["input_tokens"] < 900
        tool = {"name": "f", "description": words, "input_schema": {"type": "object"}}
        status, more = await count({**ask, "system": words, "tools": [tool]})
        assert 2200 < more["input_tokens"] < 2600
        data = {"type": "base64", "media_type": "image/png", "data": "A" * 400_000}
        image = [{"role": "user", "content": [{"type": "image", "source": data}]}]
        assert (await count({**ask, "messages": image}))[1]["input_tokens"] < 2000
        for wrong, field in (
            ({"model": "m"}, "messages"), ({"model": "m", "messages": 1}, "messages"),
            (b"{", "JSON"), ([], "object"),
        ):  # fmt: skip
            status, told = await count(wrong)
            assert (status, told["type"]) == (400, "error")
            assert field in told["error"]["message"]

    run(test())


def test_one_model_is_told_and_another_is_not_found(gs: ModuleType) -> None:
    async def test() -> None:
        app = gs.gateway.Gateway(RecordingProvider(), models=["a/b", "c"])
        for path, headers, kind in (
            ("/v1/models/a/b", [], "object"),
            ("/v1/models/c", [(b"anthropic-version", b"2026-10-21")], "type"),
        ):
            served = await Connection("GET", path, headers=headers).hear().serve(app)
            told = json.loads(served.body)
            assert (served.status, told["id"], told[kind]) == (200, path[11:], "model")
        unknown = await Connection("GET", "/v1/models/d").hear().serve(app)
        assert unknown.status == 404

    run(test())
