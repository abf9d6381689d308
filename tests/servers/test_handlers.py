"""Handlers over real servers: JSON bodies, chunked bodies, and requests that need no provider."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from real_servers import Server
from server_table import browse, on

from gaistream import SSEDecoder


def ask(question: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question}]}


@on()
def test_a_handler_reads_a_json_body_and_streams_the_answer(server: Server) -> None:
    with browse(server) as client:
        sse = client.post("/chat", json=ask("two wörds"))
        assert [event.json() for event in SSEDecoder().feed(sse.content)] == [
            {"text": "two"},
            {"text": "wörds"},
            {"finished": True},
        ]
        assert sse.content.startswith(b":\n\nid: 1\nevent: text_delta\n")
        lines = client.post("/chat", json=ask("x"), headers={"Accept": "application/x-ndjson"})
        assert lines.headers["content-type"] == "application/x-ndjson"
        assert lines.headers["vary"] == "Accept"
        assert lines.text == '{"type":"text_delta","text":"x"}\n{"type":"done","finished":true}\n'


@on()
def test_a_handler_reads_a_chunked_body_where_the_server_takes_one(server: Server) -> None:
    def pieces() -> Iterator[bytes]:
        text = json.dumps(ask("one two")).encode()
        yield text[:10]
        yield text[10:]

    with browse(server) as client:
        answer = client.post("/chat/ndjson", content=pieces())
    if not server.kind.reads_chunked:
        assert answer.status_code == 400
    else:
        assert [json.loads(line).get("text") for line in answer.text.splitlines()] == [
            "one",
            "two",
            None,
        ]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "bad request"),
        (b"{", "bad request"),
        (b"[]", "the request must be an object, not list"),
        (b'{"messages": []}', "messages must not be empty"),
    ],
)
@on()
def test_a_handler_refuses_a_bad_body(server: Server, body: bytes, message: str) -> None:
    with browse(server) as client:
        answer = client.post("/chat", content=body)
    assert answer.status_code == 400
    assert answer.json() == {"error": {"code": "bad_request", "message": message}}
    assert answer.headers["content-length"] == str(len(answer.content))


@on()
def test_a_query_is_answered_like_a_post(server: Server) -> None:
    with browse(server) as client:
        posted = client.post("/chat", json=ask("x"))
        queried = client.request("QUERY", "/chat", json=ask("x"))
    assert (queried.status_code, queried.content) == (200, posted.content)


@on()
def test_requests_that_need_no_provider_are_answered(server: Server) -> None:
    with browse(server) as client:
        head = client.head("/chat")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == "text/event-stream"
        preflight = client.options("/chat", headers={"Origin": "https://a.example"})
        assert (preflight.status_code, preflight.content) == (204, b"")
        assert preflight.headers["access-control-allow-methods"] == "GET, POST, QUERY, OPTIONS"
        wrong = client.delete("/chat")
        allowed = "GET, POST, QUERY, OPTIONS, HEAD"
        assert (wrong.status_code, wrong.headers["allow"]) == (405, allowed)
        again = client.post("/chat", json=ask("x"), headers={"Last-Event-ID": "3"})
        assert (again.status_code, again.content) == (204, b"")
