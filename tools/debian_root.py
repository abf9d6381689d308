"""A Debian in a folder, for what this machine has not: other Pythons, other processors.

It stands outside of the source tree, in ~/.cache/gaistream or where GAISTREAM_ROOTS says, takes
some 700 MB, and is kept: delete it to have it made anew. debootstrap makes it, which wants root.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from local import run, say

FOLDER = Path(os.environ.get("GAISTREAM_ROOTS", Path.home() / ".cache" / "gaistream"))


def need(program: str, package: str) -> str:
    """Give the path of a program, or end with how to get it."""
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if path is None:
        sys.exit(f"{program} is needed (Debian: apt-get install {package})")
    return path


def need_root(why: str) -> None:
    """End with the reason unless this is root."""
    if os.geteuid() != 0:
        sys.exit(f"{why} is for root alone: run this as root (sudo make ...)")


def _made(name: str) -> tuple[Path, Path]:
    FOLDER.mkdir(parents=True, exist_ok=True)
    return FOLDER / name, FOLDER / f"{name}.made"


def installed_root(name: str, suite: str, packages: list[str]) -> Path:
    """Install a Debian for this processor, to chroot into; give its folder."""
    debootstrap = need("debootstrap", "debootstrap")
    need_root("chroot")
    root, made = _made(name)
    if not made.exists():
        say(f"installing Debian {suite} in {root} (minutes, once)")
        shutil.rmtree(root, ignore_errors=True)
        run(debootstrap, "--variant=minbase", f"--include={','.join(packages)}", suite, root)
        made.touch()
    return root


def unpacked_root(name: str, suite: str, architecture: str, packages: list[str]) -> Path:
    """Unpack a Debian for another processor, without running anything of it; give its folder."""
    debootstrap = need("debootstrap", "debootstrap")
    need_root("debootstrap")
    root, made = _made(name)
    if not made.exists():
        say(f"unpacking Debian {suite} for {architecture} in {root} (minutes, once)")
        shutil.rmtree(root, ignore_errors=True)
        run(debootstrap, f"--arch={architecture}", "--foreign", "--variant=minbase",
            f"--include={','.join(packages)}", suite, root)
        for package in sorted((root / "var/cache/apt/archives").glob("*.deb")):
            run("dpkg-deb", "--extract", package, root)
        made.touch()
    return root


def inside(root: Path) -> list[str]:
    """Give what a command begins with to run inside of a root."""
    return [need("chroot", "coreutils"), str(root), "/usr/bin/env", "-i", "HOME=/root",
            "PATH=/usr/bin:/bin", "LANG=C.UTF-8"]
