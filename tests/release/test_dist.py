"""The files of a release: what they hold, what they say of themselves, and where they install.

Built as the workflow builds them: an sdist of a copy of the tree, and the wheels from that sdist.
tools/check_dist.py decides, so it is also shown files that are wrong.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from required import once_a_check
from source_tree import ROOT, build, copy_of_tree, tool

import gaistream

once_a_check()
pytest.importorskip("Cython", reason="building needs Cython in this environment")
spec = importlib.util.spec_from_file_location("check_dist", ROOT / "tools" / "check_dist.py")
check_dist = importlib.util.module_from_spec(spec)
spec.loader.exec_module(check_dist)
wrong = check_dist.wrong


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("dist")


@pytest.fixture(scope="module")
def sdist(folder) -> Path:
    tree = folder / "tree"
    tree.mkdir()
    return build("sdist", copy_of_tree(tree), folder)


@pytest.fixture(scope="module")
def unpacked(folder, sdist) -> Path:
    with tarfile.open(sdist) as held:
        held.extractall(folder / "unpacked", filter="data")
    (tree,) = (folder / "unpacked").iterdir()
    return tree


@pytest.fixture(scope="module")
def pure(folder, unpacked) -> Path:
    return build("wheel", unpacked, folder, GAISTREAM_BUILD="pure")


@pytest.fixture(scope="module")
def native(folder, unpacked) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("no gcc")
    return build("wheel", unpacked, folder, GAISTREAM_BUILD="native")


def test_an_sdist_and_the_wheels_built_from_it_hold_what_they_should(sdist, native, pure):
    assert list(wrong([sdist, native, pure])) == []
    assert pure.name == f"{sdist.name.removesuffix('.tar.gz')}-py3-none-any.whl"


def test_an_sdist_holds_the_sources_of_the_core_and_the_tests(sdist):
    with tarfile.open(sdist) as held:
        names = {name.partition("/")[2] for name in held.getnames()}
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "src").glob("*.p??")}
    assert len(sources) >= 10
    assert sources | {"LICENSE", "tests/conftest.py", "tools/test_wheel.py"} <= names


@pytest.mark.skipif(sys.platform != "linux", reason="manylinux is for Linux")
def test_a_native_wheel_may_be_tagged_for_every_common_linux(native):
    found = json.loads(tool("auditwheel", "show", "--json", native))
    tag = found.get("overall_tag") or found["overall_policy"]
    assert tag.startswith(("manylinux_2_17_", "manylinux_2_5_", "musllinux_1_2_")), found


def test_an_index_would_take_what_they_say_of_themselves(sdist, native, pure):
    said = tool("twine", "--no-color", "check", "--strict", sdist, native, pure)
    assert said.count("PASSED") == 3


# ---- check_dist.py is shown what is wrong ----


def changed_wheel(wheel: Path, name: str, *, without: str = "-", more: dict) -> Path:
    """Copy a wheel under another name, without one file and with some more."""
    copy = wheel.parent / "changed" / name
    copy.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(copy, "w", zipfile.ZIP_DEFLATED) as new:
        for each in old.namelist():
            if each != without and each not in more:
                new.writestr(each, old.read(each))
        for each, held in more.items():
            new.writestr(each, held)
    return copy


ANY, LINUX = "x-0-py3-none-any.whl", "x-0-cp311-cp311-linux_x86_64.whl"
PAGE = "gaistream/cli/demo/page/index.html"
MODULE = "gaistream/core/_core.cpython-311-x86_64-linux-gnu.so"


@pytest.mark.parametrize(("name", "without", "more", "said"), [
    (ANY, "gaistream/py.typed", {}, "gaistream/py.typed is missing"),
    (ANY, "gaistream/core/_core.pyi", {}, "gaistream/core/_core.pyi is missing"),
    (ANY, "gaistream/handbook/wire.md", {}, "gaistream/handbook/wire.md is missing"),
    (ANY, PAGE, {}, f"{PAGE} is missing"),
    (ANY, "-", {"src/core.pyx": ""}, "src/core.pyx does not belong there"),
    (ANY, "-", {"tests/conftest.py": ""}, "tests/conftest.py does not belong there"),
    (ANY, "-", {MODULE: ""}, "1 compiled cores in a wheel for any"),
    (LINUX, "-", {}, "0 compiled cores in a wheel for linux_x86_64"),
    (LINUX, "-", {MODULE: os.urandom(950_000)}, "bytes; less than 1100000 are allowed"),
])
def test_a_wheel_with_a_fault_is_named_with_it(pure, name, without, more, said):
    wheel = changed_wheel(pure, name, without=without, more=more)
    (fault,) = wrong([wheel])
    assert fault.startswith(f"{name}: ")
    assert said in fault


def test_a_wheel_that_an_index_refuses_is_named_only_for_a_release(pure):
    wheel = changed_wheel(pure, LINUX, more={MODULE: "", "gaistream/": ""})  # as auditwheel does
    assert list(wrong([wheel])) == []
    assert list(wrong([wheel], release=True)) == [
        f"{LINUX}: tagged linux_x86_64, which an index refuses"]


def test_wheels_that_say_different_things_of_themselves_are_named(pure):
    with zipfile.ZipFile(pure) as held:
        (name,) = (each for each in held.namelist() if each.endswith("/METADATA"))
        text = held.read(name).decode()
    other = changed_wheel(pure, ANY, more={name: text.replace("orjson>=3.10", "orjson>=3.11")})
    assert list(wrong([pure, other])) == [f"{ANY}: its metadata differ from those of {pure.name}"]


def test_an_sdist_with_generated_files_or_without_its_own_is_named(sdist, tmp_path):
    with tarfile.open(sdist) as held:
        held.extractall(tmp_path, filter="data")
    (tree,) = tmp_path.iterdir()
    (tree / "src" / "core.c").touch()
    (tree / "src" / "sse.pxi").unlink()
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as changed:
        changed.add(tree, arcname="x-0")
    found = list(wrong([tmp_path / "x.tar.gz"]))
    assert "x.tar.gz: src/core.c is generated" in found
    if check_dist.tracked_files():  # an unpacked sdist knows not what it should hold
        assert "x.tar.gz: src/sse.pxi is missing" in found


@pytest.mark.parametrize(("options", "code", "said"), [
    (["--count", "2"], 0, "2 files checked, 0 faults"),
    (["--count", "3"], 1, "3 files were expected"),
    (["--tag", ""], 0, "2 files checked, 0 faults"),
    (["--tag", f"v{gaistream.__version__}"], 0, "2 files checked, 0 faults"),
    (["--tag", "v9.9"], 1, "-py3-none-any.whl: not of version 9.9"),
])
def test_files_too_few_or_of_another_version_are_refused(sdist, pure, options, code, said):
    done = subprocess.run([sys.executable, check_dist.__file__, *options, sdist, pure], text=True,
                          capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (code, "")
    assert said in done.stdout
