"""What an import takes, in a process of its own, and how many modules are there then."""

from __future__ import annotations

import subprocess
import sys

from . import Timed

COUNT = "import sys, {}; print(len(sys.modules))"


def run(script: str) -> str:
    command = [sys.executable, "-c", script]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class Imports(Timed):
    """The interpreter's own start is "sys"."""

    params = ("sys", "gaistream", "gaistream.asgi", "gaistream.wsgi")
    param_names = ("module",)

    def time_import(self, module: str) -> None:
        run(f"import {module}")

    def track_modules(self, module: str) -> int:
        return int(run(COUNT.format(module)))

    track_modules.unit = "modules"  # type: ignore[attr-defined]
