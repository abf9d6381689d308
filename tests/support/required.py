"""What a test needs of the machine: skipped with the reason where it is missing, unless required.

`GAISTREAM_REQUIRE` lists programs (`chromium,nginx`) that must be there; where it is set, so must
every package of the dependency groups.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

import pytest

REQUIRED = [each for each in os.environ.get("GAISTREAM_REQUIRE", "").split(",") if each]


def need_package(name: str, group: str = "") -> None:
    """Go on only with this package. One of a group is required where that is listed."""
    if importlib.util.find_spec(name) is None:
        required = group in REQUIRED if group else bool(REQUIRED)
        _miss(f"the package {name} is not installed", required=required)


def need_program(name: str) -> str:
    """Go on only with this program, and give its path."""
    path = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin")))
    if path is None:
        _miss(f"the program {name} is not installed", required=name in REQUIRED)
    return str(path)


def need_tool(name: str) -> str:
    """Go on only with this program of the dependency group "check", and give its path."""
    path = shutil.which(name, path=str(Path(sys.executable).parent))
    if path is None:
        _miss(f"{name} is not installed", required=bool(REQUIRED))
    return str(path)


def once_a_check() -> None:
    """Go on only where the compiled core is tested: both backends are one check's two runs."""
    if os.environ.get("GAISTREAM_BACKEND") == "pure":
        pytest.skip("does not depend on the backend", allow_module_level=True)


def need_counted_allocations(gs: ModuleType) -> None:
    """Go on only with a core that counts its allocations: compiled, and with the GIL."""
    if gs.backend != "native":
        pytest.skip("the allocator that is counted is the core's")
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        pytest.skip("without the GIL nothing is counted")


def _miss(reason: str, *, required: bool) -> None:
    if required:
        pytest.fail(f"{reason}, and GAISTREAM_REQUIRE is set")
    pytest.skip(reason)
