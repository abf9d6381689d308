"""Builds of the core that look for their own mistakes, each in a folder of its own.

`built("asan")` gives build/asan, a copy of the package with such a core in it, compiled only where
a source is newer. `environment` puts it on the path of a process, before the tree.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMPILED = ("src", "setup.py", "pyproject.toml")
FLAGS = {
    # -fno-wrapv: Python's own -fwrapv would make an overflow of signed numbers no mistake
    "asan": {
        "CC": "gcc",
        "CFLAGS": "-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-wrapv "
        "-fno-sanitize-recover=undefined",
    },
    "valgrind": {"CC": "gcc", "CFLAGS": "-O1 -g"},
    "fuzz": {
        "CC": "clang",
        "LDSHARED": "clang -shared",
        "CFLAGS": "-O1 -g -fsanitize=address "
        "-fsanitize-coverage=inline-8bit-counters,pc-table,trace-cmp",
        "LDFLAGS": "-fsanitize=address",
    },
}
CORE = "core/_core" + sysconfig.get_config_var("EXT_SUFFIX")


def built(kind: str) -> Path:
    """Build the core in this way, unless that is done, beside the package as it stands."""
    folder = ROOT / "build" / kind
    core = folder / "gaistream" / CORE
    copy(folder)
    sources = [path for name in COMPILED for path in (ROOT / name, *(ROOT / name).rglob("*.p*"))]
    # this file too: it holds the flags
    newest = max(path.stat().st_mtime for path in (*sources, Path(__file__)))
    if core.exists() and core.stat().st_mtime > newest:
        return folder
    print(f"Building: the core for {kind} ...", flush=True)
    ran = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace", "--force"], cwd=folder,
        env={**os.environ, **FLAGS[kind], "GAISTREAM_BUILD": "native"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    if ran.returncode:
        sys.exit(f"the core could not be built for {kind}:\n{ran.stdout}")
    return folder


def copy(folder: Path) -> None:
    """Copy what is built and run, but not a core that is there."""
    ignored = shutil.ignore_patterns("*.so", "*.c", "__pycache__")
    for name in ("src", "gaistream"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored, dirs_exist_ok=True)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Give the environment of a process that runs the core in this folder."""
    path = [folder, ROOT / "tests" / "support"]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "PYTHONMALLOC": "malloc",  # each object in memory of its own, so that its end is seen
        "PYTHONDONTWRITEBYTECODE": "1",
        "GAISTREAM_BACKEND": "native",
        **more,
    }


def check(folder: Path, env: dict[str, str]) -> None:
    """Fail where a process does not run the core in this folder."""
    ask = "import gaistream.core._core; print(gaistream.core._core.__file__)"
    ran = subprocess.run([sys.executable, "-P", "-c", ask], env=env, capture_output=True, text=True,
                         check=False)  # fmt: skip
    if Path(ran.stdout.strip() or ".").parent != folder / "gaistream" / "core":
        sys.exit(f"the instrumented core does not run: {ran.stdout}{ran.stderr}")
