"""The build of the one extension, gaistream.core._core; all metadata is in pyproject.toml.

GAISTREAM_BUILD chooses: "auto" (the default) compiles where a compiler is there and falls back
to the pure twin where none is; "native" fails without one; "pure" compiles nothing.
"""

import os
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

MODE = os.environ.get("GAISTREAM_BUILD", "auto")
if MODE not in ("auto", "native", "pure"):
    raise SystemExit(f"GAISTREAM_BUILD must be auto, native or pure, not {MODE!r}")


class BuildCore(build_ext):
    def build_extension(self, ext):
        try:
            super().build_extension(ext)
        except Exception as error:
            if MODE == "auto":
                raise  # an optional extension: setuptools says so and goes on without it
            raise SystemExit(
                f"gaistream: GAISTREAM_BUILD=native, but the core could not be built: {error}\n"
                "A C compiler and Python's headers are needed (Debian: gcc python3-dev); "
                "GAISTREAM_BUILD=pure installs without them."
            ) from error


FLAGS = [] if os.name == "nt" else ["-O3", "-fno-semantic-interposition"]
LINK_FLAGS = []
if FLAGS and "-g" not in os.environ.get("CFLAGS", "").split():
    FLAGS += ["-g0"]  # what debuggers read makes five times the size: only if it is asked for
    if sys.platform == "linux":
        LINK_FLAGS += ["-Wl,--strip-all"]
core = Extension(
    "gaistream.core._core",
    ["src/core.pyx"],  # not through cythonize(): it drops `optional`
    depends=sorted(map(str, [*Path("src").glob("*.pxi"), *Path("src").glob("*.h")])),
    include_dirs=["src"],
    extra_compile_args=FLAGS,
    extra_link_args=LINK_FLAGS,
    optional=MODE == "auto",
)
setup(ext_modules=[] if MODE == "pure" else [core], cmdclass={"build_ext": BuildCore})
