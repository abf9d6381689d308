"""Test the gaistream that is installed: `python tools/test_wheel.py [--backend pure] [PART ...]`.

First that it is what was meant: installed, not a source tree beside it; on the compiled core, or
with `--backend pure` on its twin; its JSON by orjson where that is required, else by the standard
library; on a free-threaded Python with the GIL as the core wants it. Then the suite, or parts of
it, is run in a copy of the tests that has no package beside it, in child processes too.

A part is a test file's name without `test_` and `.py`, and may be a pattern. The default are those
of the data's path, from bytes to ASGI and WSGI, which need nothing but the dependency group
"wheel"; `all` is the suite, which needs the group "check" (without the files that test the source
tree: its build and its documentation).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
# Left out are files that need more packages than a wheel's tests install, and slow ones.
PARTS = ["asgi/[!ru]*", "asgi/responses", "chat", "core/[!js]*", "core/s[it]*", "core/sse",
         "dialects", "http/h*r", "http/headers", "http/negotiation", "http/request", "imports",
         "loops/sources", "loops/sources_[ac]*", "loops/trio*", "reading/read_events",
         "streaming/[!dps]*", "streaming/drain_order", "streaming/st*", "writing/[!w]*",
         "writing/writer", "writing/writer_[et]*", "wsgi/[!d]*"]
BESIDE = ["tests", "benchmarks", "docs", "examples", "README.md", "pyproject.toml"]
OF_THE_SOURCE_TREE = ["test_packaging.py", "test_dist.py", "test_wheel_tools.py",  # its build
                      "test_documentation.py", "test_tutorial.py", "test_browser_handbook.py"]
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
PROBE = """
import json, sys, gaistream
print(json.dumps({
    "file": gaistream.__file__, "version": gaistream.__version__, "backend": gaistream.backend,
    "json": gaistream.json_library, "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
}))
"""


def probe(backend: str) -> dict[str, Any]:
    """Give what the installed package says of itself, in a process and folder of its own."""
    environment = {**os.environ, "GAISTREAM_BACKEND": backend}
    command = [sys.executable, "-P", "-W", "ignore", "-c", PROBE]
    with tempfile.TemporaryDirectory() as elsewhere:
        said = subprocess.run(command, cwd=elsewhere, env=environment, stdout=subprocess.PIPE,
                              text=True, check=True)
    found: dict[str, Any] = json.loads(said.stdout)
    return found


def tests_alone(folder: Path) -> Path:
    """Copy what the tests read into a folder without the package, and give the tests' own."""
    for name in BESIDE:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", *OF_THE_SOURCE_TREE)
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        elif (ROOT / name).exists():
            shutil.copy(ROOT / name, folder)
    return folder / "tests"


def files_of(tests: Path, part: str) -> list[Path]:
    """Return the files of a part of the tests: a room, `room/name`, or `name`, where * is any."""
    if (tests / part).is_dir():
        return sorted((tests / part).glob("test_*.py"))
    room, _, name = part.rpartition("/")
    return sorted(tests.glob(f"{room}/test_{name}.py" if room else f"**/test_{name}.py"))


def check(found: dict[str, Any], backend: str) -> None:
    """Raise unless the installed package is what was meant."""
    required = sys.implementation.name == "cpython" and sys.version_info < (3, 14)
    wanted = "orjson" if required else found["json"]
    if (found["backend"], found["json"]) != (backend, wanted):
        sys.exit(f"meant were {backend} and {wanted}: {found}")
    if Path(found["file"]).parent == ROOT / "gaistream":
        sys.exit(f"that is the source tree, not what was installed: {found}")


def run_suite(backend: str, parts: list[str], *, gil: bool) -> int:
    """Run these parts of the suite, and give pytest's exit code."""
    environment = {**os.environ, "GAISTREAM_BACKEND": backend}
    environment.pop("PYTHONPATH", None)
    if FREE_THREADED:  # a core that wants the GIL turns it on, with a warning, unless it is on
        environment["PYTHON_GIL"] = "1" if gil else "0"
    with tempfile.TemporaryDirectory() as folder:
        tests = tests_alone(Path(folder))
        chosen = [] if parts == ["all"] else sorted(
            {str(file) for part in parts for file in files_of(tests, part)})
        if not chosen and parts != ["all"]:
            sys.exit(f"no test file has such a name: {' '.join(parts)}")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen]
        return subprocess.run(command, cwd=folder, env=environment).returncode


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help="of the suite, or all of it")
    parser.add_argument("--backend", choices=["native", "pure"], default="native")
    chosen = parser.parse_args()
    found = probe(chosen.backend)
    check(found, chosen.backend)
    python = f"Python {sys.version.split()[0]}"
    if FREE_THREADED:
        python += f", free-threaded, with the GIL {'on' if found['gil'] else 'off'}"
    print(f"gaistream {found['version']} on {python}: the {found['backend']} backend, "
          f"JSON by {found['json']}", flush=True)
    sys.exit(run_suite(chosen.backend, chosen.parts or PARTS, gil=found["gil"]))


if __name__ == "__main__":
    main()
