"""The demo's page in real browsers: the same answer in each protocol, beside its raw frames."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest
from browsers import Page
from real_servers import SECONDS, serve_uvicorn
from required import once_a_check

from gaistream import ChatRequest, read_events
from gaistream.cli.demo.app import create_app
from gaistream.events import (
    Citation,
    Citations,
    Error,
    Finish,
    ReasoningDelta,
    Start,
    TextDelta,
    ToolCall,
    ToolResult,
    Usage,
)

once_a_check()

DIALECTS = [
    "gai", "openai_chat", "openai_responses", "anthropic", "ai_sdk", "ag_ui", "gai_events_v1",
]  # fmt: skip

ASK = """async (dialect) => {
  const by = (name) => document.querySelector(`[data-testid=${name}]`);
  by("mode-ndjson").click();
  by("dialect").value = dialect;
  by("dialect").dispatchEvent(new Event("change", { bubbles: true }));
  by("question").value = "Why?";
  while (by("send").disabled) await new Promise((go) => setTimeout(go, 5));
  by("send").click();
}"""

UNTIL = """async (words) => {
  const by = (name) => document.querySelector(`[data-testid=${name}]`);
  const last = (name) => [...document.querySelectorAll(`[data-testid=${name}]`)].at(-1);
  const status = () => by("status").innerText;
  while (!words.some((word) => status().includes(word))
      || document.querySelector("[aria-busy=true]")) {
    await new Promise((go) => setTimeout(go, 5));
  }
  return {
    status: status(), answer: last("answer").innerText, usage: last("usage")?.innerText,
    tool: last("tool")?.innerText, reasoning: last("reasoning")?.textContent,
    sources: last("sources")?.innerText, error: last("error")?.innerText,
    frames: [...by("frames").children].map((each) => each.textContent),
    mode: document.querySelector("[name=mode]:checked").value,
    raw: by("frames").getClientRects().length > 0,
  };
}"""


class Answers:
    """A provider whose answer has everything that the page shows, and what the server sends of it.

    Args:
        more: items in place of the end.
    """

    def __init__(self, *more: Any) -> None:
        self.more = more or (Finish(Usage(3, 4), "stop"),)
        self.body = b""

    async def stream_text(self, request: ChatRequest) -> Any:
        yield Start("answer-1", "model-1")
        yield ReasoningDelta("Let me see.\n\nWell.")
        yield TextDelta("It is <b>so</b>, ")
        yield ToolCall("call-1", "look_up", {"word": "why"})
        yield ToolResult("call-1", "look_up", {"found": [1, 2]})
        yield Citations([Citation("https://example.com/why", 0, 2, "Why")])
        for piece in ("because ", "é 😌 ", "of that."):
            yield TextDelta(piece)
        for item in self.more:
            yield item

    def app(self) -> Any:
        inner = create_app(self)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            async def noting(message: Any) -> None:
                if scope.get("path", "").startswith("/api/chat"):
                    self.body += message.get("body", b"")
                await send(message)

            await inner(scope, receive, noting)

        return app


def serve(app: Any) -> Any:
    return serve_uvicorn(app, "h11", "asyncio", timeout_graceful_shutdown=5)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_answer_is_shown_alike_in_each_protocol_beside_the_frames_on_the_wire(
    page: Page, dialect: str
) -> None:
    answers = Answers()
    with serve(answers.app()) as server:
        page.goto(server.url)
        page.run(ASK, dialect)
        shown = page.run(UNTIL, ["done", "cut", "failed"])
    assert shown["status"] == "done"
    for words in ("It is <b>so</b>,", "because é 😌 of that.", "model-1"):
        assert words in shown["answer"]
    assert "Let me see.\n\nWell." in shown["reasoning"]
    assert "look_up" in shown["tool"]
    assert '{"word":"why"}' in shown["tool"]
    has_results = dialect not in ("openai_chat", "anthropic")  # which carry no results of ours
    assert ("answered" if has_results else "no result") in shown["tool"]
    assert "Why" in shown["sources"]
    assert "3 tokens in · 4 out" in shown["usage"]
    between = "\n" if dialect == "gai" else "\n\n"
    assert "".join(frame + between for frame in shown["frames"]) == answers.body.decode()
    read = read_events(
        answers.body, dialect=dialect, format="ndjson" if dialect == "gai" else "sse"
    )
    assert "".join(each.text for each in read if type(each) is TextDelta).endswith("of that.")
    assert (shown["mode"], shown["raw"]) == ("ndjson", True)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_error_in_the_middle_is_shown_in_each_protocol(page: Page, dialect: str) -> None:
    answers = Answers(Error("the model is overloaded", "busy"))
    with serve(answers.app()) as server:
        page.goto(server.url)
        page.run(ASK, dialect)
        shown = page.run(UNTIL, ["done", "cut", "failed"])
    assert shown["status"] == "failed"
    assert "the model is overloaded" in shown["error"]
    assert "of that." in shown["answer"]


def test_another_protocol_ends_the_answer_and_its_source_and_eventsource_reads_ours(
    page: Page,
) -> None:
    class Endless:
        closed = threading.Event()

        async def stream_text(self, request: ChatRequest) -> Any:
            try:
                yield TextDelta("one ")
                await asyncio.Event().wait()
            finally:
                self.closed.set()

    provider = Endless()
    provider.closed.clear()
    with serve(create_app(provider)) as server:
        page.goto(server.url)
        page.run(ASK, "anthropic")
        page.run("""async () => {
          const by = (name) => document.querySelector(`[data-testid=${name}]`);
          while (!by("answer")?.textContent.includes("one")) {
            await new Promise((go) => setTimeout(go, 5));
          }
          by("dialect").value = "ag_ui";
          by("dialect").dispatchEvent(new Event("change", { bubbles: true }));
        }""")
        assert provider.closed.wait(SECONDS)
        assert page.run(UNTIL, ["stopped"])["mode"] == "ndjson"
        chosen = page.run("""() => {
          const by = (name) => document.querySelector(`[data-testid=${name}]`);
          by("mode-sse").click();
          return [by("dialect").value, by("frames").getClientRects().length];
        }""")
        assert chosen == ["gai", 0]


def test_of_many_frames_the_newest_are_kept(page: Page) -> None:
    class Flood:
        async def stream_text(self, request: ChatRequest) -> Any:
            for number in range(1000):
                yield TextDelta(f"{number} ")

    with serve(create_app(Flood())) as server:
        page.goto(server.url)
        page.run(ASK, "ai_sdk")
        shown = page.run(UNTIL, ["done", "cut", "failed"])
        told = page.run("() => document.querySelector('[data-testid=framed]').innerText")
    assert len(shown["frames"]) == 100
    assert shown["frames"][-1].endswith("data: [DONE]")
    assert told == "the last 100 of 1,008"


def test_an_unknown_protocol_is_not_found() -> None:
    import httpx

    with serve(create_app(Answers())) as server:
        asked = json.dumps({"messages": [{"role": "user", "content": "Why?"}]})
        answer = httpx.post(f"{server.url}/api/chat/gemini", content=asked)
    assert answer.status_code == 404
