"""What can be known of the workflows without the service that runs them.

Which wheels cibuildwheel would build, that the workflows are valid, safe by zizmor's rules and
call what is there, and that pyproject.toml is valid.
"""

from __future__ import annotations

import json
import re

import pytest
from source_tree import ROOT, tool

FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = sorted(FOLDER.glob("*.yml"))
if not WORKFLOWS:
    pytest.skip("the workflows are in the repository alone", allow_module_level=True)
PYTHONS = ["cp311", "cp312", "cp313", "cp314", "cp314t", "cp315", "cp315t"]
PLATFORMS = {  # of cibuildwheel, with the architecture of a runner: what is built there
    ("linux", "x86_64"): ["manylinux_x86_64", "musllinux_x86_64"],
    ("linux", "aarch64"): ["manylinux_aarch64", "musllinux_aarch64"],
    ("macos", "arm64"): ["macosx_arm64"],
    ("macos", "x86_64"): ["macosx_x86_64"],
    ("windows", "AMD64"): ["win_amd64"],
    ("windows", "ARM64"): ["win_arm64"],
}


@pytest.mark.parametrize("platform", PLATFORMS, ids="-".join)
def test_the_wheels_of_a_platform_are_these(platform):
    system, architecture = platform
    listed = tool("cibuildwheel", "--print-build-identifiers", "--platform", system, "--archs",
                  architecture, ".")
    assert sorted(listed.split()) == sorted(
        f"{python}-{tag}" for python in PYTHONS for tag in PLATFORMS[platform])


def test_the_wheels_are_built_on_a_runner_of_their_own_and_counted():
    text = (FOLDER / "wheels.yml").read_text()
    runners = re.findall(r"\{ platform: (\S+), runner: (\S+) \}", text)
    assert [platform for platform, _ in runners] == [
        f"{system}-{architecture}".lower() for system, architecture in PLATFORMS]
    assert len({runner for _, runner in runners}) == len(PLATFORMS)
    wheels = sum(len(PYTHONS) * len(tags) for tags in PLATFORMS.values())
    assert f"check_dist.py --release --count {wheels + 2} " in text  # a pure one, an sdist


def test_the_workflow_of_the_wheels_stands_at_the_top_too():
    assert (ROOT / "wheels.yml").is_symlink()
    assert (ROOT / "wheels.yml").resolve() == FOLDER / "wheels.yml"


def test_the_workflows_are_valid():
    assert {each.name for each in WORKFLOWS} == {"test.yml", "wheels.yml"}
    tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)


def test_zizmor_finds_nothing():
    found = tool("zizmor", "--offline", "--no-progress", "--persona", "pedantic", "--format",
                 "json", FOLDER)
    assert json.loads(found) == []


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_pinned_by_its_commit_and_says_its_version(workflow):
    uses = re.findall(r"uses: (.*)", workflow.read_text())
    assert uses
    for each in uses:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_calls_what_is_there(workflow):
    text = workflow.read_text()
    for path in re.findall(r"\b(?:source/)?(tools/\w+\.py)", text):
        assert (ROOT / path).exists()
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"run: make (\S+)", text)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_only_the_job_that_publishes_may_write():
    text = "".join(each.read_text() for each in WORKFLOWS)
    assert re.findall(r"([\w-]+): write", text) == ["id-token"]
    assert text.count("\npermissions: {}\n") == len(WORKFLOWS)


def test_pyproject_is_valid():
    tool("validate-pyproject", "pyproject.toml")


def test_a_tool_that_a_workflow_installs_is_one_that_is_tested_with():
    pinned = dict(re.findall(r"pip install ([\w-]+)==([\d.]+)", "".join(
        each.read_text() for each in WORKFLOWS)))
    assert set(pinned) == {"build", "cibuildwheel", "twine"}
    group = (ROOT / "pyproject.toml").read_text().partition("\ntest = [")[2].partition("\n]")[0]
    for name, version in pinned.items():
        major, minor, *_ = version.split(".")
        assert f'"{name}>={major}.{minor}"' in group
