"""How long the demo's page is busy at a stretch while 10 000 events arrive at once, by browser.

`python benchmarks/demo_page.py [chromium firefox webkit]`. A page that is busy for longer than
50 ms at a stretch answers Stop and Escape late. Chromium reports its own long tasks, those of 50 ms
and more. Elsewhere the page sends a message to itself over and over, and a stretch is the gap
between two of them. A busy machine makes both longer.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from browsers import ENGINES, Page, opened
from real_servers import serve_uvicorn

from gaistream import ChatRequest
from gaistream.cli.demo import create_app
from gaistream.events import Event, Finish, TextDelta, Usage

EVENTS = 10_000
MEASURE = """async (mode) => {
  const by = (name) => document.querySelector(`[data-testid=${name}]`);
  let last = performance.now();
  const gaps = [], { port1, port2 } = new MessageChannel();
  const reports = PerformanceObserver.supportedEntryTypes.includes("longtask");
  if (reports) {
    new PerformanceObserver((list) => gaps.push(...list.getEntries().map((each) => each.duration)))
      .observe({ type: "longtask" });
  }
  port1.onmessage = () => {
    gaps.push(-last + (last = performance.now()));
    port2.postMessage(null);
  };
  if (!reports) port2.postMessage(null);
  by(`mode-${mode}`).click();
  by("question").value = "Anything";
  while (by("send").disabled) await new Promise((go) => setTimeout(go, 5));
  by("send").click();
  const began = performance.now();
  while (!by("status").textContent.includes("done") || document.querySelector("[aria-busy=true]")) {
    await new Promise((go) => setTimeout(go, 5));
  }
  port1.close();
  return [performance.now() - began, ...gaps.sort((a, b) => b - a).slice(0, 3)];
}"""


class Flood:
    """A source of many events that never waits."""

    async def stream_text(self, request: ChatRequest) -> AsyncIterator[Event]:
        """Yield the events."""
        for number in range(EVENTS):
            yield TextDelta(f"word{number} ")
        yield Finish(Usage(len(request.question.split()), EVENTS))


def measure(page: Page, engine: str, address: str) -> None:
    """Print the stretches for each transport."""
    for mode in ("sse", "ndjson"):
        page.goto(address)
        whole, *longest = page.run(MEASURE, mode)
        gaps = ", ".join(f"{gap:.0f}" for gap in longest)
        print(f"{engine:<9} {mode:<7} {whole:6.0f} ms in all; longest: {gaps or '< 50'} ms")


if __name__ == "__main__":
    with serve_uvicorn(create_app(Flood()), "h11", "asyncio") as server:
        for engine in sys.argv[1:] or ENGINES:
            with opened(engine) as page:
                measure(page, engine, server.url)
