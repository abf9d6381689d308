"""The embedded provider, and the handbook from which it answers."""

from __future__ import annotations

import ast
import asyncio
import dataclasses
import pkgutil
import re
from importlib import resources

import pytest

from gaistream import NDJSONOptions, SSEOptions, errors, events
from gaistream.chat import ChatRequest
from gaistream.providers.docs import DocsProvider

FILES = sorted(resources.files("gaistream").joinpath("handbook").iterdir(), key=str)
HANDBOOK = {file.name: file.read_text("utf-8") for file in FILES}
OWN = {
    "pets.md": "# Pets\n\n## Cats\n\nCats purr.\n\n## Dogs\n\nDogs bark.\n",
    "farm.md": "# Farm\n\n## Cows\n\nCows moo and chew.\n\n```python\n## not a heading\n```\n",
}


def ask(question: str, provider: DocsProvider | None = None) -> list[events.Event]:
    source = (provider or DocsProvider()).stream_text(ChatRequest.from_question(question))

    async def collect() -> list[events.Event]:
        return [event async for event in source]

    return asyncio.run(collect())


def text_of(reply: list[events.Event]) -> str:
    return "".join(event.text for event in reply if isinstance(event, events.TextDelta))


def kinds(reply: list[events.Event]) -> list[str]:
    return list(dict.fromkeys(type(event).__name__ for event in reply))


def test_an_answer_has_every_part_of_an_answer_with_a_tool() -> None:
    question = "What happens when the client disconnects?"
    reply = ask(question)
    assert kinds(reply) == [
        "Start", "ToolCall", "ToolResult", "Citations", "TextDelta", "FinishStep", "Finish",
    ]  # fmt: skip
    start, call, result, citations = reply[:4]
    assert start.model == "gaistream-handbook"
    assert call == events.ToolCall("call_1", "search_handbook", {"query": question})
    assert (result.id, result.name) == ("call_1", "search_handbook")
    best = result.result["sections"][0]
    assert (best["document"], f"{best['title']}?") == ("servers.md", question)
    assert best["score"] > 0
    anchor = "#what-happens-when-the-client-disconnects"
    assert citations.citations[0].uri == f"gaistream:handbook/servers.md{anchor}"
    assert "aclose()" in text_of(reply)


def test_the_usage_counts_the_words_of_the_question_and_the_pieces_of_the_answer() -> None:
    reply = ask("Is a writer  thread-safe?")
    pieces = sum(isinstance(event, events.TextDelta) for event in reply)
    assert reply[-2:] == [
        events.FinishStep(1),
        events.Finish(events.Usage(4, pieces), finish_reason="stop"),
    ]


def test_the_same_question_yields_the_same_events_and_another_has_another_id() -> None:
    assert ask("What is a heartbeat?") == ask("What is a heartbeat?")
    assert ask("What is a heartbeat?")[0].id != ask("What are heartbeats?")[0].id


def test_pieces_are_words_with_their_white_space() -> None:
    reply = ask("cows", DocsProvider(documents=OWN))
    assert reply[3] == events.Citations([events.Citation("farm.md#cows", 51, 101, title="Cows")])
    pieces = [event.text for event in reply if isinstance(event, events.TextDelta)]
    assert all(re.fullmatch(r"\S+\s*", piece) for piece in pieces)
    assert "".join(pieces) == (
        "The handbook answers this under “Cows” (farm.md):\n\n"
        "Cows moo and chew.\n\n```python\n## not a heading\n```\n"
    )


@pytest.mark.parametrize("question", ["heartbeat", "Last-Event-ID", "send_timeout", "CORS"])
def test_each_citation_covers_the_text_of_its_section(question: str) -> None:
    reply = ask(question)
    answer = text_of(reply)
    (cited,) = (event.citations for event in reply if isinstance(event, events.Citations))
    result = next(event.result for event in reply if isinstance(event, events.ToolResult))
    assert 1 <= len(cited) <= len(result["sections"])
    end = 0
    for citation in cited:
        document, _, anchor = citation.uri.removeprefix("gaistream:handbook/").partition("#")
        assert end < citation.start < citation.end <= len(answer)
        stretch, end = answer[citation.start : citation.end], citation.end
        assert anchor in anchors(document)
        for block in stretch.split("\n\n"):
            assert block in section_of(document, anchor)


def quoted(question: str, provider: DocsProvider) -> tuple[list[str], list[str]]:
    """The titles of the sections that were found, and of those that were quoted."""
    reply = ask(question, provider)
    found = next(event.result for event in reply if isinstance(event, events.ToolResult))
    cited = next(event.citations for event in reply if isinstance(event, events.Citations))
    return [hit["title"] for hit in found["sections"]], [citation.title for citation in cited]


def test_further_sections_are_quoted_only_if_they_score_nearly_as_much() -> None:
    both = ["Cats", "Dogs"]
    assert quoted("cats and dogs", DocsProvider(documents=OWN)) == (both, both)
    assert quoted("cats and dogs", DocsProvider(documents=OWN, sections=1)) == (["Cats"], ["Cats"])
    barking = "# Sounds\n\n## Barking\n\nDogs bark.\n\n## Trees\n\nLeaves, roots, rings and bark.\n"
    provider = DocsProvider(documents={"sounds.md": barking})
    assert quoted("bark", provider) == (["Barking", "Trees"], ["Barking"])


@pytest.mark.parametrize(
    "question", ["Who won in 1998?", "Can a proxy cook spaghetti?", "hello", "", "  \n", "\ud800"]
)
def test_a_question_that_the_handbook_does_not_answer_gets_its_contents(question: str) -> None:
    reply = ask(question)
    assert kinds(reply) == ["Start", "ToolCall", "ToolResult", "TextDelta", "FinishStep", "Finish"]
    assert reply[2].result == {"sections": []}
    answer = text_of(reply)
    first = "The handbook has nothing on that." if question.strip() else "There was no question."
    assert answer.startswith(first)
    for name in HANDBOOK:
        assert f"({name})\n" in answer


@pytest.mark.parametrize(
    ("question", "document", "title"),
    [
        ("What is gaistream?", "getting-started.md", "What gaistream is"),
        ("How do I install it?", "getting-started.md", "Install gaistream"),
        ("How do I use it with FastAPI?", "fastapi.md", "FastAPI's streams"),
        ("flask", "frameworks.md", "Flask"),
        ("How do tool calls work?", "events.md", "Tools: ToolCall and ToolResult"),
        ("Tell me about U+2028", "wire.md", "Why U+2028 is escaped in JSON"),
        ("What does send_timeout do?", "servers.md", "Slow clients and send_timeout"),
        ("reconnects, Last-Event-ID", "handlers.md", "Reconnects, Last-Event-ID and status 204"),
        ("Why does nginx buffer?", "proxies.md", "Buffering in nginx: X-Accel-Buffering"),
        ("HTTP/2", "proxies.md", "HTTP/2 and HTTP/1.1"),
        ("Is SSEWriter thread-safe?", "writers.md", "Thread safety"),
        ("What is GAISTREAM_BACKEND?", "twins.md", "Choose at run time: GAISTREAM_BACKEND"),
        ("ask OpenAI", "providers.md", "OpenAIProvider: OpenAI and compatible services"),
        (
            "How do I read it with EventSource?",
            "browser.md",
            "Read SSE with EventSource: a GET request",
        ),
    ],
)
def test_common_questions_find_their_section(question: str, document: str, title: str) -> None:
    found = next(e.result["sections"] for e in ask(question) if isinstance(e, events.ToolResult))
    assert (found[0]["document"], found[0]["title"]) == (document, title)


def test_the_rate_sets_the_pause_between_two_pieces() -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    reply = ask("cows", DocsProvider(rate=20, documents=OWN, sleep=sleep))
    pieces = sum(isinstance(event, events.TextDelta) for event in reply)
    assert pauses == [0.05] * (pieces - 1)
    pauses.clear()
    assert ask("cows", DocsProvider(documents=OWN, sleep=sleep)) == reply
    assert pauses == []


@pytest.mark.parametrize("settings", [{"rate": 0}, {"rate": -1}, {"sections": 0}])
def test_impossible_settings_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(settings))} must be"):
        DocsProvider(**settings)


def test_a_cancelled_answer_stops_where_it_waits() -> None:
    async def scenario() -> list[events.Event]:
        waiting = asyncio.Event()
        reply: list[events.Event] = []

        async def sleep(_: float) -> None:
            waiting.set()
            await asyncio.Event().wait()

        async def read() -> None:
            provider = DocsProvider(rate=1, sleep=sleep)
            async for event in provider.stream_text(ChatRequest.from_question("CORS")):
                reply.append(event)

        task = asyncio.create_task(read())
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return reply

    reply = asyncio.run(scenario())
    assert sum(isinstance(event, events.TextDelta) for event in reply) == 1
    assert type(reply[-1]) is events.TextDelta


# ---- the handbook ----


def fences(markdown: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", markdown, re.MULTILINE | re.DOTALL)


def prose(markdown: str) -> str:
    return re.sub(r"^```.*?^```$", "", markdown, flags=re.MULTILINE | re.DOTALL)


def section_of(document: str, anchor: str) -> str:
    parts = re.split(r"^(?=##? )", HANDBOOK[document], flags=re.MULTILINE)
    return next(part for part in parts if anchors_in(part.split("\n", 1)[0]) == {anchor})


def anchors_in(markdown: str) -> set[str]:
    titles = re.findall(r"^##? (.+)$", prose(markdown), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def anchors(document: str) -> set[str]:
    return anchors_in(HANDBOOK[document])


@pytest.mark.parametrize("document", HANDBOOK)
def test_a_document_has_one_title_and_no_empty_section(document: str) -> None:
    markdown = prose(HANDBOOK[document])
    assert markdown.startswith("# ")
    assert len(re.findall(r"^# ", markdown, re.MULTILINE)) == 1
    titles = re.findall(r"^##? (.+)$", markdown, re.MULTILINE)
    assert len(anchors(document)) == len(titles)
    for anchor in anchors(document):
        heading, _, body = section_of(document, anchor).partition("\n")
        assert len(body.split()) > 15, heading


@pytest.mark.parametrize("document", HANDBOOK)
def test_links_of_the_handbook_have_a_target(document: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", prose(HANDBOOK[document])):
        name, _, anchor = target.partition("#")
        assert name in HANDBOOK, target
        assert not anchor or anchor in anchors(name), target


@pytest.mark.parametrize("document", HANDBOOK)
def test_every_name_of_the_package_that_is_mentioned_exists(document: str) -> None:
    names = set(re.findall(r"\bgaistream(?:\.[A-Za-z_]+)+", HANDBOOK[document]))
    for name in names - {"gaistream.gap"}:  # an event on the wire
        assert pkgutil.resolve_name(name) is not None


@pytest.mark.parametrize("options", [SSEOptions(), NDJSONOptions()])
def test_the_tables_of_options_are_complete_and_have_the_true_defaults(
    options: SSEOptions | NDJSONOptions,
) -> None:
    section = section_of("writers.md", type(options).__name__.lower())
    rows = dict(re.findall(r"^\| `(\w+)` \| `?(.+?)`? \|", section, re.MULTILINE))
    documented = {name: ast.literal_eval(default) for name, default in rows.items()}
    assert documented == dataclasses.asdict(options)


KINDS = [name for name, value in vars(events).items() if isinstance(value, type)]


@pytest.mark.parametrize(
    ("name", "document"),
    [*((name, "errors.md") for name in errors.__all__), *((name, "events.md") for name in KINDS)],
)
def test_every_exception_and_every_event_is_explained(name: str, document: str) -> None:
    assert f"`{name}" in HANDBOOK[document]
