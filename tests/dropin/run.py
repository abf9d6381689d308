"""Run other projects' tests and servers on gaistream, as pip installs it: `make dropin`.

A part is a folder here with `requirements.txt` (or several `requirements-NAME.txt`, each a part of
its own) and files `check_*.py`. It may have a `suite.txt`, which names a package from whose source
distribution `tests/` is taken; `fixtures.py` becomes its conftest. `tree.txt` names files of this
tree that are copied too. Each part has a virtual
environment of its own in `build/dropin`, with a wheel of this tree; its files are copied there, so
that nothing of the tree is imported. `left_out.txt` lists the tests that are not run, and why.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

HERE: Final = Path(__file__).parent
TREE: Final = HERE.parents[1]
BUILD: Final = TREE / "build" / "dropin"
PACKAGED: Final = ("gaistream", "src", "pyproject.toml", "setup.py", "README.md", "LICENSE",
                   "MANIFEST.in")  # fmt: skip
INI: Final = """[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
python_files = check_*.py test_*.py
pythonpath = .
filterwarnings =
    ignore::pytest.PytestConfigWarning
"""


class Part(NamedTuple):
    """A folder with one of its requirements."""

    name: str
    folder: Path
    requirements: Path

    @property
    def place(self) -> Path:
        return BUILD / self.name

    @property
    def python(self) -> Path:
        return self.place / "venv" / "bin" / "python"


class LeftOut(NamedTuple):
    """A line of left_out.txt."""

    part: str
    tests: str
    number: int


def parts(chosen: list[str]) -> list[Part]:
    """Return the parts whose names begin with one of these; all of them without any."""
    found = []
    for file in sorted(HERE.glob("*/requirements*.txt")):
        suffix = file.stem.removeprefix("requirements")
        found.append(Part(file.parent.name + suffix, file.parent, file))
    return [each for each in found if not chosen or each.name.startswith(tuple(chosen))]


def left_out(part: Part) -> list[LeftOut]:
    """Return the tests that the part leaves out."""
    lines = (HERE / "left_out.txt").read_text().splitlines()
    fields = [line.split(None, 3) for line in lines if line and not line.startswith("#")]
    every = [LeftOut(part_name, tests, int(number)) for part_name, tests, number, _ in fields]
    return [each for each in every if each.part == part.name]


def run(*command: object, cwd: Path = TREE) -> None:
    """Run a command; show its output and end the program if it fails."""
    result = subprocess.run(
        [str(each) for each in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    if result.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{result.stdout}{result.stderr}")


def pip(*arguments: object) -> None:
    """Run pip."""
    run(sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments)


def wheel() -> Path:
    """Return a wheel of the tree, built if the tree is newer."""
    place = BUILD / "wheel"
    newest = max(
        file.stat().st_mtime
        for name in PACKAGED
        for file in ([TREE / name] if (TREE / name).is_file() else (TREE / name).rglob("*.p*"))
    )
    built = list(place.glob("*.whl"))
    if built and built[0].stat().st_mtime > newest:
        return built[0]
    copy = BUILD / "tree"
    for folder in (place, copy):
        shutil.rmtree(folder, ignore_errors=True)
    copy.mkdir(parents=True)
    ignored = shutil.ignore_patterns("*.so", "__pycache__", "*.c")
    for name in PACKAGED:
        if (TREE / name).is_dir():
            shutil.copytree(TREE / name, copy / name, ignore=ignored)
        else:
            shutil.copy(TREE / name, copy)
    os.environ["GAISTREAM_BUILD"] = "native"
    pip("wheel", "-q", "--no-deps", "-w", place, copy)
    return next(place.glob("*.whl"))


def prepare(part: Part, package: Path) -> None:
    """Make the part's environment and copy its files."""
    required = part.requirements.read_text()
    digest = hashlib.sha256(required.encode() + package.read_bytes()).hexdigest()
    stamp = part.place / "installed"
    if not stamp.exists() or stamp.read_text() != digest:
        shutil.rmtree(part.place, ignore_errors=True)
        run(sys.executable, "-m", "venv", "--without-pip", part.place / "venv")
        pip("--python", part.python, "install", "-q", "-r", part.requirements, package)
        stamp.write_text(digest)
    copy = part.place / "run"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(part.folder, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "pytest.ini").write_text(INI)
    ours = part.folder / "tree.txt"
    for name in ours.read_text().split() if ours.exists() else ():
        shutil.copy(TREE / name, copy)
    suite = part.folder / "suite.txt"
    if suite.exists():
        unpack(suite.read_text().strip(), part.place, copy)


def unpack(requirement: str, place: Path, copy: Path) -> None:
    """Take the tests of a source distribution."""
    if not (found := list(place.glob("sdist/*.tar.gz"))):
        pip("download", "-q", "--no-deps", "--no-binary", ":all:", "-d", place / "sdist",
            requirement)  # fmt: skip
        found = list(place.glob("sdist/*.tar.gz"))
    with tarfile.open(found[0]) as archive:
        archive.extractall(place / "unpacked", filter="data")
    [tests] = (place / "unpacked").glob("*/tests")
    shutil.copytree(tests, copy / "tests")
    shutil.move(copy / "fixtures.py", copy / "tests" / "conftest.py")


def check(part: Part) -> bool:
    """Run the part's tests, print their counts, and return True if all have passed."""
    began = time.monotonic()
    out = left_out(part)
    options = [
        f"--deselect={each.tests}" if "::" in each.tests else f"--ignore={each.tests}"
        for each in out
    ]
    # from which the tree's own package cannot be imported
    command = [part.python, "-P", "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider",
               "--import-mode=importlib", f"--rootdir={part.place / 'run'}", *options]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run(
        [str(each) for each in command],
        cwd=part.place / "run", env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    lines = result.stdout.splitlines()
    counts = re.sub(r", \d+ deselected| in [\d.]+s.*", "", lines[-1].strip("= ")) if lines else ""
    left = sum(each.number for each in out)
    more = f", {left} left out (left_out.txt)" if left else ""
    print(f"{part.name}: {counts}{more}; {time.monotonic() - began:.0f} s")
    for exit_time in re.findall(r"[\w-]+: exit after [\d.]+ s", result.stdout):
        print(f"  {exit_time}")
    if result.returncode:
        print(result.stdout, result.stderr)
    sys.stdout.flush()
    return result.returncode == 0


def main() -> None:
    """Prepare and check the parts, two at a time."""
    chosen = parts(sys.argv[1:])
    package = wheel()

    def work(part: Part) -> bool:
        prepare(part, package)
        return check(part)

    with ThreadPoolExecutor(2) as pool:
        passed = list(pool.map(work, chosen))
    sys.exit(not all(passed))


if __name__ == "__main__":
    main()
