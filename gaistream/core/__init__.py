"""The switch between the twins: everything above imports the core's names from here.

GAISTREAM_BACKEND=auto (the default) uses the compiled core if it can be imported, else the pure
twin; native insists on the compiled core, pure on the pure twin. A process that runs pure without
having asked for it warns once, because pip hides the output of a build that found no compiler.

The JSON library is imported with the first payload, since that takes longer than importing
everything else that text needs.
"""

import os
import sys
import warnings
from typing import TYPE_CHECKING, Any

_choice = os.environ.get("GAISTREAM_BACKEND", "auto")
if _choice not in ("auto", "native", "pure"):
    raise ImportError(f"GAISTREAM_BACKEND must be auto, native or pure, not {_choice!r}")

backend = "pure"
"""The twin that runs: "native" or "pure"."""
if not TYPE_CHECKING and _choice != "pure":
    try:
        from ._core import *  # noqa: F403

        backend = "native"
    except ImportError as error:
        if _choice == "native":
            raise
        if sys.implementation.name == "cpython":
            import importlib.util

            exists = importlib.util.find_spec("gaistream.core._core") is not None
            warnings.warn(
                "gaistream runs its pure-Python twin, because the compiled core "
                + (
                    f"cannot be loaded here ({error}); "
                    if exists  # but this interpreter cannot load it, such as a subinterpreter
                    else f"is missing ({error}); install with a C compiler, or "
                )
                + "set GAISTREAM_BACKEND=pure to ask for this",
                RuntimeWarning,
                stacklevel=2,
            )
if backend == "pure":
    from .pure import *  # noqa: F403


def load_json_library() -> Any:
    """Return the library of gaistream/core/json.py."""
    from .json import library

    return library


install_json(load_json_library)  # noqa: F405
