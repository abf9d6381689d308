"""The suites that ASV follows run, each benchmark once, and fail where a result is wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import gaistream

pytest.importorskip("asv", reason="ASV is not installed")
ROOT = Path(__file__).resolve().parents[2]
SUITES = ("frames", "imports", "lines", "memory", "streams")
if gaistream.backend != "native":
    pytest.skip("the suites measure both twins already", allow_module_level=True)
if not (ROOT / ".git").exists():
    pytest.skip("ASV needs the repository", allow_module_level=True)


@pytest.fixture
def asv(tmp_path):
    """Run ASV on a copy of the benchmarks, in this interpreter; nothing is left in the tree."""
    shutil.copytree(ROOT / "benchmarks", tmp_path / "benchmarks")
    settings = json.loads((ROOT / "asv.conf.json").read_text())
    settings |= {"repo": str(ROOT), "benchmark_dir": str(tmp_path / "benchmarks" / "suites")}
    settings |= {f"{name}_dir": str(tmp_path / name) for name in ("env", "results", "html")}
    (tmp_path / "asv.conf.json").write_text(json.dumps(settings))
    package = str(Path(gaistream.__file__).parents[1])
    environment = {**os.environ, "HOME": str(tmp_path), "GAISTREAM_SMOKE": "1",
                   "PYTHONPATH": package, "ASV_PYTHONPATH": package}  # fmt: skip

    def run(*arguments: str, code: int = 0) -> str:
        ran = subprocess.run([sys.executable, "-m", "asv", *arguments], cwd=tmp_path,
                             env=environment, capture_output=True, text=True, timeout=300)
        assert ran.returncode == code, ran.stdout + ran.stderr
        return ran.stdout

    run("machine", "--yes")
    return run


def test_every_benchmark_runs_and_what_it_makes_is_right(asv):
    assert "No problems found" in asv("check", "--python=same")
    said = asv("run", "--python=same", "--quick", "--dry-run", "--show-stderr")
    assert "failed" not in said, said
    for suite in SUITES:
        assert f" {suite}." in said, said


def test_a_wrong_result_fails_the_benchmark(asv, tmp_path):
    payloads = tmp_path / "benchmarks" / "payloads.py"
    payloads.write_text(payloads.read_text().replace('"benchmark"}\\n\\n', '"bench"}\\n\\n'))
    said = asv("run", "--python=same", "--quick", "--dry-run", "-b", "frames.Small.time_render",
               code=2)  # fmt: skip
    assert "failed" in said
