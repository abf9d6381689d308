"""The files of the documentation and their code blocks, for the site's build and for the tests.

A page is a Markdown file, named by its path in the repository, and its links are relative to that,
so they also work in the repository. The handbook is inside the package, because the demo answers
from it; everything else is here. A line `--8<-- "path"` includes another file.

A code block may have a mark, an HTML comment on the line before it, which says how the tests check
it: see tests/support/block_checks.py.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
_ELSEWHERE = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}
_INCLUDE = re.compile(r'^--8<-- "([^"]+)"$', re.MULTILINE)
_FENCE = re.compile(r"^( *)(`{3,})(.*)$")
_MARK = re.compile(r"^ *<!-- (.+) -->$")


def site_pages() -> dict[str, str]:
    """Return the site's pages: path in the repository to path in the site, without `docs/`."""
    pages = {
        path.relative_to(ROOT).as_posix(): path.relative_to(ROOT / "docs").as_posix()
        for path in sorted((ROOT / "docs").rglob("*.md"))
    }
    for path in sorted((ROOT / "gaistream/handbook").glob("*.md")):
        pages[f"gaistream/handbook/{path.name}"] = f"handbook/{path.name}"
    return pages | _ELSEWHERE


def read_page(path: str) -> str:
    """Return a page's Markdown, with the files that it includes."""
    return expand((ROOT / path).read_text("utf-8"))


def expand(markdown: str) -> str:
    """Replace the lines that include a file by the file."""
    return _INCLUDE.sub(lambda line: (ROOT / line[1]).read_text("utf-8").rstrip("\n"), markdown)


def title_of(markdown: str) -> str:
    """Return the page's title."""
    return _first(r"^# (.+)$", markdown).replace("`", "")


def _first(pattern: str, markdown: str) -> str:
    found = re.search(pattern, markdown, re.MULTILINE)
    if found is None:
        raise ValueError(f"no {pattern} in {markdown[:60]!r}")
    return found[1]


def summary_of(markdown: str) -> str:
    """Return the first sentence under the title, in one line and without links."""
    paragraph = _first(r"^# .+\n+((?:.+\n)+)", markdown)
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", " ".join(paragraph.split()))
    return re.split(r"(?<=\.) ", text, maxsplit=1)[0].rstrip(":")


@dataclass(frozen=True)
class Block:
    """A code block.

    Attributes:
        page: the page's path in the repository.
        line: the number of the opening fence in its file, from 1.
        language: the first word after the fence, or "".
        title: the name under which the reader saves it, or None.
        mark: the comment on the line before, or None.
        code: the text, without the indentation of the fence.
        before: the block before it on the page.
    """

    page: str
    line: int
    language: str
    title: str | None
    mark: str | None
    code: str = field(repr=False)
    before: Block | None = field(repr=False)

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: str) -> Iterator[Block]:
    """Yield the code blocks of a page, with the files that they include."""
    lines = (ROOT / page).read_text("utf-8").splitlines()
    block, number = None, 0
    while number < len(lines):
        opening = _FENCE.match(lines[number])
        if opening is None:
            number += 1
            continue
        first = number
        number += 1
        while lines[number].strip() != opening[2]:
            number += 1
        language, _, more = opening[3].strip().partition(" ")
        title = re.search(r'title="([^"]+)"', more)
        mark = _MARK.match(lines[first - 1]) if first else None
        code = textwrap.dedent("\n".join([*lines[first + 1 : number], ""]))
        block = Block(
            page, first + 1, language, title[1] if title else None,
            mark[1] if mark else None, expand(code), block,
        )  # fmt: skip
        yield block
        number += 1
