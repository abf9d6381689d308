"""The switch between the twins: everything above imports the core's names from here.

GAISTREAM_BACKEND=auto (the default) takes the compiled core where it can be imported, else the
pure twin; native insists on the compiled one; pure insists on the other. Running pure without
having asked for it is said once, for pip hides the output of a build that found no compiler.

A twin is handed functions for JSON that import the library with the first payload, for it takes
longer to import than all else that text needs.
"""

import os
import sys
import warnings
from typing import TYPE_CHECKING, Any

_choice = os.environ.get("GAISTREAM_BACKEND", "auto")
if _choice not in ("auto", "native", "pure"):
    raise ImportError(f"GAISTREAM_BACKEND must be auto, native or pure, not {_choice!r}")

backend = "pure"
"""Which twin runs: "native" or "pure"."""
if not TYPE_CHECKING and _choice != "pure":
    try:
        from ._core import *  # noqa: F403

        backend = "native"
    except ImportError as error:
        if _choice == "native":
            raise
        if sys.implementation.name == "cpython":
            import importlib.util

            is_there = importlib.util.find_spec("gaistream.core._core") is not None
            warnings.warn(
                "gaistream runs its pure-Python twin, for the compiled core "
                + (
                    f"cannot be loaded here ({error}); "
                    if is_there  # but not for this interpreter, such as a subinterpreter
                    else f"is missing ({error}); install with a C compiler, or "
                )
                + "set GAISTREAM_BACKEND=pure to ask for this",
                RuntimeWarning,
                stacklevel=2,
            )
if backend == "pure":
    from .pure import *  # noqa: F403


def _first_dumps(payload: Any, _default: None, newline: bool) -> bytes:
    from . import json as _json  # which installs its own functions in place of these

    option = _json.json_line_option if newline else _json.json_option
    return _json.fast_dumps(payload, _json.json_default, option)


def _first_careful_dumps(payload: Any, newline: bool, errors: str) -> bytes:
    from . import json as _json

    return _json.careful_dumps(payload, newline, errors)


def _first_loads(data: bytes | bytearray | memoryview | str) -> Any:
    from . import json as _json

    return _json.loads(data)


def _first_careful_loads(data: bytes | bytearray | memoryview | str, errors: str) -> Any:
    from . import json as _json

    return _json.careful_loads(data, errors)


install_json(  # noqa: F405
    _first_dumps, None, False, True, _first_careful_dumps, _first_loads, _first_careful_loads
)
