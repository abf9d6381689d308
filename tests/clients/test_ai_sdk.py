"""The AI SDK's own clients of versions 5, 6 and 7 understand each kind of part as it was meant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from real_servers import serve_uvicorn
from required import once_a_check
from vendor_clients import ClientScript

from gaistream import StreamError, asgi, dialects
from gaistream import events as e

once_a_check()

VERSIONS = (5, 6, 7)
UNICODE = 'a\u2028b\u2029c\u0085d é 😀 \\ " \x01'
Source = list[Any]


class Asking:
    """Asks an endpoint, whose next streams a test sets, through the vendor's client."""

    def __init__(self, script: ClientScript) -> None:
        self.script = script
        self.url = ""
        self.source: Source = []
        self.version = 0

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        dialect = dialects.ai_sdk(version=self.version)
        await asgi.SSEResponse(self.events(), dialect=dialect)(scope, receive, send)

    async def events(self) -> Any:
        for item in self.source:
            if isinstance(item, Exception):
                raise item
            yield item

    def ask(self, source: Source, version: int) -> Any:
        self.source, self.version = source, version
        return self.script.ask(version=version, url=self.url)


@pytest.fixture(scope="module")
def client() -> Iterator[Asking]:
    with ClientScript("ai_sdk.mjs") as script:
        asking = Asking(script)
        with serve_uvicorn(asking.app, "h11", "asyncio", interface="asgi3") as server:
            asking.url = server.url
            yield asking


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said, "state": "done"}


def reasoning(said: str, **about: str) -> dict[str, Any]:
    metadata = {"providerMetadata": {"gaistream": about}} if about else {}
    return {"type": "reasoning", "text": said, "state": "done", **metadata}


def tool(name: str, identity: str, state: str, input: Any, **more: Any) -> dict[str, Any]:
    return {"type": f"tool-{name}", "toolCallId": identity, "state": state, "input": input, **more}


STEP = {"type": "step-start"}


def parts_of(answer: Any) -> list[Any]:
    """Return the parts of the message without the ids that the writer makes."""
    assert answer["message"] is not None, answer
    parts = answer["message"]["parts"]
    for part in parts:
        if part["type"] in ("reasoning", "source-url"):
            part.pop("id", None)
            part.pop("sourceId", None)
    return parts


CITED = {"startIndex": 0, "endIndex": 3}


def full() -> Source:
    return [
        e.Start("m1", "gpt"), e.ReasoningDelta("think "), e.ReasoningDelta(UNICODE),
        e.ReasoningEnd("rs_1", "sig"), e.TextDelta("So "), e.TextDelta(UNICODE),
        e.Citations([e.Citation("https://e.org", 0, 3, "E")]),
        e.ToolCallStart("c1", "f"), e.ToolCallStart("c2", "g"),
        *(e.ToolCallDelta("c1", each) for each in ('{"a"', ":", '"\\u2028"}')),
        e.ToolCallDelta("c2", "{}"),
        e.ToolCall("c1", "f", {"a": "\u2028"}), e.ToolCall("c2", "g", {}),
        e.ToolResult("c1", "f", {"r": UNICODE}), e.ToolResult("c2", "g", "bad", is_error=True),
        e.FinishStep(1), e.StepStart(2), e.File("image/png", data=b"123"),
        e.Data("weather", {"t": 1}, "w1"), e.Data("tick", 1, transient=True),
        e.Data("weather", {"t": 2}, "w1"), e.TextDelta("end"), e.FinishStep(2),
        e.Finish(e.Usage(11, 7, 18, 5, 3, 4), "length"), e.Done(),
    ]  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
def test_a_whole_conversation_is_understood(client: Asking, version: int) -> None:
    answer = client.ask(full(), version)
    assert (answer["status"], answer["error"]) == ("ready", None)
    source = {"type": "source-url", "url": "https://e.org", "title": "E"}
    cited = {"type": "source", "sourceType": "url", "id": "source-1"}
    cited |= {"url": "https://e.org", "title": "E"}
    said = text(f"So {UNICODE}")
    if version == 7:
        said["citations"] = [{"source": cited, **CITED}]
    assert parts_of(answer) == [
        STEP, reasoning(f"think {UNICODE}", itemId="rs_1", signature="sig"), said,
        {**source, "providerMetadata": {"gaistream": CITED}},
        tool("f", "c1", "output-available", {"a": "\u2028"}, output={"r": UNICODE}),
        tool("g", "c2", "output-error", {}, errorText="bad"), STEP,
        {"type": "file", "mediaType": "image/png", "url": "data:image/png;base64,MTIz"},
        {"type": "data-weather", "id": "w1", "data": {"t": 2}}, text("end"),
    ]  # fmt: skip
    assert answer["message"]["id"] == "m1"
    assert answer["message"]["metadata"] == {
        "model": "gpt",
        "usage": {
            "inputTokens": 11, "outputTokens": 7, "totalTokens": 18, "cachedInputTokens": 5,
            "cacheWriteInputTokens": 3, "reasoningTokens": 4,
        },
    }  # fmt: skip
    assert [each["type"] for each in answer["data"]] == [
        "data-weather",
        "data-tick",
        "data-weather",
    ]
    assert answer["calls"] == ["c1", "c2"]
    assert answer["finish"] == {
        "isAbort": False, "isDisconnect": False, "isError": False, "finishReason": "length",
    }  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
def test_text_between_the_pieces_of_a_call_is_one_part(client: Asking, version: int) -> None:
    source = [
        e.ToolCallStart("c1", "f"), "a", e.ToolCallDelta("c1", '{"a"'), "b",
        e.ToolCallDelta("c1", ":1}"), "c", e.ToolCall("c1", "f", {"a": 1}), "d",
    ]  # fmt: skip
    answer = client.ask(source, version)
    call = tool("f", "c1", "input-available", {"a": 1})
    assert parts_of(answer) == [STEP, call, text("abcd")]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_error_in_the_middle_is_an_error_of_the_chat(client: Asking, version: int) -> None:
    for failure in (e.Error("busy"), StreamError("busy")):
        answer = client.ask(["so far", e.ToolCallStart("c1", "f"), failure], version)
        assert (answer["status"], answer["error"]) == ("error", "busy")
        assert answer["finish"]["isError"]
        call = tool("f", "c1", "output-error", {}, errorText="busy")
        if version < 7:
            call["rawInput"] = call.pop("input")
        assert parts_of(answer) == [STEP, text("so far"), call]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_error_before_more_is_a_part_and_the_chat_goes_on(client: Asking, version: int) -> None:
    answer = client.ask(["a", e.Error("hm", "busy"), "b"], version)
    assert (answer["status"], answer["error"]) == ("ready", None)
    error = {"type": "data-error", "data": {"message": "hm", "code": "busy"}}
    assert parts_of(answer) == [STEP, text("ab"), error]


def test_a_step_that_begins_again_is_dropped_or_an_error(client: Asking) -> None:
    source = ["void", e.ToolCall("c1", "f"), e.StepReset(), "new"]
    for version in (5, 6):
        assert client.ask(source, version)["status"] == "error"
    answer = client.ask(source, 7)
    assert answer["finish"]["finishReason"] == "stop"
    assert parts_of(answer) == [STEP, text("new")]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_approval_is_asked_for(client: Asking, version: int) -> None:
    source = [e.ToolCall("c1", "f"), e.ApprovalRequest("a1", "c1", reason="cost")]
    parts = parts_of(client.ask(source, version))
    if version == 5:
        assert parts[2] == {
            "type": "data-approval-request",
            "data": {"id": "a1", "toolCallId": "c1", "reason": "cost"},
        }
    else:
        assert parts[1]["state"] == "approval-requested"
        assert parts[1]["approval"]["id"] == "a1"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("broken", [
    b'data: {"type":"text-delta","id":"never","delta":"x"}\n\n',
    b'data: {"type":"text-delta","id":"text-1"}\n\n',
    b'data: {"type":"hologram"}\n\n',
])  # fmt: skip
def test_a_broken_chunk_would_be_noticed(client: Asking, version: int, broken: bytes) -> None:
    answer = client.ask(["so far", broken, " so good"], version)
    assert answer["status"] == "error"
    assert parts_of(answer) != [STEP, text("so far so good")]
