"""Peers in other languages, where their tools are there: Go's re-created original, node's parser.

Each is a process of its own, run beside the rest; where a tool is missing, this says so instead.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PARSER = "eventsource-parser@3"
MINUTES = 5 * 60


class Missing(Exception):
    """A tool is not there, or failed; says which, and how."""


def run(command: list[str], folder: Path, given: str = "") -> str:
    ran = subprocess.run(command, cwd=folder, input=given, capture_output=True, text=True,
                         timeout=MINUTES, check=False)  # fmt: skip
    if ran.returncode:
        raise Missing(f"{Path(command[0]).name} failed: {ran.stderr.strip()[-200:]}")
    return ran.stdout


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise Missing(f"{name} is not installed")
    return found


def go() -> dict[str, Any]:
    """Run benchmarks/go, which checks its own bytes: each name's ns and allocations, version."""
    found: dict[str, Any] = json.loads(run([tool("go"), "run", "."], HERE / "go"))
    return found


def node(streams: dict[str, tuple[list[bytes], list[str]]], kept: Path) -> dict[str, Any]:
    """Give eventsource-parser's nanoseconds an event of each stream, and its `version`.

    `streams`: chunks, and the texts of their events. npm installs the parser into `kept`.
    """
    binary, npm = tool("node"), tool("npm")
    package = kept / "node_modules" / "eventsource-parser" / "package.json"
    if not package.exists():
        kept.mkdir(parents=True, exist_ok=True)
        run([npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(kept), PARSER],
            kept)  # fmt: skip
    given = {
        name: {"texts": [each.decode() for each in chunks], "data": data[0], "count": len(data)}
        for name, (chunks, data) in streams.items()
    }
    said = run([binary, str(HERE / "eventsource_parser.mjs"), str(kept)], kept, json.dumps(given))
    found: dict[str, Any] = json.loads(said)
    for name, each in found.items():
        if not each["right"]:
            raise Missing(f"eventsource-parser read something else: {name}")
    version = re.search(r"\d+", run([binary, "--version"], kept))
    found["version"] = (
        f"{json.loads(package.read_text())['version']} on node {version and version[0]}"
    )
    return found
