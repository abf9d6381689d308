"""`check`, `convert` and `tail` know the protocol of a stream, whichever it is."""

from __future__ import annotations

import json

import pytest
from command_line import run
from dialect_vectors import load
from scripted_http import HEAD, scripted

from gaistream import encode_events, read_events
from gaistream.events import Done, Event, Finish, Start, TextDelta, Usage

TITLES = {
    "gai": "gai", "gai_events_v1": "gai.events.v1", "openai_chat": "OpenAI Chat Completions",
    "openai_responses": "OpenAI Responses", "anthropic": "Anthropic Messages",
    "ai_sdk": "AI SDK UI messages", "ag_ui": "AG-UI", "gemini": "Gemini",
    "gemini_interactions": "Gemini Interactions", "ollama": "Ollama",
}  # fmt: skip
ANSWER = [Start("id", "m"), TextDelta("Hello"), Finish(Usage(1, 2), "stop"), Done()]


def stream_of(dialect: str) -> tuple[str, bytes]:
    """Return a format and a whole stream in it."""
    if dialect in ("gai", "gai_events_v1"):
        return "sse", encode_events(ANSWER, dialect=dialect)
    data = next(iter(load(dialect).values()))["input"].encode()
    return ("ndjson" if dialect == "ollama" else "sse"), data


def text_of(events: list[Event]) -> str:
    return "".join(each.text for each in events if isinstance(each, TextDelta))


@pytest.mark.parametrize("dialect", TITLES)
def test_check_and_tail_recognise_a_protocol_and_convert_translates_it(dialect: str) -> None:
    format, data = stream_of(dialect)
    text = text_of(list(read_events(data, dialect=dialect, format=format)))
    assert text
    assert f"Its protocol is {TITLES[dialect]}; it ended with " in run("check", stdin=data).out
    converted = run(
        "convert", "--dialect", dialect, "--to-dialect", "gai", "--to", "sse", "-", stdin=data
    )
    assert text_of(list(read_events(converted.out.encode()))) == text
    head = HEAD if format == "sse" else HEAD.replace(b"text/event-stream", b"application/x-ndjson")
    with scripted(head + data) as server:
        shown = run("tail", "--text", server.url)
    assert (shown.status, shown.out.rstrip("\n")) == (0, text.rstrip("\n")), shown.errors
    with scripted(head + data) as server:
        lines = run("tail", "--json", server.url)
    assert all(map(json.loads, lines.out.splitlines()))
