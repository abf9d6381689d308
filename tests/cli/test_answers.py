"""A whole answer in the commands: its text, its speed, and its failure."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from command_line import run, run_on_terminal
from real_servers import serve_uvicorn
from required import need_package
from scripted_http import HEAD, scripted

from gaistream import asgi, encode_events
from gaistream.cli._timing import Timing
from gaistream.events import Done, Error, Finish, ReasoningDelta, TextDelta, ToolCall

LINES = HEAD.replace(b"text/event-stream", b"application/x-ndjson")
PARTS = ["Héllo,\n", "  ", "wörld"]
ANSWER = [
    ReasoningDelta("hm"), ToolCall("1", "look", {}), *map(TextDelta, PARTS), Finish(None), Done(),
]  # fmt: skip


def frames(*payloads: Any) -> bytes:
    lines = [f"data: {json.dumps(each)}\n\n" for each in payloads]
    return HEAD + "".join(lines).encode()


def delta(**fields: Any) -> dict[str, Any]:
    return {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": fields}]}


STREAMS = {
    "gai": HEAD + encode_events(ANSWER, "sse"),
    "gai as NDJSON": LINES + encode_events(ANSWER, "ndjson"),
    "gai.events.v1": frames(*({"type": "text.delta", "text": each} for each in PARTS)),
    "Chat Completions": frames(
        delta(role="assistant"), *(delta(content=each) for each in PARTS), {"choices": []}
    )
    + b"data: [DONE]\n\n",
    "Responses": frames(
        *({"type": "response.output_text.delta", "delta": each} for each in PARTS),
        {"type": "response.completed", "response": {"id": "r"}},
    ),
    "Anthropic": frames(
        {"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "hm"}},
        *(
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": each}}
            for each in PARTS
        ),
    ),
    "AI SDK": frames(*({"type": "text-delta", "id": "1", "delta": each} for each in PARTS)),
    "AG-UI": frames(*({"type": "TEXT_MESSAGE_CONTENT", "delta": each} for each in PARTS)),
    "Gemini": frames(
        *({"candidates": [{"content": {"parts": [{"text": each}]}}]} for each in PARTS)
    ),
    "Ollama": LINES
    + b"".join(
        json.dumps({"message": {"content": each}, "done": False}).encode() + b"\n" for each in PARTS
    ),
}


@pytest.mark.parametrize("name", STREAMS)
def test_the_text_of_an_answer_is_written_unchanged(name: str) -> None:
    with scripted(STREAMS[name]) as server:
        ran = run("tail", "--text", "-q", server.url)
    assert ran.out == "".join(PARTS)


def test_text_on_a_terminal_ends_its_line_and_controls_nothing() -> None:
    events = [TextDelta("a\x1b[31m\n"), TextDelta("b\u202e"), Done()]
    with scripted(HEAD + encode_events(events, "sse")) as server:
        ran = run_on_terminal("tail", "--text", "-q", server.url)
    assert (ran.status, ran.out) == (0, "a\\x1b[31m\nb\\u202e\n")


def test_a_stream_without_text_is_reported_and_text_and_json_exclude_each_other() -> None:
    with scripted(HEAD + b'data: {"x":1}\n\n') as server:
        ran = run("tail", "--text", server.url)
    assert (ran.status, ran.out) == (0, "")
    assert "1 event in " in ran.errors
    assert "no text" in ran.errors
    ran = run("tail", "--text", "--json", "http://127.0.0.1:1/")
    assert (ran.status, "--text and --json" in ran.errors) == (2, True)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (HEAD + encode_events([TextDelta("a"), Error("no room")], "sse"), 1),
        (LINES + encode_events([TextDelta("a"), Error("no room")], "ndjson"), 1),
        (frames(delta(content="a"), {"error": {"message": "no room"}}), 1),
        (HEAD + encode_events([Error("a report"), TextDelta("a"), Done()], "sse"), 0),
    ],
)
def test_check_and_tail_agree_on_a_stream_that_ended_in_an_error(body: bytes, status: int) -> None:
    with scripted(body, body) as server:
        checked = run("check", "--json", server.url)
        assert (checked.status, run("tail", "-q", server.url).status) == (status, status)
    findings = [json.loads(line) for line in checked.out.splitlines()]
    errors = [each for each in findings if each.get("rule") == "server-error"]
    assert len(errors) == status
    if status:
        assert errors[0]["level"] == "error"
        assert "no room" in errors[0]["message"]


@pytest.mark.parametrize(
    ("count", "span", "expected"),
    [
        (8862, 1.0, "8,861 events/s"),
        (1_000_001, 0.5, "2,000,000 events/s"),
        (124, 1.0, "123 events/s"),
        (21, 2.0, "10.0 events/s"),
        (3, 4.0, "0.50 events/s"),
        (2, 50_000.0, "under 0.01 events/s"),
    ],
)
def test_a_rate_is_a_plain_number(count: int, span: float, expected: str) -> None:
    times = [0.0, *(span * number / (count - 1) for number in range(count)), span]
    timing = Timing(iter(times).__next__)
    for _ in range(count):
        timing.event()
    assert expected in timing.summary().split(", ", 2)[2]


def test_check_shows_progress_on_a_terminal_and_leaves_only_the_report() -> None:
    def step(connection: Any) -> None:
        connection.sendall(HEAD + b"data:1\n\n")
        time.sleep(0.5)  # in which the terminal shows the event
        connection.sendall(b"data: 2\n\n")

    with scripted(step) as server:
        ran = run_on_terminal("check", server.url)
    assert "1 event, 8 bytes" in ran.out
    assert ran.out.count("[missing-space]") == 1
    assert "2 events (message" in ran.out


def test_in_a_pipe_check_shows_only_its_report() -> None:
    with scripted(HEAD + b"data: 1\n\n") as server:
        ran = run("check", server.url, FORCE_COLOR="1")
    assert ran.errors == ""
    assert "bytes" not in ran.out


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An https server whose certificate nobody here has signed."""
    need_package("trustme")
    import trustme

    home: Path = tmp_path_factory.mktemp("secure")
    issued = trustme.CA().issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(str(home / "key"))
    issued.cert_chain_pems[0].write_to_path(str(home / "certificate"))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asgi.SSEResponse(["hello"])(scope, receive, send)

    files = {"ssl_certfile": home / "certificate", "ssl_keyfile": home / "key"}
    with serve_uvicorn(app, "h11", "asyncio", **files) as server:
        yield server.url.replace("http:", "https:")


@pytest.mark.parametrize("command", ["check", "tail"])
def test_an_unsigned_certificate_is_accepted_only_with_the_option(
    secure: str, command: str
) -> None:
    refused = run(command, secure)
    assert refused.status == 2
    assert "--insecure" in refused.errors
    assert run(command, "--insecure", secure).status == 0


def test_a_resumed_stream_accepts_any_certificate_too(secure: str) -> None:
    assert run("tail", "--reconnect", "-k", secure).status == 0
