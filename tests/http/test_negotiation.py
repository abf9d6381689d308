"""The choice between Server-Sent Events and NDJSON, by path and `Accept`."""

from __future__ import annotations

import pytest

from gaistream.http.negotiation import negotiate

SSE, NDJSON = "text/event-stream", "application/x-ndjson"


@pytest.mark.parametrize(
    ("path", "chosen"),
    [
        ("/chat/sse", "sse"),
        ("/chat/ndjson", "ndjson"),
        ("/chat.sse", "sse"),
        ("/chat.ndjson", "ndjson"),
        ("/chat/ndjson/", "ndjson"),
        ("/chat/NDJSON", "ndjson"),
        ("sse", "sse"),
    ],
)
def test_a_path_that_names_a_format_decides_before_accept(path: str, chosen: str) -> None:
    other = {"sse": NDJSON, "ndjson": SSE}[chosen]
    assert [negotiate(path, accept) for accept in (None, SSE, NDJSON, other)] == [chosen] * 4


@pytest.mark.parametrize(
    "path", ["", "/", "/chat", "/ndjson/chat", "/xndjson", "/ndjson.html", "/chat-ndjson"]
)
def test_any_other_path_leaves_it_to_accept(path: str) -> None:
    assert negotiate(path, None) == negotiate(path, SSE) == "sse"
    assert negotiate(path, NDJSON) == "ndjson"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "sse"),
        ("", "sse"),
        ("*/*", "sse"),
        ("application/json", "sse"),
        (SSE, "sse"),
        (NDJSON, "ndjson"),
        ("application/ndjson", "ndjson"),
        ("application/jsonl", "ndjson"),
        (f"{SSE}, {NDJSON}", "sse"),
        (f"{NDJSON}, {SSE}", "sse"),
        (f"{NDJSON};q=0.9, {SSE};q=0.8", "ndjson"),
        (f"{NDJSON};q=0.8, {SSE};q=0.9", "sse"),
        (f"{NDJSON} ; q=0.9 , {SSE} ; q=0.8", "ndjson"),
        (f"{NDJSON};charset=utf-8;q=0.9, {SSE};q=0.8", "ndjson"),
        (f"{NDJSON.upper()};Q=1, {SSE};q=0.9", "ndjson"),
        (f"{SSE};q=0", "sse"),
        (f"{SSE};q=0, */*", "ndjson"),
        (f"{SSE};q=0.1, */*", "ndjson"),
        (f"{NDJSON}, */*;q=0.5", "ndjson"),
        (f"{NDJSON};q=0.4, */*;q=0.5", "sse"),
        ("application/*", "ndjson"),
        ("text/*", "sse"),
        ("text/*;q=0.5, application/*;q=0.6", "ndjson"),
        ("*/*;q=0.1, application/*;q=0", "sse"),
        (f"application/*;q=0.2, {NDJSON};q=0.9, {SSE};q=0.5", "ndjson"),
        (f"application/*;q=0.9, {NDJSON};q=0.2, {SSE};q=0.5", "sse"),
        (f"{NDJSON};q=5, {SSE};q=1", "sse"),
        (f"{NDJSON};q=-1, {SSE};q=0", "sse"),
        (f"{NDJSON};q=nan, {SSE};q=0.1", "sse"),
        (f"{NDJSON};q=x", "sse"),
        (f"{NDJSON};q=", "sse"),
        (",;,;q=1,/,", "sse"),
        ("application/x-jsonlines", "ndjson"),
        ("application/stream+json", "ndjson"),
    ],
)
def test_the_greater_quality_is_chosen_and_sse_wins_ties(accept: str | None, chosen: str) -> None:
    assert negotiate("/chat", accept) == chosen
