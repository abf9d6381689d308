"""Check what is in the files that are to be published: `python tools/check_dist.py dist/*`.

A wheel holds the package whole and nothing else: every module, the types, the handbook and the
demo's page; the compiled core if it is for one platform, and none if it is for all; no source of
the core; less than 700 kB. An sdist holds every file that the repository tracks, but for those of
the service that runs the workflows, and nothing that is generated. All of them say the same of
themselves, for lock files take the metadata of one for that of all. With --release, wheels for
Linux must be tagged for manylinux or musllinux. What is wrong is printed, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]
LARGEST_WHEEL = 1_100_000  # bytes
GENERATED = ("*.c", "*.so", "*.pyd", "*.pyc")
CORE = ("gaistream/core/_core.*.so", "gaistream/core/_core.*.pyd", "gaistream/core/_core.so")
NOT_IN_SDIST = (".git*", "wheels.yml")
PACKAGE_FILES = ("*.py", "py.typed", "core/_core.pyi", "handbook/*.md", "cli/demo/page/*")


def package_files() -> set[str]:
    """Give the files that every wheel holds."""
    package = ROOT / "gaistream"
    found = {str(path.relative_to(ROOT).as_posix()) for pattern in PACKAGE_FILES
             for path in package.rglob(pattern) if path.is_file()}
    return {name for name in found if "__pycache__" not in name}


def tracked_files() -> set[str]:
    """Give the files that the repository tracks; none where this is no checkout."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, text=True, capture_output=True)
    names = {name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()}
    return {name for name in names if not any(fnmatch(name, each) for each in NOT_IN_SDIST)}


def is_any(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def wrong_in_wheel(path: Path, *, release: bool) -> Iterator[str]:
    *_, platform = path.stem.split("-")
    with zipfile.ZipFile(path) as held:
        names = {name for name in held.namelist() if ".dist-info/" not in name}
    names = {name for name in names if not name.endswith("/")}  # folders, of auditwheel
    compiled = {name for name in names if is_any(name, CORE)}
    for name in sorted(package_files() - names):
        yield f"{name} is missing"
    for name in sorted(names - package_files() - compiled):
        yield f"{name} does not belong there"
    if len(compiled) != (platform != "any"):
        yield f"{len(compiled)} compiled cores in a wheel for {platform}"
    if (size := path.stat().st_size) >= LARGEST_WHEEL:
        yield f"{size} bytes; less than {LARGEST_WHEEL} are allowed"
    if release and "linux" in platform and not platform.startswith(("manylinux", "musllinux")):
        yield f"tagged {platform}, which an index refuses"


def wrong_in_sdist(path: Path) -> Iterator[str]:
    with tarfile.open(path) as held:
        names = {name.partition("/")[2] for name in held.getnames()}
    for name in sorted(tracked_files() - names):
        yield f"{name} is missing"
    for name in sorted(names):
        if is_any(PurePosixPath(name).name, GENERATED):
            yield f"{name} is generated"


def metadata(path: Path) -> bytes:
    """Give what a file says of itself."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as held:
            (name,) = (n for n in held.namelist() if n.endswith(".dist-info/METADATA"))
            return held.read(name)
    with tarfile.open(path) as archive:
        name = min((n for n in archive.getnames() if n.endswith("/PKG-INFO")), key=len)
        member = archive.extractfile(name)
        assert member is not None
        return member.read()


def wrong(paths: list[Path], *, release: bool = False) -> Iterator[str]:
    """Give what is wrong in these files, a line each."""
    for path in paths:
        wheel = path.suffix == ".whl"
        for each in wrong_in_wheel(path, release=release) if wheel else wrong_in_sdist(path):
            yield f"{path.name}: {each}"
    first = paths[0]
    for path in paths[1:]:
        if metadata(path) != metadata(first):
            yield f"{path.name}: its metadata differ from those of {first.name}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--release", action="store_true", help="as an index would take them")
    parser.add_argument("--count", type=int, metavar="N", help="so many files must there be")
    parser.add_argument("--tag", metavar="vX.Y.Z", help="of this version must they be, if given")
    chosen = parser.parse_args()
    found = list(wrong(chosen.files, release=chosen.release))
    if chosen.count is not None and len(chosen.files) != chosen.count:
        found.append(f"{chosen.count} files were expected")
    if version := (chosen.tag or "").removeprefix("v"):
        names = f"gaistream-{version}-", f"gaistream-{version}.tar.gz"
        found += [f"{path.name}: not of version {version}" for path in chosen.files
                  if not path.name.startswith(names)]
    print(*found, sep="\n", end="\n" if found else "")
    print(f"{len(chosen.files)} files checked, {len(found)} faults")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
