"""ASGI handlers in a scripted server: from the request to the provider."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from recording_provider import (
    RecordingProvider,
)
from scripted_asgi import (
    DONE,
    END,
    HEADERS,
    PRELUDE,
    Connection,
    Source,
    asynchronous,
    body,
    run,
    start,
    text,
)


class AsyncGenerator:
    """The usual form of a provider."""

    async def stream_text(self, request: Any) -> AsyncIterator[str]:
        for letter in request:
            yield letter


class Coroutine:
    """A provider that has to wait before it has a source."""

    async def stream_text(self, request: Any) -> AsyncIterator[str]:
        await asyncio.sleep(0)
        return AsyncGenerator().stream_text(request)


class Function:
    """A provider that returns a source of any kind."""

    def stream_text(self, request: Any) -> Any:
        return list(request)


class SyncGenerator:
    """A provider that blocks."""

    def stream_text(self, request: Any) -> Iterator[str]:
        yield from request


def question(incoming: Any) -> str:
    return incoming.query["q"]


def error_of(served: Connection) -> dict[str, str]:
    assert served.is_complete
    assert served.headers["content-type"] == "application/json"
    assert served.headers["content-length"] == str(len(served.body))
    assert len(served.chunks) == 1
    return json.loads(served.body)["error"]


# ---- from the request to the stream ----


@pytest.mark.parametrize("kind", [AsyncGenerator, Coroutine, Function, SyncGenerator])
@pytest.mark.parametrize("prepare_is_async", [False, True])
def test_a_provider_of_any_kind_is_streamed(gs: Any, kind: Any, prepare_is_async: bool) -> None:
    async def later(incoming: Any) -> str:
        await asyncio.sleep(0)
        return question(incoming)

    async def test() -> None:
        handler = gs.asgi.sse_handler(kind(), later if prepare_is_async else question)
        served = await Connection(query_string=b"q=xyz").serve(handler)
        assert served.sent[0] == start()
        expected = b"".join(b"id: %d\n" % id_ + text("xyz"[id_ - 1]) for id_ in (1, 2, 3))
        assert served.body == PRELUDE + expected + b"id: 4\n" + DONE
        assert served.is_complete

    run(test())


def test_prepare_request_gets_the_whole_request_and_the_provider_its_result(gs: Any) -> None:
    async def test() -> None:
        seen: list[Any] = []

        async def prepare(incoming: Any) -> Any:
            seen.extend([incoming.method, incoming.path, incoming.query, incoming.headers])
            seen.extend([incoming.last_event_id, await incoming.body(), await incoming.json()])
            return gs.ChatRequest.from_json(await incoming.json())

        provider = RecordingProvider()
        handler = gs.asgi.sse_handler(provider, prepare, on_reconnect="rerun")
        headers = [
            (b"X-Mine", b"\xe9"),
            (b"x-mine", b"2"),
            (b"cookie", b"a=1"),
            (b"cookie", b"b=2"),
            (b"last-event-id", b"7"),
        ]
        connection = Connection("POST", "/ch\u00e4t", query_string=b"a=%C3%A9&b=", headers=headers)
        content = json.dumps({"messages": [{"role": "user", "content": "Hé"}]}).encode()
        for part in (content[:5], b"", content[5:]):
            connection.hear(part, more=True)
        connection.hear()
        await connection.serve(handler)
        assert seen == [
            "POST",
            "/ch\u00e4t",
            {"a": "é", "b": ""},
            {"x-mine": "\xe9, 2", "cookie": "a=1; b=2", "last-event-id": "7"},
            "7",
            content,
            json.loads(content),
        ]
        assert provider.asked[0].question == "Hé"
        assert connection.body.endswith(DONE)

    run(test())


@pytest.mark.parametrize(
    ("path", "accept", "media_type"),
    [
        ("/chat", [], "text/event-stream"),
        ("/chat", [b"application/x-ndjson"], "application/x-ndjson"),
        ("/chat", [b"text/html", b"application/x-ndjson"], "application/x-ndjson"),
        ("/chat/ndjson", [b"text/event-stream"], "application/x-ndjson"),
        ("/chat/sse", [b"application/x-ndjson"], "text/event-stream"),
    ],
)
def test_event_handler_answers_in_the_requested_format(
    gs: Any, path: str, accept: list[bytes], media_type: str
) -> None:
    async def test() -> None:
        handler = gs.asgi.event_handler(
            RecordingProvider(),
            lambda _: None,
            sse_options=gs.SSEOptions(include_id=False),
            ndjson_options=gs.NDJSONOptions(compact_json=False),
        )
        headers = [(b"Accept", each) for each in accept]
        served = await Connection(path=path, headers=headers).serve(handler)
        assert served.headers["content-type"] == media_type
        assert served.headers["vary"] == "Accept"
        assert (b'"type": "done"' in served.body) is (media_type == "application/x-ndjson")
        assert b"id:" not in served.body

    run(test())


def test_settings_of_a_handler_reach_its_responses(gs: Any) -> None:
    async def test() -> None:
        outcomes: list[Any] = []
        handler = gs.asgi.ndjson_handler(
            RecordingProvider(lambda _: asynchronous({"x": 1})),
            lambda _: None,
            dialect="json",
            cors=None,
            headers={"X-Mine": "1"},
            on_close=outcomes.append,
            hold_headers=True,
            send_timeout=None,
        )
        for _ in range(2):
            served = await Connection().serve(handler)
            assert served.body == b'{"x":1}\n'
            assert served.headers["x-mine"] == "1"
            assert "access-control-allow-origin" not in served.headers
        assert [each.kind for each in outcomes] == ["completed"] * 2

    run(test())


def test_a_client_that_leaves_after_its_body_was_read_ends_the_stream(gs: Any) -> None:
    async def test() -> None:
        async def prepare(incoming: Any) -> Any:
            return await incoming.json()

        source = Source("a")
        handler = gs.asgi.sse_handler(RecordingProvider(lambda _: source), prepare)
        connection = Connection("POST").hear(b"{}")
        task = connection.begin(handler)
        await connection.until_said(text("a"))
        connection.leave()
        await task
        assert source.closed == 1

    run(test())


# ---- requests that need no provider ----


@pytest.mark.parametrize("maker", ["sse_handler", "ndjson_handler", "event_handler"])
def test_the_responses_to_options_head_and_unknown_methods(gs: Any, maker: str) -> None:
    async def test() -> None:
        provider = RecordingProvider()
        handler = getattr(gs.asgi, maker)(provider, lambda _: None)
        served = await Connection("OPTIONS").serve(handler)
        assert served.sent == [
            start(
                204,
                [
                    (b"allow", b"GET, POST, QUERY, OPTIONS, HEAD"),
                    (b"access-control-allow-origin", b"*"),
                    (b"access-control-allow-methods", b"GET, POST, QUERY, OPTIONS"),
                    (
                        b"access-control-allow-headers",
                        b"Content-Type, Authorization, Last-Event-ID, Idempotency-Key, "
                        b"X-Idempotency-Key",
                    ),
                    (b"access-control-max-age", b"600"),
                ],
            ),
            END,
        ]
        served = await Connection("DELETE").serve(handler)
        assert (served.status, served.headers["allow"]) == (405, "GET, POST, QUERY, OPTIONS, HEAD")
        assert error_of(served)["code"] == "method_not_allowed"
        served = await Connection("HEAD").serve(handler)
        varies = [(b"vary", b"Accept")] if maker == "event_handler" else []
        media_type = b"application/x-ndjson" if maker == "ndjson_handler" else HEADERS[0][1]
        expected = [(b"content-type", media_type), *HEADERS[1:], *varies]
        assert served.sent == [start(200, expected), END]
        assert not provider.asked

    run(test())


@pytest.mark.parametrize(
    "scope", [{"headers": [(b"last-event-id", b"3")]}, {"query_string": b"last_event_id=3"}]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_reconnect_is_ended_without_asking_the_provider(gs: Any, scope: Any, method: str) -> None:
    async def test() -> None:
        provider = RecordingProvider()
        for maker in (gs.asgi.sse_handler, gs.asgi.event_handler):
            served = await Connection(method, **scope).serve(maker(provider, lambda _: None))
            assert served.sent == [
                start(204, [(b"cache-control", b"no-store"), HEADERS[-1]]),
                END,
            ]
        assert not provider.asked

    run(test())


def test_a_reconnect_is_served_again_with_rerun_and_as_ndjson(gs: Any) -> None:
    async def test() -> None:
        provider = RecordingProvider()
        scope = {"headers": [(b"last-event-id", b"3")]}
        for handler in (
            gs.asgi.sse_handler(provider, lambda _: None, on_reconnect="rerun"),
            gs.asgi.event_handler(provider, lambda _: None, on_reconnect="rerun"),
            gs.asgi.ndjson_handler(provider, lambda _: None),
        ):
            assert (await Connection(**scope).serve(handler)).status == 200
        assert len(provider.asked) == 3

    run(test())


def test_a_malformed_id_is_ignored(gs: Any) -> None:
    async def test() -> None:
        scope = {"headers": [(b"last-event-id", "é".encode())]}
        handler = gs.asgi.sse_handler(RecordingProvider(), lambda _: None)
        assert (await Connection(**scope).serve(handler)).status == 200

    run(test())


def test_a_websocket_and_a_lifespan_do_not_reach_the_provider(gs: Any) -> None:
    async def test() -> None:
        provider = RecordingProvider()
        handler = gs.asgi.event_handler(provider, lambda _: None)
        connection = await Connection(type="websocket").serve(handler)
        assert connection.sent == [{"type": "websocket.close", "code": 1000}]
        connection = Connection(type="lifespan")
        connection.incoming.put_nowait({"type": "lifespan.startup"})
        connection.incoming.put_nowait({"type": "lifespan.shutdown"})
        await connection.serve(handler)
        assert [each["type"] for each in connection.sent] == [
            "lifespan.startup.complete",
            "lifespan.shutdown.complete",
        ]
        assert not provider.asked

    run(test())


def test_a_handler_serves_many_requests_at_once(gs: Any) -> None:
    async def test() -> None:
        options = gs.SSEOptions(include_id=False)
        handler = gs.asgi.sse_handler(AsyncGenerator(), question, options=options)
        names = [f"{number:03}" for number in range(100)]
        served = await asyncio.gather(
            *(Connection(query_string=f"q={name}".encode()).serve(handler) for name in names)
        )
        for name, connection in zip(names, served, strict=True):
            expected = b"".join(map(text, name))
            assert connection.sent == [start(), body(PRELUDE + expected + DONE), END]

    run(test())
