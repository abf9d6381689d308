"""The voice of the comments and docstrings, in figures: `python tools/prose.py [FOLDER ...]`.

It prints how often some words stand in 1 000 words of comments and docstrings, of the package and
the core if no folders are named. Nothing is gated by these: tests/test_style.py holds what has no
exceptions.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("gaistream", "src")
WORDS = {
    "what": r"\bwhat\b(?! (?:if|about|is|are|does|do)\b[^.]*\?)",
    "where": r"\bwhere\b",
    "say, tell": r"\b(?:say|says|said|tell|tells|told)\b",
    "give": r"\b(?:give|gives|given|gave)\b",
    "behind": r"\bbehind\b",
    "Return": r"\bReturns?\b",
}


def prose_of(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the comments and docstrings of a file of Python or Cython, each with its line."""
    text = file.read_text()
    if file.suffix == ".py":
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[0] if node.body else None
                docstring = ast.get_docstring(node)
                if docstring and first is not None:
                    yield first.lineno, docstring
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string.lstrip("# ")
        return
    for found in re.finditer(r'"""(.*?)"""|(?:^|\s)# ?([^\n]*)', text, re.MULTILINE | re.DOTALL):
        yield text.count("\n", 0, found.start()) + 1, (found[1] or found[2] or "").strip()


def files(folders: tuple[str, ...] = FOLDERS) -> list[Path]:
    """Return the files of Python and Cython in these folders of the tree."""
    found = [path for name in folders for path in (ROOT / name).rglob("*.p*")]
    return sorted(path for path in found if path.suffix in {".py", ".pxi", ".pyx"})


def main(folders: tuple[str, ...]) -> None:
    """Print the table."""
    prose = "\n".join(text for file in files(folders) for _, text in prose_of(file))
    words = len(re.findall(r"[A-Za-z']+", prose))
    print(f"{words} words of comments and docstrings in {', '.join(folders)}; in 1 000 of them:")
    for name, pattern in WORDS.items():
        print(f"  {name:<10} {1000 * len(re.findall(pattern, prose)) / words:5.1f}")


if __name__ == "__main__":
    main(tuple(sys.argv[1:]) or FOLDERS)
