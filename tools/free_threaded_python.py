"""Build a CPython without the GIL from Debian's source package, into ~/.cache/gaistream.

`python tools/free_threaded_python.py [--python X.Y] [--tsan]` prints the path of its interpreter.
Debian has no such Python among its packages. Its unstable suite has the sources, pinned below by
version; the newest that the mirror gives is built. A build takes two to four minutes on two cores
and is kept (90 MB): delete its folder to have it made anew. `--tsan` builds the interpreter under
ThreadSanitizer, which understands the locks of an extension only there.
Needs gcc, make, dpkg-dev, libssl-dev, libffi-dev and zlib1g-dev.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from debian_root import FOLDER
from local import say

SOURCES = {"3.15": "3.15.2-1", "3.14": "3.14.10-1", "3.13": "3.13.15-1"}  # newest first
PROGRAMS = {"gcc": "gcc", "make": "make", "dpkg-source": "dpkg-dev"}
HEADERS = {"openssl/ssl.h": "libssl-dev", "ffi.h": "libffi-dev", "zlib.h": "zlib1g-dev"}
# Modules that nothing here uses, and that take long to compile.
LEFT_OUT = ("_tkinter _curses _curses_panel _dbm _gdbm readline _codecs_cn _codecs_hk "
            "_codecs_iso2022 _codecs_jp _codecs_kr _codecs_tw")
APT = """Dir::State "{0}/state";
Dir::State::status "/var/lib/dpkg/status";
Dir::Cache "{0}/cache";
Dir::Etc::sourcelist "{0}/sources.list";
Dir::Etc::sourceparts "-";
APT::Sandbox::User "root";
"""


class Unavailable(Exception):
    """The mirror lists this source package but does not have its files."""


def missing() -> list[str]:
    """Return the Debian packages that a build lacks."""
    lacking = [package for name, package in PROGRAMS.items() if shutil.which(name) is None]
    for header, package in HEADERS.items():
        known = subprocess.run(["gcc", "-E", "-"], input=f"#include <{header}>\n", text=True,
                               capture_output=True) if "gcc" not in lacking else None
        if known is None or known.returncode:
            lacking.append(package)
    return lacking


def output_of(*command: object, cwd: Path, log: Path, **more: str) -> None:
    """Run a command that writes to a log; end with the log's last lines if it fails."""
    with log.open("w") as to:
        done = subprocess.run([*map(str, command)], cwd=cwd, env={**os.environ, **more},
                              stdout=to, stderr=subprocess.STDOUT)
    if done.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
        raise SystemExit(f"{tail}\nfailed: {' '.join(map(str, command))}")


def mirror() -> str:
    """Return the address that this machine has for Debian's packages."""
    known = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE) $(LABEL)", "Created-By: Packages"],
        capture_output=True, text=True, check=True).stdout
    for line in known.splitlines():
        site, _, label = line.partition(" ")
        if label == "Debian":
            return site
    raise SystemExit("apt knows no mirror of Debian: run apt-get update")


def source(version: str, folder: Path) -> Path:
    """Download and unpack a source package of unstable, without changing this machine's apt."""
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
    (folder / "sources.list").write_text(f"deb-src [signed-by={keys}] {mirror()} sid main\n")
    (folder / "apt.conf").write_text(APT.format(folder))
    apt = {"cwd": folder, "APT_CONFIG": str(folder / "apt.conf")}
    if not list((folder / "state" / "lists").glob("*Sources*")):
        output_of("apt-get", "update", "-qq", log=folder / "update.log", **apt)
    package = f"python{version.rpartition('.')[0]}"
    try:
        output_of("apt-get", "source", "-qq", "--download-only", f"{package}={SOURCES_OF[version]}",
                  log=folder / "source.log", **apt)
    except SystemExit as error:
        raise Unavailable(f"the mirror does not have its source package\n{error}") from None
    (description,) = folder.glob(f"{package}_*.dsc")
    # without Debian's patches, which assume Debian's layout: such a build has no venv
    output_of("dpkg-source", "--skip-patches", "-x", description, "src", cwd=folder,
              log=folder / "unpack.log")
    return folder / "src"


SOURCES_OF = {pinned.partition("-")[0]: pinned for pinned in SOURCES.values()}


def build(version: str, into: Path, work: Path, *, tsan: bool) -> None:
    """Build a version in a folder and install it into another."""
    src = source(version, work)
    say(f"building Python {version} without the GIL in {into} (minutes, once)")
    made = work / "made"
    made.mkdir()
    options = ["--with-thread-sanitizer"] if tsan else []
    output_of(src / "configure", "-q", f"--prefix={into}", "--disable-gil",
              "--disable-test-modules", "--with-ensurepip=install", *options, cwd=made,
              log=work / "configure.log")
    (made / "Modules" / "Setup.local").write_text(f"*disabled*\n{LEFT_OUT}\n")
    # setarch -R: the sanitizer's shadow memory collides with addresses that are chosen at random
    start = ["setarch", "-R"] if tsan else []
    flags = "OPT=-DNDEBUG -O1 -g" if tsan else "OPT=-DNDEBUG -O2 -g0"
    quiet = {"TSAN_OPTIONS": "report_bugs=0"}
    output_of(*start, "make", f"-j{os.cpu_count()}", flags, cwd=made, log=work / "make.log",
              **quiet)
    output_of(*start, "make", "install", flags, cwd=made, log=work / "install.log", **quiet)
    for name in ("test", "idlelib", "turtledemo", "tkinter"):
        shutil.rmtree(into / "lib" / f"python{version.rpartition('.')[0]}t" / name,
                      ignore_errors=True)
    if tsan:
        shutil.copytree(src / "Tools" / "tsan", into / "tsan")


def interpreter(python: str | None = None, *, tsan: bool = False) -> Path:
    """Return the path of a free-threaded Python, the newest that is to be had, built if need be."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    versions = [SOURCES[python]] if python else [*SOURCES.values()]
    folders = {each: FOLDER / f"python-{each}t{'-tsan' if tsan else ''}" for each in versions}
    for pinned, into in folders.items():
        if (into / "made").exists():
            return into / "bin" / f"python{'.'.join(pinned.split('.')[:2])}t"
    if lacking := missing():
        raise SystemExit(f"needed for a build (Debian): apt-get install {' '.join(lacking)}")
    with tempfile.TemporaryDirectory() as temporary:
        for pinned, into in folders.items():
            version = pinned.partition("-")[0]
            try:
                shutil.rmtree(into, ignore_errors=True)
                build(version, into, Path(temporary), tsan=tsan)
            except Unavailable as error:
                print(f"Python {pinned} is skipped: {error}", file=sys.stderr)
                continue
            (into / "made").touch()
            return into / "bin" / f"python{'.'.join(version.split('.')[:2])}t"
    raise SystemExit("no free-threaded Python is to be had")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--python", choices=SOURCES)
    parser.add_argument("--tsan", action="store_true")
    chosen = parser.parse_args()
    print(interpreter(chosen.python, tsan=chosen.tsan))


if __name__ == "__main__":
    main()
