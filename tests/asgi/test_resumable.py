"""`resumable`: a stream outlives its connection, and a resume says truthfully what it could do."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from resumed import PRELUDE, Steered, after, ids, of, outcome, request, served
from scripted_asgi import Connection, run, text

SSE_DIALECTS = [
    "gai",
    "gai_events_v1",
    "openai_chat",
    "openai_responses",
    "anthropic",
    "ai_sdk",
    "ag_ui",
]


def answer(gs: Any) -> list[Any]:
    events = gs.events
    return [
        events.Start(),
        events.ReasoningDelta("hm"),
        "a",
        events.TextDelta("b\ud83d"),
        "\ude00c",
        events.ToolCallStart("1", "tool"),
        events.ToolCallDelta("1", "{"),
        events.ToolCallDelta("1", "}"),
        events.ToolCall("1", "tool", {}),
        events.ToolResult("1", "tool", {"x": 1}),
        events.FinishStep(1),
        {"type": "text_delta", "text": "d"},
        events.Finish(events.Usage(1, 2), "stop"),
    ]


@pytest.mark.parametrize("dialect", SSE_DIALECTS)
def test_a_replay_has_the_bytes_of_the_live_stream_from_every_id(gs: Any, dialect: str) -> None:
    async def test() -> None:
        log = gs.replay.MemoryLog()
        live = await served(gs, log, of(answer(gs)), dialect=dialect)
        assert outcome(live) == (200, "complete")
        whole = await served(gs, log, dialect=dialect)
        assert (outcome(whole), whole.body) == ((200, "ended"), live.body)
        places = ids(live.body)
        assert len(set(places)) == len(places) == live.body.count(b"\ndata: ")
        for id in places[:-1]:
            resumed = await served(gs, log, after=id, dialect=dialect)
            assert outcome(resumed) == (200, "ended"), id
            assert resumed.body == PRELUDE + after(live.body, id), id
        assert outcome(await served(gs, log, after=places[-1], dialect=dialect)) == (204, "ended")

    run(test())


@pytest.mark.parametrize("settings", [{}, {"compact_json": False}, {"include_timestamp": True}])
def test_lines_of_ndjson_have_ids_and_are_replayed_byte_for_byte(gs: Any, settings: Any) -> None:
    async def test() -> None:
        log = gs.replay.MemoryLog()
        options = {"format": "ndjson", "options": gs.NDJSONOptions(**settings)}
        live = await served(gs, log, of(answer(gs)), **options)
        places = ids(live.body)
        assert len(places) == live.body.count(b"\n")
        for id in places[:-1]:
            assert (await served(gs, log, after=id, **options)).body == after(live.body, id)
        assert outcome(await served(gs, log, after=places[-1], **options)) == (204, "ended")

    run(test())


@pytest.mark.parametrize("dialect", ["json", "raw"])
@pytest.mark.parametrize("format", ["sse", "ndjson"])
def test_payloads_and_frames_are_replayed_and_a_stream_without_a_last_event_ends(
    gs: Any, dialect: str, format: str
) -> None:
    items = [{"json": {"x": [1.5, None]}}, "text" if dialect == "raw" else ["y", "é\u2028"]]
    items.append(gs.ServerSentEvent('{"z":1}', "named", id="own", comment="c"))
    items.append(b'data: {"ready":1}\n\n' if format == "sse" else b'{"ready":1}\n')

    async def test() -> None:
        log = gs.replay.MemoryLog()
        options = {"dialect": dialect, "format": format}
        if dialect == "raw" and format == "ndjson":
            items[1] = '{"text":1}'
        live = await served(gs, log, of(items), **options)
        places = ids(live.body)
        assert b"own" not in live.body
        assert (await served(gs, log, **options)).body == live.body
        for id in places[:-1]:
            resumed = await served(gs, log, after=id, **options)
            assert resumed.body.removeprefix(PRELUDE) == after(live.body, id)
        assert outcome(await served(gs, log, after=places[-1], **options)) == (204, "ended")

    run(test())


def test_a_source_goes_on_without_its_request_and_another_follows_it_live(gs: Any) -> None:
    async def test() -> None:
        log, source, outcomes = gs.replay.MemoryLog(), Steered("a", "b", "c"), []
        first, response = request(gs, log, source, on_close=outcomes.append)
        task = first.begin(response)
        await first.until_said(text("a"))
        first.leave()
        await source.gate.arrival()
        second, response = request(gs, log, None, ids(first.body)[-1])
        other = second.begin(response)
        tab, response = request(gs, log)
        third = tab.begin(response)
        await tab.until_said(text("a"))
        source.gate.open()
        await second.until_said(text("b"))
        assert not outcomes
        source.gate.open()
        await asyncio.gather(task, other, third)
        assert [text("b") in second.body, text("a") in second.body] == [True, False]
        assert tab.body == first.body + second.body.removeprefix(PRELUDE)
        assert outcome(second) == (200, "complete")
        [closed] = outcomes
        assert (closed.kind, closed.message.text, closed.events) == ("client_gone", "abc", 3)
        assert (source.begun, source.closed) == (1, 1)

    run(test())


def test_a_second_request_that_would_begin_the_stream_follows_it(gs: Any) -> None:
    async def test() -> None:
        log, source, unused = gs.replay.MemoryLog(), Steered("a", "b"), Steered("x")
        first, response = request(gs, log, source)
        task = first.begin(response)
        await first.until_said(text("a"))
        second, response = request(gs, log, unused)
        other = second.begin(response)
        await second.until_said(text("a"))
        source.gate.open()
        await asyncio.gather(task, other)
        assert first.body == second.body
        assert (await served(gs, log, unused)).body == first.body
        assert unused.begun == 0
        anew = await served(gs, log, unused, replace=True)
        assert text("x") in anew.body
        assert unused.begun == 1

    run(test())


def test_a_stream_without_an_id_gets_one_that_nobody_can_guess(gs: Any) -> None:
    async def test() -> None:
        log = gs.replay.MemoryLog()
        found = set()
        for _ in range(3):
            connection = await served(gs, log, of(["a"]), stream=None)
            found.add(connection.headers["gaistream-stream"])
            assert "Gaistream-Stream" in connection.headers["access-control-expose-headers"]
        assert len(found) == 3
        assert all(len(id) >= 22 for id in found)
        for id in found:
            assert text("a") in (await served(gs, log, stream=id)).body
        with pytest.raises(gs.errors.FrameError):
            gs.asgi.resumable(log, None, None, authorize=None)
        with pytest.raises(TypeError):
            gs.asgi.resumable(log, "s", of(["a"]))

    run(test())


def test_authorize_is_asked_with_request_and_stream_and_a_refusal_is_404(gs: Any) -> None:
    asked = []

    def sync(incoming: Any, stream: str) -> bool:
        asked.append((incoming.method, stream, incoming.headers.get("user")))
        return incoming.headers.get("user") == "me"

    async def asynchronous(incoming: Any, stream: str) -> bool:
        await asyncio.sleep(0)
        return sync(incoming, stream)

    async def test() -> None:
        log, source = gs.replay.MemoryLog(), Steered("a")
        for authorize in (sync, asynchronous):
            for more in ({}, {"after": "1-1"}, {"source": source}):
                refused = await served(gs, log, **more, authorize=authorize)
                assert refused.status == 404
                assert json.loads(refused.body)["error"]["code"] == "not_found"
        assert source.begun == 0
        me = {"headers": {"user": "me"}, "authorize": asynchronous}
        assert (await served(gs, log, source, **me)).status == 200
        assert (await served(gs, log, **me)).status == 200
        assert asked[0] == ("GET", "s", None)
        assert asked[-1] == ("GET", "s", "me")

    run(test())


@pytest.mark.parametrize("id", ["1-1", "x", "9" * 64, "1-1.0", "-1", "1-1.1.1"])
def test_an_id_of_another_generation_or_none_is_a_gap_that_an_eventsource_sees(
    gs: Any, id: str
) -> None:
    async def test() -> None:
        log = gs.replay.MemoryLog()
        live = await served(gs, log, of(["a", "b"]))
        epoch = ids(live.body)[0].split("-")[0]
        resumed = await served(gs, log, after=id)
        assert outcome(resumed) == (200, "gap")
        decoder = gs.SSEDecoder()
        gap, *rest = decoder.feed(resumed.body)
        assert (gap.event, gap.id) == ("gaistream.gap", f"{epoch}-0")
        told = gap.json()
        reason = "restarted" if id in ("1-1",) else "invalid_id"
        assert told == {
            "requested": id, "oldest": f"{epoch}-1", "newest": f"{epoch}-3", "reason": reason,
        }  # fmt: skip
        assert [bytes(each) for each in rest] == [
            bytes(each) for each in gs.SSEDecoder().feed(live.body)
        ]
        lines = await served(gs, log, after=id, format="ndjson")
        first = json.loads(lines.body.splitlines()[0])
        assert (first["type"], first["reason"]) == ("gaistream.gap", reason)

    run(test())


def test_what_was_trimmed_is_a_gap_and_so_is_an_id_of_the_future(gs: Any) -> None:
    async def test() -> None:
        log = gs.replay.MemoryLog(max_events=3)
        live = await served(gs, log, of(list("abcdef")))  # of 7 records the last three are kept
        epoch = ids(live.body)[0].split("-")[0]
        places = [f"{epoch}-{seq}" for seq in range(1, 8)]
        for after_id in (places[0], f"{epoch}-99", None):
            resumed = await served(gs, log, after=after_id)
            assert outcome(resumed) == (200, "gap")
            assert b"event: gaistream.gap" in resumed.body
            assert resumed.body.endswith(after(live.body, places[3]))
        assert (await served(gs, log, after=places[4])).body == PRELUDE + after(
            live.body, places[4]
        )
        assert outcome(await served(gs, log, after=places[3])) == (200, "ended")
        # the frames of a protocol with a state depend on what was trimmed
        stateful = await served(gs, log, after=places[4], dialect="openai_chat")
        assert outcome(stateful) == (200, "gap")

    run(test())


def test_a_stream_that_is_not_kept_is_204_whatever_is_asked(gs: Any) -> None:
    async def test() -> None:
        log, source = gs.replay.MemoryLog(), Steered("a")
        for more in ({}, {"after": "1-1"}, {"source": source, "after": "1-1"}, {"method": "HEAD"}):
            expired = await served(gs, log, **more)
            assert outcome(expired) == (204, "expired")
            assert expired.headers["gaistream-stream"] == "s"
            assert expired.body == b""
        assert source.begun == 0

    run(test())


def test_wrong_arguments_are_named(gs: Any) -> None:
    log = gs.replay.MemoryLog()
    for wrong in (
        {"authorize": 1}, {"format": "xml"}, {"dialect": "gemini"}, {"lease": 0}, {"status": 204},
        {"continue_bytes": 0}, {"on_close": 1}, {"options": gs.NDJSONOptions()},
    ):  # fmt: skip
        with pytest.raises(gs.errors.GaistreamError, match=next(iter(wrong))):
            gs.asgi.resumable(log, "s", of(["a"]), **{"authorize": None, **wrong})
    with pytest.raises(gs.errors.FrameTypeError, match="log"):
        gs.asgi.resumable(None, "s", of(["a"]), authorize=None)
    with pytest.raises(gs.errors.FrameError, match="stream"):
        gs.asgi.resumable(log, "", of(["a"]), authorize=None)


def test_head_says_the_outcome_and_begins_nothing(gs: Any) -> None:
    async def test() -> None:
        log, source = gs.replay.MemoryLog(), Steered("a")
        assert outcome(await served(gs, log, source, method="HEAD")) == (204, "expired")
        await served(gs, log, source)
        head = await served(gs, log, source, method="HEAD")
        assert (outcome(head), head.body) == ((200, "ended"), b"")
        assert source.begun == 1

    run(test())


def test_an_unknown_scope_is_refused(gs: Any) -> None:
    async def test() -> None:
        connection = Connection(type="websocket")
        await connection.serve(gs.asgi.resumable(gs.replay.MemoryLog(), "s", None, authorize=None))
        assert connection.sent == [{"type": "websocket.close", "code": 1000}]

    run(test())
