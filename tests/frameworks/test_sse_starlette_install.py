"""`install()`: the stand-in under the name of sse-starlette, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="Starlette is not installed")


def python(program: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", program]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


INSTALL = "from gaistream.frameworks import sse_starlette as own; own.install(); own.install()\n"


def test_all_ways_to_import_it_give_the_stand_in() -> None:
    program = (
        INSTALL
        + """
import importlib, importlib.util, sse_starlette, sse_starlette.sse, sse_starlette.event
from sse_starlette import EventSourceResponse, JSONServerSentEvent, ServerSentEvent, __version__
from sse_starlette.sse import (
    AppStatus, AsyncContentStream, Content, ContentStream, EventSourceResponse as E,
    SendTimeoutError, SyncContentStream, ensure_bytes, ServerSentEvent as S,
)
from sse_starlette.event import ensure_bytes as e
assert sse_starlette is own and E is EventSourceResponse is own.EventSourceResponse
assert S is ServerSentEvent and e is ensure_bytes and issubclass(SendTimeoutError, TimeoutError)
assert importlib.import_module("sse_starlette.sse") is sse_starlette.sse
for name in ("sse_starlette", "sse_starlette.sse", "sse_starlette.event"):
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.loader is not None and spec.origin, name
try:
    import sse_starlette._utils
except ModuleNotFoundError:
    print(__version__)
"""
    )
    result = python(program)
    assert (result.stdout, result.stderr) == ("3.7.0\n", "")


def test_the_version_is_that_of_the_original() -> None:
    theirs = pytest.importorskip("sse_starlette", reason="sse-starlette is not installed")
    from gaistream.frameworks import sse_starlette

    assert sse_starlette.__version__ == theirs.__version__


@pytest.mark.parametrize(
    "line",
    [
        "import sse_starlette",
        "from sse_starlette import sse",
        "from sse_starlette.sse import EventSourceResponse as Response",
        "from sse_starlette.event import ensure_bytes",
    ],
)
def test_a_module_that_holds_the_original_is_named(line: str, tmp_path: Path) -> None:
    pytest.importorskip("sse_starlette", reason="sse-starlette is not installed")
    (tmp_path / "early_bird.py").write_text(f"{line}\n")
    result = python("import early_bird\n" + INSTALL, tmp_path)
    assert "RuntimeError: sse_starlette is in use already, by early_bird: " in result.stderr
    assert "call install() before that is imported" in result.stderr


def test_an_original_that_nobody_holds_is_replaced() -> None:
    pytest.importorskip("sse_starlette", reason="sse-starlette is not installed")
    program = "import importlib; importlib.import_module('sse_starlette')\n" + INSTALL
    result = python(program + "import sse_starlette; assert sse_starlette is own")
    assert (result.returncode, result.stderr) == (0, "")
