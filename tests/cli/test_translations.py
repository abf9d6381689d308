"""`gaistream convert` between protocols: what is read by one is written by the other."""

from __future__ import annotations

import pytest
from command_line import run

from gaistream import collect, encode_events, read_events
from gaistream.cli.convert import _READ, _WRITTEN
from gaistream.events import Done, Finish, Start, TextDelta, ToolCall, Usage

ANSWER = [
    Start("a1", "m"), TextDelta("Hel"), TextDelta("lo\u2028"), ToolCall("c1", "f", {"a": 1}),
    Finish(Usage(3, 4), "tool_calls"), Done(),
]  # fmt: skip
BOTH = sorted(set(_READ) & set(_WRITTEN))


def test_every_protocol_that_is_read_or_written_is_named_in_the_help() -> None:
    page = run("convert", "--help").out
    for name in {*_READ, *_WRITTEN}:
        assert name in page


@pytest.mark.parametrize("target", BOTH)
@pytest.mark.parametrize("source", [*BOTH, "gai"])
def test_an_answer_is_the_same_in_the_other_protocol(source: str, target: str) -> None:
    body = encode_events(ANSWER, dialect=source)
    options = ["--dialect", source] if source != "gai" else []
    ran = run("convert", *options, "--to-dialect", target, stdin=body)
    assert ran.status == 0
    assert "from sse" in ran.errors
    assert "lost" not in ran.errors
    message = collect(read_events(ran.bytes, dialect=target))
    assert message.text == "Hello\u2028"
    assert [(each.name, each.input) for each in message.tool_calls] == [("f", {"a": 1})]
    assert message.complete


def test_without_a_target_it_is_gaistreams_own_protocol() -> None:
    body = encode_events(ANSWER, dialect="anthropic")
    for to in ("sse", "ndjson"):
        ran = run("convert", "-q", "--dialect", "anthropic", "--to", to, stdin=body)
        assert collect(read_events(ran.bytes, to)).text == "Hello\u2028"


def test_the_counts_of_tokens_are_written_in_chat_completions_too() -> None:
    body = encode_events(ANSWER, dialect="anthropic")
    ran = run("convert", "--dialect", "anthropic", "--to-dialect", "openai_chat", stdin=body)
    assert collect(read_events(ran.bytes, dialect="openai_chat")).usage == Usage(3, 4)


def test_a_cut_stream_fails_in_the_other_protocol_and_has_status_1() -> None:
    body = encode_events(ANSWER[:3], dialect="openai_chat")
    ran = run("convert", "--dialect", "openai_chat", "--to-dialect", "anthropic", stdin=body)
    assert ran.status == 1
    assert "the stream has failed" in ran.errors
    message = collect(read_events(ran.bytes, dialect="anthropic"))
    assert (message.text, message.complete) == ("Hello\u2028", False)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--dialect", "json", "--to-dialect", "ag_ui"], "no events"),
        (["--dialect", "openai_chat", "--from", "ndjson"], "openai_chat is not read from ndjson"),
        (["--to-dialect", "anthropic", "--to", "ndjson"], "anthropic is not written as ndjson"),
        (["--to-dialect", "ollama"], "ollama"),
    ],
)
def test_what_cannot_be_translated_is_a_wrong_call(options: list[str], complaint: str) -> None:
    ran = run("convert", *options, stdin=b"data: {}\n\n")
    assert ran.status == 2
    assert complaint in ran.errors
