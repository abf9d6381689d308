"""Streams whose protocol is told by a header, by the first frame, or not at all."""

from __future__ import annotations

from typing import Any

import pytest


def read(gs: Any, body: bytes, format: str = "sse", size: int = 1, **headers: str) -> list[Any]:
    decoder = gs.reading.recognised.RecognisingDecoder(format, headers)
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return [event for piece in pieces for event in decoder.feed(piece)] + list(decoder.close())


@pytest.fixture(autouse=True)
def loaded(gs: Any) -> None:
    assert gs.testing  # which loads what it reads with


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("dialect", ["gai", "gai_events_v1", "openai_chat", "anthropic", "ag_ui"])
def test_the_first_frame_tells_the_dialect(gs: Any, dialect: str, size: int) -> None:
    body = b"".join(gs.sse(["a", "b"], dialect=dialect))
    expected = list(gs.read_events(body, dialect=dialect))
    assert read(gs, body, size=size) == expected


def test_a_header_that_a_dialect_declares_tells_it(gs: Any) -> None:
    body = b"".join(gs.sse(["a"], dialect="ai_sdk"))
    headers = dict(gs.dialects.find("ai_sdk").headers)
    known = list(gs.read_events(body, dialect="ai_sdk"))
    assert read(gs, body, **headers) == known != read(gs, body)


def test_a_known_stream_that_is_cut_says_so(gs: Any) -> None:
    body = b'event: text_delta\ndata: {"text":"a"}\n\n'
    assert read(gs, body)[-1].code == "truncated"
    later = b'event: tool_result\ndata: {"id":"1","name":"n","result":1}\n\n'
    assert getattr(read(gs, later)[-1], "code", "") == "truncated"


@pytest.mark.parametrize(
    ("format", "body"), [("sse", b'data: {"n":1}\n\n'), ("ndjson", b'{"n":1}\n'), ("sse", b"")]
)
def test_an_unknown_stream_has_raw_events_and_misses_no_end(
    gs: Any, format: str, body: bytes
) -> None:
    expected = [gs.events.Raw({"n": 1})] if body else []
    assert read(gs, body, format) == expected


def test_a_line_that_is_not_json_is_an_error_and_not_lost(gs: Any) -> None:
    [error] = read(gs, b'{"n":\n', "ndjson")
    assert error.code == "invalid_frame"


@pytest.mark.parametrize("kind", ["application/json", "text/html", ""])
def test_a_type_that_is_no_streams_is_refused(gs: Any, kind: str) -> None:
    with pytest.raises(gs.errors.ContentTypeError, match="not text/event-stream"):
        gs.reading.recognised.stream_format(200, kind)
