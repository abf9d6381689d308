"""llms.txt (https://llmstxt.org): the site for readers that want text, made of the same sources.

`llms.txt` lists every page with one line, by the sections of the site's navigation;
`llms-full.txt` is all pages in one file. Each page's Markdown is published as `page.html.md`. A
reference page's Markdown is made of the signatures and docstrings of the names that it shows.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from types import FunctionType
from typing import Any

import pages

SUMMARY = (
    "gaistream streams AI events over HTTP from Python, as Server-Sent Events (SSE) and "
    "newline-delimited JSON (NDJSON), and reads them back. It is a library: responses, handlers, "
    "writers, decoders and a client that reconnects, for ASGI and WSGI, in any framework or in "
    "none, with a compiled core and a pure-Python twin."
)
_ENTRY = re.compile(r"^::: ([\w.]+)\n(?:(?:    .*)?\n)*", re.MULTILINE)


def files(nav: list[Any]) -> dict[str, str]:
    """Return the files: name to text."""
    published = pages.site_pages()
    text = {path: _plain(pages.read_page(path)) for path in published}
    made = {published[path].replace(".md", ".html.md"): text[path] for path in published}
    lines = ["# gaistream", "", f"> {SUMMARY}", ""]
    whole = ["# gaistream", "", f"> {SUMMARY}", ""]
    for section, paths in sections(nav):
        lines += [f"## {section}", ""]
        for path in paths:
            url = published[path].replace(".md", ".html.md")
            lines.append(f"- [{pages.title_of(text[path])}]({url}): {_note(path, text[path])}")
            whole += [f"<!-- {url} -->", "", text[path].strip(), ""]
        lines.append("")
    return made | {"llms.txt": "\n".join(lines), "llms-full.txt": "\n".join(whole)}


def names_on(path: str) -> list[str]:
    """Return the public names that a reference page shows."""
    return _ENTRY.findall(pages.read_page(path))


def _note(path: str, markdown: str) -> str:
    names = names_on(path)
    summary = pages.summary_of(markdown).rstrip(".")
    return f"{summary}: {', '.join(names)}." if names else f"{summary}."


def sections(nav: list[Any]) -> Iterator[tuple[str, list[str]]]:
    """Yield the sections of the navigation, and the pages in each."""
    for entry in nav:
        [(name, below)] = entry.items()
        yield name, [below] if isinstance(below, str) else list(_paths(below))


def _paths(nav: list[Any]) -> Iterator[str]:
    for entry in nav:
        [below] = entry.values() if isinstance(entry, dict) else [entry]
        if isinstance(below, str):
            yield below
        else:
            yield from _paths(below)


def _plain(markdown: str) -> str:
    """Return a page with the docstrings of the names that it shows."""
    return _ENTRY.sub(lambda entry: _described(entry[1]), markdown)


def _described(name: str) -> str:
    module, _, attribute = name.rpartition(".")
    thing = getattr(importlib.import_module(module), attribute)
    if isinstance(thing, str):
        return f"### {name}\n\n"
    docstring = inspect.getdoc(thing) or ""
    lines = [f"### {name}", "", f"`{attribute}{_signature(thing)}`", "", docstring]
    for each in _members(thing) if inspect.isclass(thing) else ():
        member = getattr(thing, each)
        shown = each if isinstance(member, property) else f"{each}{_signature(member)}"
        first = (inspect.getdoc(member) or "").partition("\n")[0]
        lines += ["", f"`{shown}`: {first}"]
    return "\n".join([*lines, "", ""])


def _members(kind: type) -> list[str]:
    """Return the names of a class's public methods and properties, without Python's own."""
    found = [
        name
        for base in kind.__mro__
        if base.__module__.startswith("gaistream")
        for name, member in vars(base).items()
        if not name.startswith("_") and isinstance(member, property | FunctionType | classmethod)
    ]
    return list(dict.fromkeys(found))


class _Bare:
    """An annotation that is shown without quotes."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _bare(annotation: Any) -> Any:
    return _Bare(annotation) if isinstance(annotation, str) else annotation


def _signature(thing: Any) -> str:
    try:
        signature = inspect.signature(thing)
    except (TypeError, ValueError):
        return "(…)"
    parameters = [
        each.replace(annotation=_bare(each.annotation))
        for each in signature.parameters.values()
        if each.name != "unknown" and not each.name.startswith("_")
    ]
    returned = _bare(signature.return_annotation)
    return str(signature.replace(parameters=parameters, return_annotation=returned))
