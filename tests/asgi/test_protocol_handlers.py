"""Handlers of vendors' protocols: streams, whole answers, errors in the vendor's shape, models."""

from __future__ import annotations

import asyncio
import json
from types import ModuleType
from typing import Any

import pytest
from recording_provider import RecordingProvider
from scripted_asgi import Connection, Source, asynchronous, run
from scripted_wsgi import Exchange
from vendor_requests import CONVERSATION, READERS

PROTOCOLS = ("openai_chat", "openai_responses", "anthropic", "ai_sdk", "ag_ui")
EACH = pytest.mark.parametrize("name", PROTOCOLS)
WHOLE = pytest.mark.parametrize("name", ["openai_chat", "openai_responses", "anthropic"])


def answer(gs: ModuleType) -> list[Any]:
    say = gs.events
    return [
        say.Start("a1", "actual"),
        say.TextDelta("Hel"),
        say.TextDelta("lo"),
        say.ToolCall("c1", "weather", {"city": "Oslo"}),
        say.Finish(usage=say.Usage(3, 4), finish_reason="tool_calls"),
    ]


JSON = (b"content-type", b"application/json")


def payload(name: str, **changes: Any) -> dict[str, Any]:
    return {**READERS[name][1], **changes}


def post(body: Any, *headers: tuple[bytes, bytes]) -> Connection:
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Connection("POST", headers=[JSON, *headers]).hear(encoded)


async def ask(gs: ModuleType, name: str, provider: Any, body: Any, **settings: Any) -> Connection:
    app = gs.asgi.protocol_handler(provider, name, **settings)
    return await post(body).serve(app)


@EACH
def test_the_provider_gets_the_request_and_the_client_the_protocol(
    gs: ModuleType, name: str
) -> None:
    async def test() -> None:
        provider = RecordingProvider(lambda _: asynchronous(*answer(gs)))
        served = await ask(gs, name, provider, payload(name))
        assert [each.messages for each in provider.asked] == [CONVERSATION]
        assert served.status == 200
        assert served.headers["content-type"] == "text/event-stream"
        assert served.is_complete
        events = list(gs.read_events(served.body, dialect=name))
        text = "".join(each.text for each in events if type(each).__name__ == "TextDelta")
        assert text == "Hello"
        assert type(events[-1]).__name__ == "Done"
        assert b"\nid:" not in b"\n" + served.body  # no vendor's protocol has ids

    run(test())


@WHOLE
def test_a_request_without_stream_gets_the_whole_answer(gs: ModuleType, name: str) -> None:
    async def test() -> None:
        provider = RecordingProvider(lambda _: asynchronous(*answer(gs)))
        served = await ask(gs, name, provider, payload(name, stream=False))
        assert served.status == 200
        assert served.headers["content-type"] == "application/json"
        whole = json.loads(served.body)
        assert (whole["id"], whole["model"]) == ("a1", "actual")
        if name == "anthropic":
            assert whole["content"] == [
                {"type": "text", "text": "Hello"},
                {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Oslo"}},
            ]
            assert whole["stop_reason"] == "tool_use"
            assert whole["usage"] == {"input_tokens": 3, "output_tokens": 4}
        elif name == "openai_responses":
            assert (whole["object"], whole["status"]) == ("response", "completed")
            said, call = whole["output"]
            assert said["content"][0]["text"] == "Hello"
            assert (call["call_id"], call["arguments"]) == ("c1", '{"city":"Oslo"}')
            assert whole["usage"]["total_tokens"] == 7
            assert (whole["instructions"], whole["temperature"]) == ("Be brief.", 0.5)
            assert whole["tools"][0]["name"] == "weather"
        else:
            [choice] = whole["choices"]
            assert choice["finish_reason"] == "tool_calls"
            assert choice["message"]["content"] == "Hello"
            assert choice["message"]["tool_calls"][0]["function"]["name"] == "weather"
            assert whole["usage"]["total_tokens"] == 7

    run(test())


@WHOLE
def test_the_model_that_was_asked_for_is_named_if_the_source_names_none(
    gs: ModuleType, name: str
) -> None:
    async def test() -> None:
        for stream in (True, False):
            provider = RecordingProvider()
            served = await ask(gs, name, provider, payload(name, stream=stream))
            assert b'"model":"m"' in served.body

    run(test())


def test_usage_is_streamed_if_it_is_asked_for(gs: ModuleType) -> None:
    async def test() -> None:
        for wanted in (True, False):
            provider = RecordingProvider(lambda _: asynchronous(*answer(gs)))
            body = payload("openai_chat", stream_options={"include_usage": wanted})
            served = await ask(gs, "openai_chat", provider, body)
            assert (b'"usage":{' in served.body) is wanted

    run(test())


def error_in(name: str, served: Connection) -> Any:
    """Return the error's object, or its text."""
    if name == "ai_sdk":
        return served.body.decode()
    return json.loads(served.body)["error"]


@EACH
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"nul", b'{"messages": 1}', b"\xff"])
def test_a_wrong_body_is_refused_in_the_vendors_shape(
    gs: ModuleType, name: str, body: bytes
) -> None:
    async def test() -> None:
        provider = RecordingProvider()
        served = await ask(gs, name, provider, body)
        assert (served.status, provider.asked) == (400, [])
        error = error_in(name, served)
        if name == "ai_sdk":
            assert error
        elif name == "ag_ui":
            assert error["code"] == "bad_request"
        else:
            assert error["type"] == "invalid_request_error"

    run(test())


def test_openais_error_names_the_field(gs: ModuleType) -> None:
    async def test() -> None:
        body = payload("openai_chat", messages=[{"role": "user", "content": 1}])
        served = await ask(gs, "openai_chat", RecordingProvider(), body)
        error = error_in("openai_chat", served)
        assert error["param"] == "messages[0].content"
        assert error["message"] == (
            "messages[0].content must be a string or a list of parts, not int"
        )

    run(test())


@EACH
@pytest.mark.parametrize("media_type", [b"text/plain", b"application/x-www-form-urlencoded"])
def test_another_media_type_is_refused(gs: ModuleType, name: str, media_type: bytes) -> None:
    async def test() -> None:
        app = gs.asgi.protocol_handler(RecordingProvider(), name)
        connection = Connection("POST", headers=[(b"content-type", media_type)])
        served = await connection.hear(json.dumps(payload(name)).encode()).serve(app)
        assert served.status == 415
        assert "application/json" in str(error_in(name, served))

    run(test())


@EACH
def test_a_page_of_another_site_must_say_that_its_body_is_json(gs: ModuleType, name: str) -> None:
    async def test() -> None:
        provider = RecordingProvider()
        app = gs.asgi.protocol_handler(provider, name, cors=None)
        body = json.dumps(payload(name)).encode()
        origin = (b"origin", b"https://evil.example")
        served = await Connection("POST", headers=[origin]).hear(body).serve(app)
        assert (served.status, provider.asked) == (415, [])
        assert (await Connection("POST").hear(body).serve(app)).status == 200

    run(test())


@EACH
def test_a_compressed_body_is_refused(gs: ModuleType, name: str) -> None:
    async def test() -> None:
        app = gs.asgi.protocol_handler(RecordingProvider(), name)
        for coding, status in ((b"zstd", 415), (b"gzip", 415), (b"identity", 200)):
            served = await post(payload(name), (b"content-encoding", coding)).serve(app)
            assert served.status == status
        assert (await post(payload(name)).serve(app)).status == 200

    run(test())


@EACH
def test_a_body_beyond_the_limit_is_refused(gs: ModuleType, name: str) -> None:
    async def test() -> None:
        app = gs.asgi.protocol_handler(RecordingProvider(), name)
        connection = Connection("POST", headers=[JSON])
        for _ in range(17):
            connection.hear(b" " * 2**20, more=True)
        served = await connection.serve(app)
        assert served.status == 413
        error = error_in(name, served)
        if name == "anthropic":
            assert error["type"] == "request_too_large"

    run(test())


@EACH
@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD"])
def test_other_methods_are_refused(gs: ModuleType, name: str, method: str) -> None:
    async def test() -> None:
        app = gs.asgi.protocol_handler(RecordingProvider(), name)
        served = await Connection(method).hear().serve(app)
        assert (served.status, served.headers["allow"]) == (405, "POST, OPTIONS")

    run(test())


@EACH
def test_a_preflight_is_answered(gs: ModuleType, name: str) -> None:
    async def test() -> None:
        app = gs.asgi.protocol_handler(RecordingProvider(), name)
        asked = b"authorization, x-api-key,anthropic-version,x-stainless-os"
        headers = [
            (b"origin", b"https://example.com"), (b"access-control-request-headers", asked),
        ]  # fmt: skip
        served = await Connection("OPTIONS", headers=headers).hear().serve(app)
        assert served.status == 204
        assert "POST" in served.headers["access-control-allow-methods"]
        assert served.headers["access-control-allow-headers"].encode() == asked

    run(test())


@EACH
def test_a_drain_in_mid_stream_is_an_error(gs: ModuleType, name: str) -> None:
    async def test() -> None:
        source = Source(gs.events.TextDelta("a"))
        outcomes: list[Any] = []
        app = gs.asgi.protocol_handler(
            RecordingProvider(lambda _: source), name, on_close=outcomes.append
        )
        asking = post(payload(name))
        task = asking.begin(app)
        await asking.until(lambda: source.waiting.is_set() and bool(asking.body))
        drain = gs.drain(0)
        await task
        drain.cancel()
        assert asking.is_complete
        last = list(gs.read_events(asking.body, dialect=name))[-1]
        assert last.message == "the server is shutting down"
        assert ([each.kind for each in outcomes], source.closed) == (["drained"], 1)

    run(test())


def test_a_stream_of_the_ai_sdk_cannot_be_resumed(gs: ModuleType) -> None:
    async def test() -> None:
        app = gs.asgi.protocol_handler(RecordingProvider(), "ai_sdk")
        served = await Connection("GET", "/api/chat/c1/stream").hear().serve(app)
        assert served.status == 204

    run(test())


def test_models_are_listed_in_the_form_of_the_client(gs: ModuleType) -> None:
    async def test() -> None:
        app = gs.asgi.protocol_handler(RecordingProvider(), "openai_chat", models=["a", "b"])
        served = await Connection("GET", "/v1/models").hear().serve(app)
        assert [each["id"] for each in json.loads(served.body)["data"]] == ["a", "b"]
        assert json.loads(served.body)["object"] == "list"
        version = [(b"anthropic-version", b"2023-06-01")]
        served = await Connection("GET", "/v1/models", headers=version).hear().serve(app)
        listed = json.loads(served.body)
        assert (listed["first_id"], listed["last_id"], listed["has_more"]) == ("a", "b", False)

    run(test())


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_models_are_only_read(gs: ModuleType, method: str) -> None:
    async def test() -> None:
        provider = RecordingProvider()
        app = gs.asgi.protocol_handler(provider, "openai_chat", models=["a"])
        body = json.dumps(payload("openai_chat")).encode()
        served = await Connection(method, "/v1/models", headers=[JSON]).hear(body).serve(app)
        assert (served.status, served.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
        assert provider.asked == []

    run(test())


@EACH
def test_a_failure_of_the_provider_has_its_status_and_shape(gs: ModuleType, name: str) -> None:
    async def test() -> None:
        refused = gs.StreamError("slow down", code="rate_limited", status=429, retry_after=3)
        for stream in (True, False):
            provider = RecordingProvider(lambda _: asynchronous(refused))
            served = await ask(gs, name, provider, payload(name, stream=stream), hold_headers=True)
            assert (served.status, served.headers["retry-after"]) == (429, "3")
            assert "slow down" in str(error_in(name, served))

    run(test())


@pytest.mark.parametrize("dialect", ["gai", "json", "raw", "ai_sdk_text", "nonsense", 3])
def test_a_dialect_without_requests_is_refused(gs: ModuleType, dialect: Any) -> None:
    with pytest.raises(ValueError, match=r"^dialect must be "):
        gs.asgi.protocol_handler(RecordingProvider(), dialect)


def test_an_unknown_setting_is_named(gs: ModuleType) -> None:
    with pytest.raises(TypeError, match=r"^protocol_handler\(\) got an unexpected keyword"):
        gs.asgi.protocol_handler(RecordingProvider(), "anthropic", on_reconnect="end")
    with pytest.raises(TypeError, match="dialect"):
        gs.asgi.protocol_handler(RecordingProvider(), "anthropic", dialect="ai_sdk")


# ---- WSGI ----


@pytest.mark.parametrize("is_sync", [True, False])
@EACH
def test_wsgi_answers_as_asgi_does(gs: ModuleType, name: str, is_sync: bool) -> None:
    def provider() -> RecordingProvider:
        return RecordingProvider(
            lambda _: iter(answer(gs)) if is_sync else asynchronous(*answer(gs))
        )

    async def on_asgi(body: Any) -> Connection:
        return await ask(gs, name, provider(), body)

    for stream in (True, False):
        body = payload(name, stream=stream)
        app = gs.wsgi.protocol_handler(provider(), name)
        encoded = json.dumps(body).encode()
        there = Exchange(app, "POST", encoded, CONTENT_TYPE="application/json").read()
        here = asyncio.run(on_asgi(body))
        assert int(there.status.split()[0]) == here.status == 200
        assert there.headers["Content-Type"] == here.headers["content-type"]
        assert len(b"".join(there.chunks)) == len(here.body)


def test_wsgi_refuses_in_the_vendors_shape(gs: ModuleType) -> None:
    app = gs.wsgi.protocol_handler(RecordingProvider(), "anthropic")
    there = Exchange(app, "POST", b"{}", CONTENT_TYPE="application/json").read()
    assert there.status == "400 Bad Request"
    error = json.loads(b"".join(there.chunks))
    assert error["type"] == "error"
    assert error["error"]["message"] == "messages is missing"
