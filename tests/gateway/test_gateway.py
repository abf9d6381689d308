"""The gateway: its routes, keys, bound, fallback and access log."""

from __future__ import annotations

import asyncio
import json
import logging
from types import ModuleType
from typing import Any

import pytest
from recording_provider import RecordingProvider
from scripted_asgi import Connection, Source, asynchronous, run
from vendor_requests import CONVERSATION, READERS

ROUTES = {
    "/v1/chat/completions": "openai_chat",
    "/v1/responses": "openai_responses",
    "/v1/messages": "anthropic",
    "/ai-sdk": "ai_sdk",
    "/ag-ui": "ag_ui",
}
KEY = "a-key-of-a-client"


def post(path: str, body: Any = None, **headers: str) -> Connection:
    payload = READERS[ROUTES[path]][1] if body is None else body
    names = {"content-type": "application/json", **headers}
    lines = [(name.replace("_", "-").encode(), value.encode()) for name, value in names.items()]
    return Connection("POST", path, headers=lines).hear(json.dumps(payload).encode())


def say(gs: ModuleType, text: str = "Hello") -> Any:
    usage = gs.events.Usage(3, 4)
    return lambda _: asynchronous(gs.events.TextDelta(text), gs.events.Finish(usage=usage))


@pytest.mark.parametrize("path", ROUTES)
def test_every_protocol_is_answered(gs: ModuleType, path: str) -> None:
    async def test() -> None:
        provider = RecordingProvider(say(gs))
        served = await post(path).serve(gs.gateway.Gateway(provider))
        assert served.status == 200
        events = list(gs.read_events(served.body, dialect=ROUTES[path]))
        assert any(getattr(each, "text", None) == "Hello" for each in events)
        assert [each.messages for each in provider.asked] == [CONVERSATION]

    run(test())


@pytest.mark.parametrize("path", ROUTES)
def test_a_key_is_needed_if_there_are_keys(gs: ModuleType, path: str) -> None:
    async def test() -> None:
        provider = RecordingProvider(say(gs))
        app = gs.gateway.Gateway(provider, client_keys=[KEY, "another-key"])
        for headers in ({}, {"authorization": "Bearer wrong-key-of-a-client"}, {"x_api_key": "no"}):
            served = await post(path, **headers).serve(app)
            assert served.status == 401
            assert b"key" in served.body
            assert KEY.encode() not in served.body
        assert provider.asked == []
        for headers in ({"authorization": f"Bearer {KEY}"}, {"x_api_key": KEY}):
            assert (await post(path, **headers).serve(app)).status == 200

    run(test())


def test_one_of_several_keys_must_be_right_and_its_refusal_can_be_read(gs: ModuleType) -> None:
    async def test() -> None:
        cors = "https://app.example"
        app = gs.gateway.Gateway(RecordingProvider(say(gs)), client_keys=[KEY], cors=cors)
        both = {"authorization": "Bearer of-a-vendors-sdk", "x_api_key": KEY}
        assert (await post("/v1/messages", **both).serve(app)).status == 200
        served = await post("/v1/messages", origin=cors).serve(app)
        assert (served.status, served.headers["www-authenticate"]) == (401, "Bearer")
        assert served.headers["access-control-allow-origin"] == cors
        served = await Connection("HEAD", "/v1/messages").hear().serve(app)
        assert (served.status, served.body) == (401, b"")

    run(test())


@pytest.mark.parametrize("key", ["schl\u00fcssel-key", "two\nlines-key", " spaces-around "])
def test_keys_that_no_header_carries_are_refused(gs: ModuleType, key: str) -> None:
    with pytest.raises(ValueError, match=r"^clients' keys must be printable ASCII"):
        gs.gateway.Gateway(RecordingProvider(), client_keys=[key])


@pytest.mark.parametrize("keys", [[], [""], ["short"], [KEY, "short"]])
def test_keys_that_protect_nothing_are_refused(gs: ModuleType, keys: list[str]) -> None:
    with pytest.raises(ValueError, match="clients' keys must be at least 8 characters"):
        gs.gateway.Gateway(RecordingProvider(), client_keys=keys)


@pytest.mark.parametrize("wrong", [0, -1, True, 1.5, None])
def test_a_bound_that_is_none_is_refused(gs: ModuleType, wrong: Any) -> None:
    with pytest.raises(ValueError, match="max_streams must be an int from 1 on"):
        gs.gateway.Gateway(RecordingProvider(), max_streams=wrong)


def test_requests_beyond_the_bound_are_refused_until_one_ends(gs: ModuleType) -> None:
    async def test() -> None:
        source = Source(gs.events.TextDelta("a"))
        provider = RecordingProvider(lambda _: source)
        app = gs.gateway.Gateway(provider, max_streams=1)
        first = post("/v1/messages")
        task = first.begin(app)
        await source.waiting.wait()
        refused = await post("/v1/chat/completions").serve(app)
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert json.loads(refused.body)["error"]["code"] == "overloaded"
        first.leave()
        await task
        provider.answer = say(gs)
        assert (await post("/v1/chat/completions").serve(app)).status == 200

    run(test())


def test_other_paths_are_not_found(gs: ModuleType) -> None:
    async def test() -> None:
        app = gs.gateway.Gateway(RecordingProvider())
        for path in ("/", "/v1", "/v1/messages/x", "/v1/models/x", "/v1/embeddings", "/ai-sdk/x"):
            served = await Connection("POST", path).hear(b"{}").serve(app)
            assert served.status == 404
            assert f"there is no {path} here" in served.body.decode()

    run(test())


def test_a_refusal_has_the_shape_of_its_clients_protocol(gs: ModuleType) -> None:
    async def test() -> None:
        app = gs.gateway.Gateway(RecordingProvider(), client_keys=[KEY])
        version = [(b"anthropic-version", b"2026-10-21")]
        for method, path in (("POST", "/v1/messages/count_tokens"), ("GET", "/v1/models")):
            served = await Connection(method, path, headers=version).hear().serve(app)
            assert json.loads(served.body)["type"] == "error"

    run(test())


def test_models_are_only_read(gs: ModuleType) -> None:
    async def test() -> None:
        provider = RecordingProvider(say(gs))
        body = json.dumps(READERS["openai_chat"][1]).encode()
        headers = [(b"content-type", b"application/json")]
        asking = Connection("POST", "/v1/models", headers=headers).hear(body)
        served = await asking.serve(gs.gateway.Gateway(provider, models=["one"]))
        assert (served.status, provider.asked) == (405, [])

    run(test())


def test_models_of_one_string_are_refused(gs: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"^models must be a list of names"):
        gs.gateway.Gateway(RecordingProvider(), models="one")


@pytest.mark.parametrize("path", ["/llm/v1/models", "/v1/models"])  # servers differ
def test_it_can_be_mounted_below_a_path(gs: ModuleType, path: str) -> None:
    async def test() -> None:
        app = gs.gateway.Gateway(RecordingProvider(), models=["one"])
        served = await Connection("GET", path, root_path="/llm").hear().serve(app)
        assert json.loads(served.body)["data"][0]["id"] == "one"

    run(test())


@pytest.mark.parametrize("path", ROUTES)
def test_a_failure_before_the_first_event_has_its_status(gs: ModuleType, path: str) -> None:
    async def test() -> None:
        async def refuse(_: Any) -> Any:
            for _ in range(9):  # as a provider waits for its service
                await asyncio.sleep(0)
            raise gs.StreamError("slow down", code="rate_limited", status=429, retry_after=3)
            yield

        app = gs.gateway.Gateway(RecordingProvider(refuse))
        served = await post(path).serve(app)
        assert (served.status, served.headers["retry-after"]) == (429, "3")

    run(test())


class Stream:
    """A stream as vendors' SDKs have it: iterated by another object, and closed by a coroutine."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.closed = 0

    def __aiter__(self) -> Source:
        return self.source

    async def close(self) -> None:
        self.closed += 1


def test_a_client_that_leaves_closes_the_stream_of_an_sdk(gs: ModuleType) -> None:
    async def test() -> None:
        source = Source(gs.events.TextDelta("a"))
        stream = Stream(source)
        asking = post("/v1/messages")
        task = asking.begin(gs.gateway.Gateway(RecordingProvider(lambda _: stream)))
        await source.waiting.wait()
        asking.leave()
        await task
        assert (source.closed, stream.closed) == (1, 1)

    run(test())


def test_a_request_that_is_cancelled_has_its_line(
    gs: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        source = Source(gs.events.TextDelta("a"))
        task = post("/v1/messages").begin(gs.gateway.Gateway(RecordingProvider(lambda _: source)))
        await source.waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert source.closed == 1

    with caplog.at_level(logging.INFO, logger="gaistream.gateway"):
        run(test())
    [line] = [each.getMessage() for each in caplog.records]
    assert line.endswith("cancelled")


def test_models_and_health_are_answered(gs: ModuleType) -> None:
    async def test() -> None:
        app = gs.gateway.Gateway(RecordingProvider(), models=["one"])
        served = await Connection("GET", "/v1/models").hear().serve(app)
        assert [each["id"] for each in json.loads(served.body)["data"]] == ["one"]
        served = await Connection("GET", "/healthz").hear().serve(app)
        assert (served.status, json.loads(served.body)) == (200, {"status": "ok"})
        served = await Connection("HEAD", "/healthz").hear().serve(app)
        assert (served.status, served.body) == (200, b"")
        served = await Connection("GET", "/ai-sdk/chat1/stream").hear().serve(app)
        assert served.status == 204

    run(test())


def test_no_other_sites_page_may_use_it(gs: ModuleType) -> None:
    async def test() -> None:
        app = gs.gateway.Gateway(RecordingProvider(say(gs)))
        origin = {"origin": "https://example.com"}
        served = await post("/v1/messages", **origin).serve(app)
        assert "access-control-allow-origin" not in served.headers
        headers = [(b"origin", b"https://example.com")]
        served = await Connection("OPTIONS", "/v1/messages", headers=headers).hear().serve(app)
        assert "access-control-allow-origin" not in served.headers

    run(test())


def test_a_line_tells_of_each_request_and_nothing_of_its_content(
    gs: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        app = gs.gateway.Gateway(RecordingProvider(say(gs, "secret words")))
        await post("/v1/messages").serve(app)
        await post("/v1/messages", {"messages": []}).serve(app)

    with caplog.at_level(logging.INFO, logger="gaistream.gateway"):
        run(test())
    first, second = [each.getMessage() for each in caplog.records]
    for word in ("POST", "'/v1/messages'", "200", "model='m'", "first=", "tokens=3+4", "rate=",
                 "completed"):  # fmt: skip
        assert word in first
    assert "400" in second
    assert "secret" not in caplog.text
    assert "Be brief" not in caplog.text


# ---- fallback ----


def fail(gs: ModuleType, code: str = "provider_failed") -> Any:
    async def answer(_: Any) -> Any:
        raise gs.StreamError("no", code=code)
        yield

    return RecordingProvider(answer)


async def read(provider: Any) -> list[Any]:
    return [item async for item in provider.stream_text(None)]


def test_the_next_provider_is_asked_if_the_first_fails_at_first(gs: ModuleType) -> None:
    async def test() -> None:
        say_b = RecordingProvider(lambda _: asynchronous("b"))
        refusing = RecordingProvider(
            lambda _: asynchronous(gs.events.Start(), gs.events.Error("no"))
        )
        for failing in (fail(gs), refusing):
            assert await read(gs.gateway.Fallback(failing, say_b)) == ["b"]
        assert len(say_b.asked) == 2

    run(test())


def test_the_next_provider_is_asked_if_the_first_cannot_be_opened(
    gs: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    async def opening(_: Any) -> Any:
        raise gs.StreamError("no\nroot: logged in", code="provider_unreachable")

    async def test() -> None:
        other = RecordingProvider(lambda _: asynchronous("b"))
        assert await read(gs.gateway.Fallback(RecordingProvider(opening), other)) == ["b"]

    run(test())
    assert "provider_unreachable" in caplog.text
    assert "\nroot" not in caplog.text


def test_a_provider_that_has_begun_is_not_replaced(gs: ModuleType) -> None:
    async def test() -> None:
        other = RecordingProvider()
        failure = gs.StreamError("no")
        begun = RecordingProvider(lambda _: asynchronous("a", failure))
        with pytest.raises(gs.StreamError):
            await read(gs.gateway.Fallback(begun, other))
        assert other.asked == []

    run(test())


def test_a_request_that_was_rejected_is_not_sent_again(gs: ModuleType) -> None:
    async def test() -> None:
        other = RecordingProvider()
        with pytest.raises(gs.StreamError):
            await read(gs.gateway.Fallback(fail(gs, "provider_rejected"), other))
        assert other.asked == []

    run(test())


def test_the_last_providers_failure_is_the_answers(gs: ModuleType) -> None:
    async def test() -> None:
        with pytest.raises(gs.StreamError, match=r"^no$"):
            await read(gs.gateway.Fallback(fail(gs), fail(gs)))

    run(test())


def test_a_source_that_is_left_is_closed(gs: ModuleType) -> None:
    async def test() -> None:
        source = Source("a")
        answer = gs.gateway.Fallback(RecordingProvider(lambda _: source), fail(gs)).stream_text(
            None
        )
        assert await anext(answer) == "a"
        reading = asyncio.create_task(anext(answer))
        await source.waiting.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert source.closed == 1

    run(test())


def test_a_model_is_asked_for_whatever_the_client_names(gs: ModuleType) -> None:
    provider = RecordingProvider(lambda request: request.model)
    request = gs.ChatRequest(({"role": "user", "content": "x"},), model="theirs")
    assert gs.gateway.WithModel(provider, "ours").stream_text(request) == "ours"
