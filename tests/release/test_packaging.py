"""The build: with a compiler, without one, and asked for by name."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from source_tree import DEADLINE, ROOT, copy_of_tree, environment

pytest.importorskip("Cython", reason="building needs Cython in this environment")


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    return copy_of_tree(tmp_path_factory.mktemp("tree"))


def install(tree: Path, target: Path, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "install", "--no-build-isolation", "--no-deps",
               "--no-index", "--no-cache-dir", "--target", str(target), "."]
    return subprocess.run(command, cwd=tree, env=environment(**more), text=True,
                          capture_output=True, timeout=DEADLINE)


def run(target: Path, program: str, **more: str) -> subprocess.CompletedProcess[str]:
    # without site: an editable install beside it would lend its core
    return subprocess.run([sys.executable, "-S", "-c", program], cwd=target, text=True,
                          env=environment(PYTHONPATH=str(target), **more),
                          capture_output=True, timeout=DEADLINE)


USE = "import gaistream; print(gaistream.backend, gaistream.encode_sse('x'))"


def test_without_a_compiler_the_pure_twin_is_installed_and_says_so_once(tree, tmp_path):
    made = install(tree, tmp_path, CC="no-such-compiler")
    assert made.returncode == 0, made.stderr
    used = run(tmp_path, USE + "; import gaistream.asgi")
    assert used.stdout == "pure b'data: x\\n\\n'\n"
    assert used.stderr.count("RuntimeWarning: gaistream runs its pure-Python twin") == 1
    asked = run(tmp_path, USE, GAISTREAM_BACKEND="pure")
    assert asked.stdout == used.stdout
    assert asked.stderr == ""


def test_a_native_build_without_a_compiler_fails_and_says_what_is_missing(tree, tmp_path):
    made = install(tree, tmp_path, CC="no-such-compiler", GAISTREAM_BUILD="native")
    assert made.returncode != 0
    assert "GAISTREAM_BUILD=native, but the core could not be built" in made.stdout + made.stderr
    assert "A C compiler and Python's headers are needed" in made.stdout + made.stderr


def test_a_pure_build_compiles_nothing_and_native_at_run_time_is_then_refused(tree, tmp_path):
    made = install(tree, tmp_path, CC="no-such-compiler", GAISTREAM_BUILD="pure")
    assert made.returncode == 0, made.stderr
    assert not list(tmp_path.rglob("*.so"))
    assert not list(tmp_path.rglob("*.pxi"))
    refused = run(tmp_path, USE, GAISTREAM_BACKEND="native")
    assert "ModuleNotFoundError: No module named 'gaistream.core._core'" in refused.stderr


@pytest.mark.parametrize("variable", ["GAISTREAM_BUILD", "GAISTREAM_BACKEND"])
def test_a_word_that_is_no_choice_is_named(tree, tmp_path, variable):
    if variable == "GAISTREAM_BUILD":
        made = install(tree, tmp_path, GAISTREAM_BUILD="fast")
        said = made.stdout + made.stderr
    else:
        said = run(ROOT, USE, GAISTREAM_BACKEND="fast").stderr
    assert f"{variable} must be auto, native or pure, not 'fast'" in said


def test_a_native_build_gives_the_compiled_core(tree, tmp_path):
    if shutil.which("gcc") is None:
        pytest.skip("no gcc")
    made = install(tree, tmp_path, GAISTREAM_BUILD="native")
    assert made.returncode == 0, made.stderr
    assert run(tmp_path, USE, GAISTREAM_BACKEND="native").stdout == "native b'data: x\\n\\n'\n"
