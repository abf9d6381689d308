"""Build and test wheels for Pythons that this machine has not, in a Debian of its own.

`python tools/build_wheels_new.py [--python 3.14,...] [PART ...]`, by default 3.14 and 3.15, which
Debian's unstable suite has (with the GIL; it has no free-threaded ones). Root is needed, and
debootstrap. There is no network inside: what the build and the tests need is downloaded outside.
The wheels want the C library of that suite, so they are for the test alone and not for dist/.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import sys
import tomllib
from pathlib import Path

from debian_root import inside, installed_root
from local import ROOT, WORK, build_sdist, check, run, run_tests, say, table, unpacked

PACKAGES = ["gcc", *(f"python{version}{part}" for version in ("3.14", "3.15")
                     for part in ("", "-dev", "-venv"))]
FOLDER = WORK / "new"
PLACE = Path("opt/gaistream")


def download(version: str, house: Path) -> None:
    """Download what a wheel of this Python is built with and tested with."""
    say(f"what Python {version} needs")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = [*project["build-system"]["requires"], *project["dependency-groups"]["wheel"]]
    flat = version.replace(".", "")
    machine = platform.machine()
    run(sys.executable, "-m", "pip", "download", "-q", "--dest", house, "--only-binary=:all:",
        "--python-version", version, "--implementation", "cp", "--abi", f"cp{flat}",
        "--abi", "abi3", "--abi", "none", "--platform", f"manylinux_2_28_{machine}",
        "--platform", f"manylinux_2_17_{machine}", "--platform", f"manylinux2014_{machine}",
        *needed)


def build_and_test(root: Path, version: str, sdist: Path, parts: list[str]) -> tuple[Path, str]:
    """Build the wheel of a Python inside of the root, test it, and give it with what was said."""
    place = root / PLACE / version
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    download(version, place / "house")
    unpacked(sdist, place / "source")
    say(f"wheel of python{version}, native")
    here = f"/{PLACE}/{version}"
    offline = ["--no-index", f"--find-links={here}/house", "-q"]
    start = inside(root)
    python = f"{here}/env/bin/python"
    run(*start, f"python{version}", "-m", "venv", f"{here}/env")
    pip = [*start, "GAISTREAM_BUILD=native", python, "-m", "pip"]
    run(*pip, "wheel", *offline, "--no-deps", f"--wheel-dir={here}/made", f"{here}/source")
    (wheel,) = (place / "made").glob("*.whl")
    kept = Path(shutil.copy(wheel, FOLDER))
    say(f"testing {wheel.name}")
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["wheel"]
    run(*pip, "install", *offline, f"{here}/made/{wheel.name}", *needed)
    said = run_tests(*start, python, f"{here}/source/tools/test_wheel.py", *parts)
    return kept, said


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help="of the suite")
    parser.add_argument("--python", default="3.14,3.15", metavar="X.Y,...")
    chosen = parser.parse_args()
    root = installed_root("debian-unstable", "unstable", PACKAGES)
    sdist = build_sdist(FOLDER)
    versions = chosen.python.split(",")
    rows = [build_and_test(root, version, sdist, chosen.parts) for version in versions]
    check(*(wheel for wheel, _ in rows), release=False)
    table(rows)


if __name__ == "__main__":
    main()
