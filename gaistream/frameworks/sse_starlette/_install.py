"""`install()`: this package under the name `sse_starlette`, for packages that depend on it."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, Final

_NAME: Final = "sse_starlette"
_HERE: Final = __name__.rpartition(".")[0]
_SUBMODULES: Final = ("", ".sse", ".event")
_SHOWN: Final = 5  # modules that a message names


def install() -> None:
    """Make `import sse_starlette` import this package, also in packages that depend on it.

    Call it once, before anything imports sse-starlette: at the top of the program's first module.
    A second call does nothing. sse-starlette itself need not be installed.

    Raises:
        RuntimeError: a module that was imported before holds the original; the message names it.
    """
    here = {f"{_NAME}{each}": import_module(f"{_HERE}{each}") for each in _SUBMODULES}
    if all(sys.modules.get(name) is module for name, module in here.items()):
        return
    holders = _holders()
    if holders:
        more = len(holders) - _SHOWN
        names = ", ".join(holders[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
        raise RuntimeError(
            f"sse_starlette is in use already, by {names}: call install() before that is imported,"
            " at the top of the program's first module"
        )
    for name in [each for each in sys.modules if _is_original(each)]:
        del sys.modules[name]
    sys.modules.update(here)


def _is_original(name: object) -> bool:
    return isinstance(name, str) and (name == _NAME or name.startswith(f"{_NAME}."))


def _holders() -> list[str]:
    """Return the names of the modules, other than its own, that hold something of the original."""
    originals = [name for name in sys.modules if _is_original(name)]
    if not originals:
        return []
    return sorted(
        name
        for name, module in list(sys.modules.items())
        if not _is_original(name) and any(map(_is_of_original, _values(module)))
    )


def _values(module: Any) -> list[Any]:
    values = getattr(module, "__dict__", None)
    return list(values.values()) if isinstance(values, dict) else []


def _is_of_original(value: Any) -> bool:
    if isinstance(value, type(sys)):
        return _is_original(value.__name__)
    if not isinstance(value, type) and not callable(value):
        return False
    try:
        return _is_original(value.__module__)
    except Exception:  # an object whose attributes are computed
        return False
