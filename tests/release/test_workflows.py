"""What can be known of the workflows without the service that runs them.

Which wheels cibuildwheel would build, that the workflows are valid, safe by zizmor's rules and
call what is there, and that pyproject.toml is valid.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from required import once_a_check
from source_tree import ROOT, tool

once_a_check()
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


# ---- the chain of a release ----

PINNED = ROOT / "tools" / "pinned"
PIN = re.compile(
    r"([\w.-]+)==([\w.]+)(?: ;[^\\]*)? \\(?:\n    --hash=sha256:[0-9a-f]{64}(?: \\)?)+\n"
)
RELEASE = yaml.safe_load((FOLDER / "wheels.yml").read_text())


def pins(name: str) -> dict[str, str]:
    """Read the pinned versions; fail at a requirement without a hash."""
    text = re.sub(r"^ *#.*\n", "", (PINNED / f"{name}.txt").read_text(), flags=re.MULTILINE)
    assert re.sub(PIN, "", text) == "", "a requirement is not pinned by its hashes"
    return {found[1]: found[2] for found in PIN.finditer(text)}


def runs(job: str) -> list[dict]:
    return [step for step in RELEASE["jobs"][job]["steps"] if "run" in step]


def test_what_builds_and_checks_a_release_is_pinned_by_its_hashes():
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for requirement in map(Requirement, needed["build-system"]["requires"]):
        assert requirement.specifier.contains(pins("build")[requirement.name])
    assert {"build", "pip"} <= pins("build").keys()
    listed = [each for each in needed["dependency-groups"]["check"] if isinstance(each, str)]
    group = {each.name: each for each in map(Requirement, listed)}
    for name, file in (("build", "build"), ("cibuildwheel", "cibuildwheel"), ("twine", "twine")):
        assert group[name].specifier.contains(pins(file)[name]), "tests run with another"
    hashed = "--require-hashes --only-binary=:all: -r "
    settings = needed["tool"]["cibuildwheel"]
    assert hashed + "{project}/tools/pinned/build.txt" in settings["before-build"]
    assert settings["build-frontend"]["args"] == ["--no-build-isolation"]
    for job in RELEASE["jobs"]:
        uploaded = False
        for step in RELEASE["jobs"][job]["steps"]:
            uploaded |= "upload-artifact" in step.get("uses", "")
            run = step.get("run", "")
            if "pip install" in run:
                assert hashed in run or uploaded, f"{job}: {run}"
            assert "pip wheel" not in run or "--no-build-isolation" in run
            assert "-m build" not in run or "--no-isolation" in run


def test_no_file_names_a_registry():
    for path in [*WORKFLOWS, *PINNED.iterdir()]:
        assert not re.search(r"pypi\.org|pythonhosted|index-url", path.read_text()), path


def run_step(job: str, name: str, folder, **environment: str) -> tuple[int, str]:
    """Run a step of the workflow as the service would; return its status and what it has noted."""
    [step] = [each for each in runs(job) if each.get("name") == name]
    output = folder / "output"
    output.write_text("")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "-e", "-c", step["run"]], cwd=folder / step.get("working-directory", "."),
        env={**RELEASE["env"], "PATH": path, "GITHUB_OUTPUT": str(output), **environment},
        capture_output=True,
    )
    return ran.returncode, output.read_text()


def change(path):
    path.write_bytes(path.read_bytes() + b"x")


@pytest.mark.parametrize(
    ("tamper", "status"),
    [
        (lambda dist: None, 0),
        (lambda dist: change(dist / "a.whl"), 1),
        (lambda dist: (dist / "b.whl").unlink(), 1),
        (lambda dist: (dist / "c.whl").write_bytes(b"c"), 1),
        (lambda dist: (dist / "a.whl").rename(dist / "d.whl"), 1),
    ],
    ids=["same", "changed", "missing", "another", "renamed"],
)
def test_only_the_files_that_were_checked_are_published(tmp_path, tamper, status):
    dist = tmp_path / "dist"
    dist.mkdir()
    for name in ("a.whl", "b.whl", "s.tar.gz"):
        (dist / name).write_bytes(name.encode())
    noted = run_step("check", "Note the digest of each file", tmp_path)
    digests = re.fullmatch(r"digests<<END\n(.*)\nEND\n", noted[1], re.DOTALL)[1]
    tamper(dist)
    name = "Compare the digest of each file, and that there is no other"
    assert run_step("publish", name, tmp_path, DIGESTS=digests)[0] == status
    names = [step.get("name", step.get("uses", "")) for step in RELEASE["jobs"]["publish"]["steps"]]
    assert names[1] == name
    assert names[2].startswith("pypa/gh-action-pypi-publish@")


@pytest.mark.parametrize("job", ["pure", "wheels", "check"])
def test_wheels_are_built_from_the_sdist_that_was_made(tmp_path, job):
    (tmp_path / "dist").mkdir()
    sdist = tmp_path / "dist" / "gaistream-1.tar.gz"
    sdist.write_bytes(b"sdist")
    noted = run_step("sdist", "Note the digest of the sdist", tmp_path)[1]
    digest = noted.removeprefix("digest=").strip()
    assert run_step(job, "Compare the digest of the sdist", tmp_path, DIGEST=digest)[0] == 0
    change(sdist)
    assert run_step(job, "Compare the digest of the sdist", tmp_path, DIGEST=digest)[0] == 1


def test_faults_are_reported_privately_and_to_no_address():
    text = (ROOT / "SECURITY.md").read_text()
    assert "Report a vulnerability" in text
    assert "@" not in text
