"""tools/test_wheel.py, by which every wheel is tested: what it refuses, and what it would run."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys

import pytest
from source_tree import ROOT, environment

import gaistream

TOOLS = ROOT / "tools"
SCRIPTS = sorted(TOOLS.glob("build_wheels*.py"))


def refused(*arguments: str) -> str:
    """Give what it says of a package that is not what was meant, where it must run no test."""
    done = subprocess.run([sys.executable, TOOLS / "test_wheel.py", *arguments], cwd=ROOT,
                          env=environment(PYTHONPATH=str(ROOT)), text=True, capture_output=True,
                          timeout=60)
    assert done.returncode == 1
    assert done.stdout == ""
    return done.stderr


def test_the_source_tree_is_not_taken_for_a_wheel():
    said = refused("--backend", gaistream.backend)
    assert said.startswith("that is the source tree, not what was installed: ")


def test_the_other_backend_is_not_taken_for_the_one_that_was_meant():
    other = "pure" if gaistream.backend == "native" else "native"
    child = subprocess.run([sys.executable, "-c", f"""if True:
        import sys
        sys.path.insert(0, {str(TOOLS)!r})
        import test_wheel
        test_wheel.check({{"backend": {other!r}, "json": "orjson", "file": "x"}},
                         {gaistream.backend!r})
    """], text=True, capture_output=True, timeout=60, cwd=ROOT)
    assert child.returncode == 1
    assert child.stderr.startswith(f"meant were {gaistream.backend} and ")


ALONE = """
import sys
sys.path.insert(0, {tools!r})
import test_wheel

BROUGHT = {{*"attr attrs hypothesis idna iniconfig orjson outcome packaging pluggy py pygments "
             "pytest sniffio sortedcontainers tests trio".split()}}

class Only:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        found = any((test_wheel.ROOT / folder / f"{{top}}.py").exists()
                    for folder in ("benchmarks", "docs", "tests", "tests/support"))
        if not (found or top in sys.stdlib_module_names or top in BROUGHT
                or top.lstrip("_").startswith(("gaistream", "hypothesis", "pytest", "cython"))):
            raise ModuleNotFoundError(f"the group brings no {{top}}", name=name)

sys.meta_path.insert(0, Only())
import pytest
files = {{str(file) for part in test_wheel.PARTS
          for file in test_wheel.files_of(test_wheel.ROOT / "tests", part)}}
sys.exit(pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider", *sorted(files)]))
"""


def test_the_parts_of_the_suite_need_what_their_dependency_group_brings():
    more = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "GAISTREAM_BACKEND": gaistream.backend}
    if "PYTHONPATH" in os.environ:
        more["PYTHONPATH"] = os.environ["PYTHONPATH"]
    done = subprocess.run([sys.executable, "-c", ALONE.format(tools=str(TOOLS))], cwd=ROOT,
                          env=environment(**more), text=True, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr


@pytest.mark.parametrize("script", [TOOLS / "test_wheel.py", *SCRIPTS], ids=lambda path: path.stem)
def test_every_part_of_the_suite_is_there_and_every_script_tells_what_it_does(script, monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    module = importlib.import_module(script.stem)
    for part in getattr(module, "PARTS", []):
        assert importlib.import_module("test_wheel").files_of(ROOT / "tests", part), part
    told = subprocess.run([sys.executable, script, "--help"], text=True, capture_output=True,
                          timeout=60)
    assert told.returncode == 0
    assert "[PART ...]" in told.stdout


def test_make_has_a_target_for_every_script():
    targets = re.findall(r"^(wheels[\w -]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert sorted(" ".join(targets).replace("-", "_").split()) == [
        script.stem.removeprefix("build_") for script in SCRIPTS]
