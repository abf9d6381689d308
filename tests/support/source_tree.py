"""A copy of the source tree to build from, without build isolation and without network; and the
programs that judge what is built."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from required import need_tool

ROOT = Path(__file__).parents[2]
DEADLINE = 300
FILES = ("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "MANIFEST.in", "Makefile", "README.md",
         "SECURITY.md", "asv.conf.json", "mkdocs.yml", "pyproject.toml", "setup.py")
FOLDERS = (".ci", "benchmarks", "docs", "examples", "gaistream", "src", "tests", "tools")


def copy_of_tree(copy: Path) -> Path:
    """Copy what an sdist is made from, without what was built."""
    for name in FILES:
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, copy)
    ignored = shutil.ignore_patterns("*.so", "*.c", "__pycache__")
    for name in FOLDERS:
        if (ROOT / name).exists():
            shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    return copy


def environment(**more: str) -> dict[str, str]:
    """Give an environment without the settings of this test run, but for those given."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **more}


def build(kind: str, tree: Path, folder: Path, **more: str) -> Path:
    """Build an "sdist" or a "wheel" of a tree into a folder, and give its path."""
    folder.mkdir(exist_ok=True)
    program = f"from setuptools.build_meta import build_{kind} as b; print(b({str(folder)!r}))"
    made = subprocess.run([sys.executable, "-W", "ignore", "-c", program], cwd=tree, text=True,
                          env=environment(**more), capture_output=True, timeout=DEADLINE)
    assert made.returncode == 0, made.stdout + made.stderr
    return folder / made.stdout.splitlines()[-1]


def tool(name: str, *arguments: object) -> str:
    """Run a program of the dependency group "check" at the root, and give what it printed."""
    done = subprocess.run([need_tool(name), *map(str, arguments)], cwd=ROOT, text=True,
                          env=environment(), capture_output=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
