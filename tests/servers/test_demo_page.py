"""The demo's page in real browsers: answers, Stop, floods, what it keeps and what it links."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from browsers import Page
from real_servers import SECONDS, serve_uvicorn
from required import once_a_check

from gaistream import ChatRequest
from gaistream.cli.demo.app import create_app
from gaistream.events import Event, Finish, TextDelta, Usage
from gaistream.providers.docs import DocsProvider

once_a_check()


def serve(app: Any) -> Any:
    return serve_uvicorn(app, "h11", "asyncio", timeout_graceful_shutdown=5)


# ---- the demo's page ----

SEND = """async (mode, question) => {
  const by = (name) => document.querySelector(`[data-testid=${name}]`);
  by(`mode-${mode}`).click();
  by("question").value = question;
  while (by("send").disabled) await new Promise((go) => setTimeout(go, 5));
  by("send").click();
}"""

UNTIL_STATUS = """async (word) => {
  const by = (name) => [...document.querySelectorAll(`[data-testid=${name}]`)].at(-1)?.innerText;
  while (!by("status").includes(word) || document.querySelector("[aria-busy=true]")) {
    await new Promise((go) => setTimeout(go, 5));
  }
  return Object.fromEntries(
    ["answer", "sources", "usage", "ttft", "event-log"].map((name) => [name, by(name)]));
}"""


def ask_demo(page: Page, address: str, mode: str, question: str) -> None:
    page.goto(address)
    page.run(SEND, mode, question)


@pytest.mark.parametrize("mode", ["sse", "ndjson"])
def test_the_demo_answers_from_the_handbook(page: Page, mode: str) -> None:
    with serve(create_app(DocsProvider(rate=1000))) as server:
        ask_demo(page, server.url, mode, "How do I stop nginx from buffering?")
        shown = page.run(UNTIL_STATUS, "done")
    assert "X-Accel-Buffering" in shown["answer"]
    assert "search_handbook" in shown["answer"]
    assert "proxies.md" in shown["sources"]
    assert re.search(r"\d+ out", shown["usage"])
    assert re.search(r"\d+", shown["ttft"])
    for kind in ("text_delta", "finish_step", "finish", "done"):
        assert kind in shown["event-log"]


@pytest.mark.parametrize("mode", ["sse", "ndjson"])
def test_the_demos_stop_button_stops_the_producer(page: Page, mode: str) -> None:
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
        ask_demo(page, server.url, mode, "Anything")
        page.run("""async () => {
          const by = (name) => document.querySelector(`[data-testid=${name}]`);
          while (!by("answer")?.textContent.includes("one")) {
            await new Promise((go) => setTimeout(go, 5));
          }
          by("stop").click();
        }""")
        assert provider.closed.wait(SECONDS)
        page.run(UNTIL_STATUS, "stopped")


def test_the_demos_page_shows_a_hostile_answer_as_text(page: Page) -> None:
    class Hostile:
        async def stream_text(self, request: ChatRequest) -> Any:
            yield TextDelta("<img src=x onerror='hit = 1'><script>hit = 1</script>")

    with serve(create_app(Hostile())) as server:
        ask_demo(page, server.url, "ndjson", '"</script>"')
        shown = page.run(UNTIL_STATUS, "done")
        images = "document.querySelectorAll('#transcript img').length"
        assert page.run(f"() => [typeof hit, {images}]") == ["undefined", 0]
    assert "<img src=x" in shown["answer"]


# ---- floods ----

COUNT_WORK = """() => {
  globalThis.longest = 0; globalThis.rows = 0; globalThis.animations = 0;
  const animate = Element.prototype.animate, create = document.createElement;
  Element.prototype.animate = function () {
    animations++;
    return animate.apply(this, arguments);
  };
  document.createElement = function (tag) {
    if (tag === "li") rows++;
    return create.apply(document, arguments);
  };
  const wait = requestAnimationFrame;
  globalThis.requestAnimationFrame = (paint) => wait((now) => {
    const before = rows;
    paint(now);
    longest = Math.max(longest, rows - before);
  });
}"""


class Flood:
    """A source of so many events at once, or of 1 000 every 20 ms without an end."""

    def __init__(self, events: int | None = None) -> None:
        self.closed = threading.Event()
        self._events = events

    async def stream_text(self, request: ChatRequest) -> AsyncIterator[Event]:
        try:
            number = 0
            while self._events is None or number < self._events:
                number += 1
                yield TextDelta(f"word{number} ")
                if self._events is None and number % 1000 == 0:
                    await asyncio.sleep(0.02)
            yield Finish(Usage(1, number))
        finally:
            self.closed.set()


@pytest.mark.parametrize("mode", ["sse", "ndjson"])
def test_a_flood_builds_only_the_rows_that_are_shown(page: Page, mode: str) -> None:
    with serve(create_app(Flood(10_000))) as server:
        page.goto(server.url)
        page.run(COUNT_WORK)
        page.run(SEND, mode, "Anything")
        shown = page.run(UNTIL_STATUS, "done")
        assert "word10000" in shown["answer"]
        dropped = page.run("() => document.querySelector('[data-testid=dropped]').textContent")
        assert re.fullmatch(r"9,8\d\d earlier rows are not shown\.", dropped)
        rows, in_a_frame, animations = page.run("() => [rows, longest, animations]")
    assert in_a_frame <= (25 if mode == "sse" else 50)  # of the log, and of the raw frames
    assert rows <= 2_000
    assert animations <= 500


@pytest.mark.parametrize("leave", ["click", "Escape"])
@pytest.mark.parametrize("mode", ["sse", "ndjson"])
def test_a_flood_can_be_stopped(page: Page, mode: str, leave: str) -> None:
    provider = Flood()
    with serve(create_app(provider)) as server:
        ask_demo(page, server.url, mode, "Anything")
        page.run("""async (leave) => {
          const by = (name) => document.querySelector(`[data-testid=${name}]`);
          while (!by("answer")?.textContent.includes("word1 ")) {
            await new Promise((go) => setTimeout(go, 5));
          }
          if (leave === "click") by("stop").click();
          else document.dispatchEvent(new KeyboardEvent("keydown", { key: leave }));
        }""", leave)
        assert provider.closed.wait(SECONDS)
        page.run(UNTIL_STATUS, "stopped")


# ---- what it keeps, and what it links ----


def test_the_conversation_survives_a_reload_and_ends_with_a_new_one(page: Page) -> None:
    with serve(create_app(DocsProvider(rate=1000))) as server:
        ask_demo(page, server.url, "ndjson", "How do I stop nginx from buffering?")
        page.run(UNTIL_STATUS, "done")
        page.goto(server.url)
        transcript = "() => document.querySelector('[data-testid=transcript]').textContent"
        assert "How do I stop nginx from buffering?" in page.run(transcript)
        assert "X-Accel-Buffering" in page.run(transcript)
        page.run("""() => {
          const link = document.querySelector(".new");
          link.addEventListener("click", (event) => event.preventDefault());
          link.click();  // the test itself opens the page anew
        }""")
        page.goto(server.url)
        assert "nginx" not in page.run(transcript)


def test_a_source_of_an_answer_is_a_link_to_its_section(page: Page) -> None:
    with serve(create_app(DocsProvider(rate=1000))) as server:
        ask_demo(page, server.url, "ndjson", "How do I stop nginx from buffering?")
        page.run(UNTIL_STATUS, "done")
        link = page.run("() => document.querySelector('[data-testid=sources] a').href")
        assert link.startswith(f"{server.url}/handbook?proxies.md#")
        page.goto(link)
        heading = page.run("""async () => {
          while (!document.querySelector("h3")) await new Promise((go) => setTimeout(go, 5));
          return document.getElementById(location.hash.slice(1)).textContent;
        }""")
    assert "nginx" in heading


def test_the_code_of_an_answer_can_be_copied(page: Page) -> None:
    with serve(create_app(DocsProvider(rate=1000))) as server:
        ask_demo(page, server.url, "ndjson", "How do I stop nginx from buffering?")
        page.run(UNTIL_STATUS, "done")
        copied = page.run("""async () => {
          let copied;
          Object.defineProperty(navigator, "clipboard",
            { configurable: true, value: { writeText: async (text) => { copied = text; } } });
          document.querySelector(".code [data-testid=copy]").click();
          while (copied === undefined) await new Promise((go) => setTimeout(go, 5));
          return copied;
        }""")
    assert copied.startswith("location /chat {")
