"""Which files are the documentation, and what is in them: for the site's build and for the tests.

A page is a Markdown file, named by its path in the repository, and its links are relative to that,
so that they lead somewhere in the repository too. The handbook is inside the package, for the demo
answers from it; everything else is here. A line `--8<-- "path"` stands for another file, and
`--8<-- "path.md#heading"` for what stands under one of its headings, so nothing is written twice.

A code block may have a mark, an HTML comment on the line before it, which tells the tests what to
do with it: tests/release/test_documentation.py knows them.
"""

from __future__ import annotations

import posixpath
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
_INCLUDE = re.compile(r'^--8<-- "([^"#]+)(?:#([^"]+))?"$', re.MULTILINE)
_LINK = re.compile(r"\]\((?!\w+:|#)([^)\s]+)\)")
_FENCE = re.compile(r"^( *)(`{3,})(.*)$")
_MARK = re.compile(r"^ *<!-- (.+) -->$")


def site_pages() -> dict[str, str]:
    """Give the site's pages: path in the repository to path in the site, without `docs/`."""
    pages = {
        path.relative_to(ROOT).as_posix(): path.relative_to(ROOT / "docs").as_posix()
        for path in sorted((ROOT / "docs").rglob("*.md"))
    }
    for path in sorted((ROOT / "gaistream/handbook").glob("*.md")):
        pages[f"gaistream/handbook/{path.name}"] = f"handbook/{path.name}"
    return pages | _ELSEWHERE


def read_page(path: str) -> str:
    """Give a page's Markdown, with what it includes."""
    return expand((ROOT / path).read_text("utf-8"), path)


def expand(markdown: str, page: str) -> str:
    """Put files, and sections of files, in the place of the lines that include them."""
    return _INCLUDE.sub(lambda line: _included(line[1], line[2], page), markdown)


def _included(path: str, heading: str | None, page: str) -> str:
    text = (ROOT / path).read_text("utf-8").rstrip("\n")
    if heading is None:
        return text
    text = _LINK.sub(lambda link: f"]({_moved(link[1], path, page)})", text)
    section = re.search(rf"^(#+) {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", text, re.M | re.S)
    if section is None:
        raise ValueError(f"{path} has no heading {heading!r}")
    return section[2].strip("\n")


def _moved(target: str, path: str, page: str) -> str:
    """Give the target of a relative link of one page, as it is from another."""
    whole = posixpath.join(posixpath.dirname(path), target)
    return posixpath.relpath(whole, posixpath.dirname(page) or ".")


def title_of(markdown: str) -> str:
    """Give the page's title."""
    return _first(r"^# (.+)$", markdown).replace("`", "")


def _first(pattern: str, markdown: str) -> str:
    found = re.search(pattern, markdown, re.MULTILINE)
    if found is None:
        raise ValueError(f"no {pattern} in {markdown[:60]!r}")
    return found[1]


def summary_of(markdown: str) -> str:
    """Give the first sentence under the title, in one line and without links."""
    paragraph = _first(r"^# .+\n+((?:.+\n)+)", markdown)
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", " ".join(paragraph.split()))
    return re.split(r"(?<=\.) ", text, maxsplit=1)[0].rstrip(":")


@dataclass(frozen=True)
class Block:
    """A code block.

    Attributes:
        page: the page's path in the repository.
        line: of the opening fence, from 1; in the file that has it.
        language: the first word behind the fence, or "".
        title: the name of a file that the reader is to make of it, or None.
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
    """Give the code blocks of a page; what is included is in them."""
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
            mark[1] if mark else None, expand(code, page), block,
        )  # fmt: skip
        yield block
        number += 1
