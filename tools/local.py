"""What the scripts that build wheels on this machine share: commands, interpreters, a table."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
WORK = ROOT / "build" / "wheels"


def say(text: str) -> None:
    """Tell what is being done."""
    print(f"== {text}", flush=True)


def run(*command: object, cwd: Path = ROOT, **more: str) -> None:
    """Run a command with some more environment, or end with what failed; it prints only then."""
    done = subprocess.run([*map(str, command)], cwd=cwd, env={**os.environ, **more}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        sys.exit(f"{done.stdout}\nfailed: {' '.join(map(str, command))}")


def run_tests(*command: object, cwd: Path = ROOT, **more: str) -> str:
    """Run tools/test_wheel.py by a command, show what it prints, and give its last line."""
    began = time.monotonic()
    running = subprocess.Popen([*map(str, command)], cwd=cwd, env={**os.environ, **more},
                               text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert running.stdout is not None
    last = ""
    for last in running.stdout:
        print(last, end="", flush=True)
    if running.wait():
        sys.exit(f"failed after {time.monotonic() - began:.0f} s: {' '.join(map(str, command))}")
    return last.strip()


def interpreter(version: str) -> Path:
    """Give the path of a Python that runs, on PATH or of pyenv, or end with how to get one."""
    name = f"python{version}"
    beside = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/{name}"), reverse=True)
    for path in [shutil.which(name), *beside]:
        if path and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0:
            return Path(path)
    sys.exit(f"{name} is neither on PATH nor in pyenv: install it, or choose other versions")


def environment(python: Path, folder: Path) -> Path:
    """Make a fresh virtual environment with a pip that knows dependency groups, give its Python."""
    shutil.rmtree(folder, ignore_errors=True)
    run(python, "-m", "venv", folder)
    run(folder / "bin" / "python", "-m", "pip", "install", "-q", "--upgrade", "pip")
    return folder / "bin" / "python"


def build_sdist(folder: Path) -> Path:
    """Build the sdist into a folder, which is emptied first, and give its path."""
    say("sdist")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    run(sys.executable, "-m", "build", "--sdist", "--outdir", folder)
    (sdist,) = folder.glob("*.tar.gz")
    return sdist


def unpacked(sdist: Path, folder: Path) -> Path:
    """Unpack the sdist into a folder, which is made anew, and give the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(sdist) as held:
        held.extractall(folder.parent, filter="data")
    (folder.parent / sdist.name.removesuffix(".tar.gz")).rename(folder)
    return folder


def check(*files: Path, release: bool = True) -> None:
    """Check the files by tools/check_dist.py and twine."""
    options = ["--release"] if release else []
    run(sys.executable, ROOT / "tools" / "check_dist.py", *options, *files)
    run(sys.executable, "-m", "twine", "check", "--strict", *files)


def table(rows: list[tuple[Path, str]]) -> None:
    """Print what was built and tested: name, size, and the tests' last line."""
    print()
    for path, tests in rows:
        print(f"{path.name:<68} {path.stat().st_size / 1000:4.0f} kB  {tests}")
