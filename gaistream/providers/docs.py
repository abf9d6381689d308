"""A provider without a model and without network: it answers from gaistream's own handbook.

It serves to try a server, a page or a proxy, and for tests: the same question yields the same
events, of every kind that an answer with a tool has. The sections of the handbook are ranked by
BM25 over the stemmed words of the question. The answer is their own text, cited, so it says only
what the handbook says; if the handbook has nothing on a question, the answer says so.

Read from top to bottom: Markdown becomes sections, sections become an index, a question becomes an
answer with citations, an answer becomes events.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib import resources

from .. import events
from ..chat import ChatRequest
from ..errors import StreamError
from ..loops import event_loop

__all__ = ["DocsProvider"]

MODEL = "gaistream-handbook"
TOOL = "search_handbook"
_LONGEST_QUESTION = 64 * 1024  # characters: the time of a search, without a yield, is proportional


class DocsProvider:
    """Answers questions from the handbook, word by word.

    Args:
        rate: pieces (words with their white space) a second; None: as fast as they are read.
        sections: the largest number of sections that a search returns and an answer quotes.
        documents: file name to Markdown, to answer from other documents; None: the handbook of
            gaistream.
        sleep: an async function that waits for a number of seconds; None: the event loop's.

    Raises:
        ValueError: `rate` is not above 0, or `sections` is below 1.
    """

    def __init__(
        self,
        *,
        rate: float | None = None,
        sections: int = 3,
        documents: Mapping[str, str] | None = None,
        sleep: Callable[[float], Awaitable[object]] | None = None,
    ) -> None:
        if rate is not None and not 0 < rate < math.inf:
            raise ValueError(f"rate must be above 0, not {rate!r}")
        if sections < 1:
            raise ValueError(f"sections must be at least 1, not {sections!r}")
        self._pause = None if rate is None else 1 / rate
        self._sections = sections
        self._base = "gaistream:handbook/" if documents is None else ""
        self._index = _Index(_handbook() if documents is None else documents)
        self._sleep = sleep

    async def stream_text(self, request: ChatRequest) -> AsyncGenerator[events.Event, None]:
        """Yield the events of an answer to the last question of `request`, without a `Done`.

        Raises:
            StreamError: the question has more than 65,536 characters (status 413).
        """
        question = request.question
        if len(question) > _LONGEST_QUESTION:
            message = f"a question must have at most {_LONGEST_QUESTION:,} characters"
            raise StreamError(message, code="question_too_long", status=413)
        hits = self._index.search(question, self._sections)
        answer, citations = _answer(question, hits, self._index, self._base)
        pieces = re.findall(r"\S+\s*|\s+", answer)
        identity = hashlib.sha256(question.encode(errors="surrogatepass")).hexdigest()[:16]

        yield events.Start(id=f"handbook-{identity}", model=MODEL)
        yield events.ToolCall("call_1", TOOL, {"query": question})
        yield events.ToolResult("call_1", TOOL, {"sections": [hit.summary() for hit in hits]})
        if citations:
            yield events.Citations(citations)
        for position, piece in enumerate(pieces):
            if position and self._pause is not None:
                await (self._sleep or event_loop().sleep)(self._pause)
            yield events.TextDelta(piece)
        yield events.FinishStep(1)
        yield events.Finish(events.Usage(len(question.split()), len(pieces)), finish_reason="stop")


# ---- Markdown to sections ----


@dataclass(frozen=True)
class _Section:
    document: str
    document_title: str
    title: str
    blocks: tuple[str, ...]

    @property
    def anchor(self) -> str:
        """The fragment that Markdown renderers give to the heading."""
        return re.sub(r"[^\w\- ]", "", self.title.lower()).replace(" ", "-")


def _handbook() -> dict[str, str]:
    folder = resources.files("gaistream").joinpath("handbook")
    files = [entry for entry in folder.iterdir() if entry.name.endswith(".md")]
    return {
        entry.name: entry.read_text("utf-8") for entry in sorted(files, key=lambda file: file.name)
    }


def _read_sections(document: str, markdown: str) -> list[_Section]:
    """Split at `#` and `##`, and each section at blank lines into blocks, except in a fence."""
    sections: list[tuple[str, list[list[str]]]] = [(document, [[]])]
    fenced = False
    for line in markdown.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced and line.startswith("<!--"):
            continue  # a note for the authors or the tests of the page
        heading = None if fenced else re.match(r"##? +(.*?)[ #]*$", line)
        if heading:
            sections.append((heading[1].strip(), [[]]))
        elif line.strip() or fenced:
            sections[-1][1][-1].append(line)
        elif sections[-1][1][-1]:
            sections[-1][1].append([])
    document_title = next((title for title, _ in sections[1:]), document)
    return [
        _Section(
            document,
            document_title,
            title.replace("`", ""),
            tuple("\n".join(block).rstrip() for block in blocks if block),
        )
        for title, blocks in sections
        if any(blocks)
    ]


# ---- words ----

_WORD = re.compile(r"\w+")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_ENDINGS = ("ations", "ation", "ions", "ion", "ings", "ing", "ed", "es", "s", "ty")


def _stem(word: str) -> str:
    """Cut common English endings, so that "buffers" and "buffering" are the same word."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word[: -len(ending)]
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiouls":
        word = word[:-1]
    if len(word) > 3 and word[-1] in "ey":
        word = word[:-1] + ("i" if word[-1] == "y" else "")
    return word


_COMMON_WORDS = (
    "a about after all also an and any are as at be been before but by can could did do does "
    "for from get give given had has have hello hey hi how i if in into is it its just like "
    "make may me mean more most much must my need no not of on one only or other our please "
    "should so some such tell than thanks that the their them then there these they this those "
    "to too two use using want was we were what when where which while who why will with work "
    "would you your"
)
_COMMON = frozenset(map(_stem, _COMMON_WORDS.split()))


def _terms(text: str) -> list[str]:
    """Return the stems of words and of the parts of names such as `hold_headers`, `SSEWriter`."""
    terms = []
    for word in _WORD.findall(text):
        parts = _PART.findall(word) if word.isascii() else []
        terms += [_stem(one.lower()) for one in ([word, *parts] if len(parts) > 1 else [word])]
    return [term for term in terms if term not in _COMMON]


# ---- sections to an index ----


@dataclass(frozen=True)
class _Hit:
    section: _Section
    score: float

    def summary(self) -> dict[str, str | float]:
        """Return the result of the search tool for this section."""
        return {
            "document": self.section.document,
            "title": self.section.title,
            "score": round(self.score, 3),
        }


class _Index:
    """BM25 over sections. A section whose heading the question names scores up to twice as much."""

    _SATURATION, _LENGTH = 1.2, 0.6
    _COVERED = 0.45  # the share of the question's weight that a section must contain

    def __init__(self, documents: Mapping[str, str]) -> None:
        self.sections = [
            section
            for name, markdown in documents.items()
            for section in _read_sections(name, markdown)
        ]
        self._headings = [set(_terms(section.title)) for section in self.sections]
        self._counts = [
            Counter(_terms("\n".join((one.document_title, one.title, one.title, *one.blocks))))
            for one in self.sections
        ]
        self._mean = sum(map(Counter.total, self._counts)) / max(1, len(self._counts))
        self._spread = Counter(term for counts in self._counts for term in counts)

    def weight(self, terms: set[str]) -> float:
        """Return how distinctive words are: rare ones more, unknown ones most."""
        return sum(map(self._rarity, sorted(terms)))  # sorted: float sums depend on the order

    def _rarity(self, term: str) -> float:
        holders = self._spread[term]
        return math.log(1 + (len(self.sections) - holders + 0.5) / (holders + 0.5))

    def search(self, question: str, most: int) -> list[_Hit]:
        """Return the best sections, the best first, equal ones in the order of the documents."""
        words = set(_terms(question))
        needed = self._COVERED * self.weight(words)
        hits = []
        for section, heading, counts in zip(
            self.sections, self._headings, self._counts, strict=True
        ):
            known = words & counts.keys()
            if known and self.weight(known) >= needed:
                share = self.weight(words & heading) / (self.weight(heading) or 1)
                score = sum(self._score(term, counts) for term in sorted(known))
                hits.append(_Hit(section, score * (1 + share)))
        return sorted(hits, key=lambda hit: -hit.score)[:most]

    def _score(self, term: str, counts: Counter[str]) -> float:
        damping = 1 - self._LENGTH + self._LENGTH * counts.total() / self._mean
        often = counts[term] * (self._SATURATION + 1) / (counts[term] + self._SATURATION * damping)
        return self._rarity(term) * often


# ---- a question to an answer ----

_WHOLE = 2400  # characters: a section up to this length is quoted whole
_CLOSE = 0.6  # a further section is quoted when its score is at least this share of the best


def _answer(
    question: str, hits: list[_Hit], index: _Index, base: str
) -> tuple[str, list[events.Citation]]:
    """Return the text of an answer, and a citation for each section that it quotes."""
    if not hits:
        return _nothing(question, index), []
    text, citations = "", []
    for hit in hits:
        section = hit.section
        where = f"“{section.title}” ({section.document})"
        if not text:
            text = f"The handbook answers this under {where}:\n\n"
            passage = _passage(section, question, index, _WHOLE)
        elif hit.score >= _CLOSE * hits[0].score:
            text += f"\n\nSee also {where}:\n\n"
            passage = _passage(section, question, index, 0)
        else:
            break
        start = len(text)
        text += passage
        uri = f"{base}{section.document}#{section.anchor}"
        citations.append(events.Citation(uri, start, len(text), section.title))
    return text + "\n", citations


def _passage(section: _Section, question: str, index: _Index, most: int) -> str:
    """Return the whole section if it has at most `most` characters, else its best paragraph.

    What a paragraph introduces with a colon belongs to it: an example, a list. Code and tables
    are no answer without their paragraph.
    """
    blocks = section.blocks
    whole = "\n\n".join(blocks)
    if len(whole) <= most:
        return whole
    words = set(_terms(question))
    weights = [
        -1.0 if block.startswith(("```", "|")) else index.weight(words & set(_terms(block)))
        for block in blocks
    ]
    first = last = weights.index(max(weights))
    while first and blocks[first - 1].endswith(":"):
        first -= 1
    while last + 1 < len(blocks) and blocks[last].endswith(":"):
        last += 1
    return "\n\n".join(blocks[first : last + 1])


def _nothing(question: str, index: _Index) -> str:
    if question.strip():
        text = "The handbook has nothing on that. It covers:\n\n"
    else:
        text = "There was no question. The handbook covers:\n\n"
    titles = dict.fromkeys(f"- {one.document_title} ({one.document})" for one in index.sections)
    return text + "\n".join(titles) + "\n"
