"""The switch between the twins: everything above imports the core's names from here.

GAISTREAM_BACKEND=auto (the default) takes the compiled core where it can be imported, else the
pure twin; native insists on the compiled one; pure insists on the other. Running pure without
having asked for it is said once, for pip hides the output of a build that found no compiler.
"""

import os
import sys
import warnings
from typing import TYPE_CHECKING

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
            warnings.warn(
                f"gaistream runs its pure-Python twin, for the compiled core is missing ({error}); "
                "install with a C compiler, or set GAISTREAM_BACKEND=pure to ask for this",
                RuntimeWarning,
                stacklevel=2,
            )
if backend == "pure":
    from .pure import *  # noqa: F403
