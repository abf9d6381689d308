"""Test gaistream on a Python without the GIL: `make free-threaded`.

Builds such a Python (free_threaded_python.py) and gaistream's wheel for it, installs the wheel
without its dependencies (orjson refuses that Python) beside the test packages that have wheels, and
runs, from a folder without the sources:

1. an import, after which the GIL must still be off;
2. the tests of the rooms that need none of the missing packages;
3. the tests of threads, ten times;
4. tests of functions that keep no state, in four threads at once (pytest-run-parallel).

The virtual environment is kept beside the Python, in ~/.cache/gaistream.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from free_threaded_python import interpreter
from local import say

ROOT = Path(__file__).parent.parent
PACKAGES = (
    "anyio", "click", "httpx", "hypothesis", "numpy", "pytest", "pytest-run-parallel", "trio",
    "uvicorn",
)  # fmt: skip
BUILD_PACKAGES = ("cython", "setuptools", "wheel")
ROOMS = ("core", "loops", "message", "writing", "wsgi")
LEFT_OUT = (  # they need msgspec, pydantic or Starlette, which have no wheels for it
    "core/test_json*.py", "loops/test_helper_threads.py",
    "loops/test_sources_ahead.py",
)  # fmt: skip
THREADS = ("core/test_threads.py", "core/test_threads_misuse.py")
STATELESS = ("core/test_sse.py", "core/test_template.py", "core/test_sizes.py")
TIMES = 10
AT_ONCE = 4
IS_OFF = "import gaistream, sys; print(gaistream.backend, sys._is_gil_enabled())"


def run(*command: object, cwd: Path | None = None, **more: str) -> None:
    done = subprocess.run([*map(str, command)], cwd=cwd, env={**os.environ, **more})
    if done.returncode:
        raise SystemExit(done.returncode)


def environment(python: Path) -> Path:
    """Return the interpreter of a virtual environment with the wheel and the test packages."""
    home = python.parent.parent / "venv"
    inner = home / "bin" / "python"
    if not inner.exists():
        run(python, "-m", "venv", home)
    install = (inner, "-m", "pip", "install", "-q", "--only-binary", ":all:")
    run(*install, *BUILD_PACKAGES, *PACKAGES)
    with tempfile.TemporaryDirectory() as wheels:
        build = (inner, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w")
        run(*build, wheels, ROOT, GAISTREAM_BUILD="native")
        [wheel] = Path(wheels).glob("*.whl")
        run(inner, "-m", "pip", "install", "-q", "--no-deps", "--force-reinstall", wheel)
    return inner


def main() -> None:
    inner = environment(interpreter())
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        asked = subprocess.run([inner, "-c", IS_OFF], cwd=home, text=True, capture_output=True)
        say(f"backend and GIL: {asked.stdout.strip()}")
        if asked.stdout != "native False\n":
            raise SystemExit(f"the compiled core with the GIL off was expected\n{asked.stderr}")
        shutil.copy(ROOT / "pyproject.toml", home)
        for name in ("tests", "docs", "src"):
            shutil.copytree(ROOT / name, home / name)
        pytest = (inner, "-m", "pytest", "-q", "-p", "no:cacheprovider")
        others = [f"--ignore-glob=tests/{each}" for each in LEFT_OUT]
        native = {"GAISTREAM_BACKEND": "native"}
        rooms = [f"tests/{each}" for each in ROOMS]
        run(*pytest, *others, "-k", "native or not pure", *rooms, cwd=home, **native)
        for _ in range(TIMES):
            run(*pytest, *[f"tests/{each}" for each in THREADS], cwd=home, **native)
        stateless = [f"tests/{each}" for each in STATELESS if (home / "tests" / each).exists()]
        run(*pytest, f"--parallel-threads={AT_ONCE}", *stateless, cwd=home, **native)


if __name__ == "__main__":
    main()
    sys.exit(0)
