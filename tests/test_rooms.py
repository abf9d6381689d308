"""Imports between rooms run one way, by the table in CONTRIBUTING.md, and never in a circle.

A room is a folder of gaistream/, or a file directly in it. The imports are read by `ast`, those
inside of functions and under TYPE_CHECKING too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import gaistream

PACKAGE = Path(gaistream.__file__).parent
FOR_ALL = {"errors", "_log", "_version"}
EVENTS = {"core", "events", "chat", "message"}
TABLE: dict[str, set[str]] = {
    "errors": set(),
    "_log": set(),
    "_version": set(),
    "core": set(),
    "events": {"core"},
    "chat": {"core", "events"},
    "message": {"core", "events", "chat"},
    "loops": set(),
    "replay": {"loops"},
    "dialects": EVENTS,
    "writing": {"dialects"} | EVENTS,
    "streaming": {"writing", "dialects", "loops", "replay"} | EVENTS,
    "http": {"streaming", "writing", "dialects", "replay"} | EVENTS,
    "asgi": {"http", "streaming", "writing", "loops", "dialects", "replay"} | EVENTS,
    "wsgi": {"http", "streaming", "writing", "loops", "dialects", "replay"} | EVENTS,
    "reading": {"dialects", "loops", "http"} | EVENTS,
    "frameworks": {
        "asgi", "wsgi", "streaming", "http", "writing", "reading", "dialects", "loops", "replay",
    } | EVENTS,
    "client": {"reading", "dialects", "loops", "http"} | EVENTS,
    "providers": {"client", "reading", "dialects", "loops", "http"} | EVENTS,
    "testing": {"asgi", "wsgi", "streaming", "reading", "replay", "loops"} | EVENTS,
    "gateway": {
        "providers", "asgi", "http", "streaming", "writing", "dialects", "loops",
    } | EVENTS,
}  # fmt: skip
TOP = {"__init__", "__main__", "cli"}  # import any room
MOST_ENTRIES = 26
MAP = Path(__file__).parents[1] / "CONTRIBUTING.md"


def modules() -> dict[str, Path]:
    """Return the files of the package by their dotted names, `core.pure` for its __init__.py."""
    found = {}
    for file in PACKAGE.rglob("*.py"):
        parts = file.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)] = file
    return found


MODULES = modules()


def imports_of(name: str, tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield the modules of gaistream that a module imports, each with the line."""
    package = name.split(".") if MODULES[name].name == "__init__.py" else name.split(".")[:-1]
    package = [] if name == "__init__" else package
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                if each.name.split(".")[0] == "gaistream":
                    yield each.name.partition(".")[2] or "__init__", node.lineno
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                start = package[: len(package) - node.level + 1]
                base = [*start, *(node.module or "").split(".")]
            elif node.module is not None and node.module.split(".")[0] == "gaistream":
                base = node.module.split(".")[1:]
            else:
                continue
            base = [part for part in base if part]
            for each in node.names:
                full = ".".join([*base, each.name])
                if full in MODULES:
                    yield full, node.lineno
                else:
                    yield ".".join(base) or "__init__", node.lineno


def room_of(module: str) -> str:
    return module.partition(".")[0]


IMPORTS = {
    name: list(imports_of(name, ast.parse(file.read_text()))) for name, file in MODULES.items()
}


@pytest.mark.parametrize("module", sorted(name for name in MODULES if room_of(name) not in TOP))
def test_a_module_imports_only_what_its_room_may(module: str) -> None:
    room = room_of(module)
    assert room in TABLE, f"{room} is a room that the table does not have"
    allowed = TABLE[room] | FOR_ALL | {room}
    wrong = [
        f"line {line}: {name}" for name, line in IMPORTS[module] if room_of(name) not in allowed
    ]
    assert wrong == []


@pytest.mark.skipif(not MAP.exists(), reason="CONTRIBUTING.md is not here")
def test_the_map_shows_every_room() -> None:
    table = MAP.read_text().partition("| room |")[2].partition("\n\n")[0]
    named = [re.findall(r"`(\w+)(?:/|\.py)`", row.split("|")[1]) for row in table.splitlines()[2:]]
    rooms = {room for row in named for room in row}
    assert rooms == (TABLE.keys() | {"cli", "handbook"}) - {"_version"}


def test_the_table_has_no_circle() -> None:
    TopologicalSorter(TABLE).prepare()  # raises CycleError


def test_every_room_of_the_table_is_there() -> None:
    assert set(TABLE) <= {room_of(module) for module in MODULES}


def test_no_modules_import_each_other_in_a_circle() -> None:
    """A package's own submodules may import the package; what it re-exports is no circle then."""
    arrows = {
        name: {other for other, _ in imports if not name.startswith(f"{other}.") and other != name}
        for name, imports in IMPORTS.items()
    }
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_the_package_has_few_entries() -> None:
    entries = [each for each in PACKAGE.iterdir() if each.name != "__pycache__"]
    assert len(entries) <= MOST_ENTRIES


@pytest.mark.parametrize("folder", sorted(
    each.name for each in Path(__file__).parent.iterdir()
    if each.is_dir() and list(each.glob("test_*.py"))
))  # fmt: skip
def test_a_folder_of_tests_has_the_name_of_a_room(folder: str) -> None:
    assert folder in {room_of(module) for module in MODULES} | {"clients", "release", "servers"}
