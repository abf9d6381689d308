"""The style of the tree, as far as a program can check it without false alarms.

How often some words stand in the comments and docstrings is printed by `python tools/prose.py`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from source_tree import ROOT

FOLDERS = ("benchmarks", "docs", "examples", "gaistream", "src", "tests", "tools")
SUFFIXES = {".py", ".pxi", ".pyx", ".js"}
FILES = sorted(
    path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in SUFFIXES
)
PRODUCT = [path for path in FILES if path.relative_to(ROOT).parts[0] in {"gaistream", "src"}]
MOST_LINES = 400
NO_FIRST_WORDS = {
    "Give",
    "Gives",
    "Have",
    "Know",
    "Let",
    "Not",
    "Say",
    "Says",
    "See",
    "Tell",
    "Tells",
}
PHRASES = re.compile(
    r"in the name of|that is none|that are none|see to it|who waits|is not to be had|what is held"
    r"|what is there\b|nobody who|it is told|is said once|goes on with it|as one's own",
    re.IGNORECASE,
)
DOCSTRING = re.compile(r'^ *(?:[rR]?)"""([A-Z]\w*)', re.MULTILINE)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def first_words(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the first word of each docstring, with its line."""
    text = path.read_text()
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                docstring = ast.get_docstring(node)
                if docstring:
                    yield getattr(node, "lineno", 1), docstring.split()[0].rstrip(":,")
    else:
        for found in DOCSTRING.finditer(text):
            yield text.count("\n", 0, found.start()) + 1, found[1]


def test_every_folder_is_there() -> None:
    assert all((ROOT / folder).is_dir() for folder in FOLDERS)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_can_be_read_at_once(path: Path) -> None:
    assert path.read_text().count("\n") <= MOST_LINES


@pytest.mark.parametrize("path", [path for path in PRODUCT if path.suffix != ".js"], ids=name_of)
def test_a_docstring_begins_with_a_plain_verb(path: Path) -> None:
    assert [found for found in first_words(path) if found[1] in NO_FIRST_WORDS] == []


@pytest.mark.parametrize("path", PRODUCT, ids=name_of)
def test_no_phrase_has_to_be_decoded(path: Path) -> None:
    lines = enumerate(path.read_text().splitlines(), 1)
    assert [(number, line) for number, line in lines if PHRASES.search(line)] == []
