"""The AI SDK's plain text: the answer and nothing else, and a broken connection for a failure."""

from __future__ import annotations

import asyncio

import pytest


def test_only_the_text_is_written(gs):
    e = gs.events
    items = [
        e.Start("m"), "a\n", e.ReasoningDelta("hm"), e.TextDelta("b\u2028é😀\ud83d"), "",
        e.ToolCall("c", "f"), e.Error("passing"), "c", b"d", e.Finish(), e.Done(),
    ]  # fmt: skip
    body = gs.encode_events(items, "ndjson", "ai_sdk_text")
    assert body.decode() == "a\nb\u2028é😀\ufffdcd"


def test_halves_of_a_pair_in_two_deltas_are_one_character(gs):
    async def source():
        yield "a\ud83d"
        yield "\ude00"

    async def body():
        return b"".join([each async for each in gs.ndjson(source(), dialect="ai_sdk_text")])

    assert asyncio.run(body()).decode() == "a😀"


@pytest.mark.parametrize("end", ["error", "error and done", "raise"])
def test_a_failure_is_an_exception_of_the_iterator(gs, end):
    async def source():
        yield "a"
        if end == "raise":
            raise gs.StreamError("no")
        yield gs.events.Error("no")
        if end == "error and done":
            yield gs.events.Done()

    async def run():
        async for _ in gs.ndjson(source(), dialect="ai_sdk_text"):
            pass

    with pytest.raises(gs.errors.GaistreamError, match=r"(which plain text cannot say: )?no$"):
        asyncio.run(run())


def test_its_media_type_is_text(gs):
    headers = dict(gs.http.headers("ndjson", dialect="ai_sdk_text"))
    assert "text/plain; charset=utf-8" in headers.values()
