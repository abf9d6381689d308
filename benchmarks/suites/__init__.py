"""What ASV follows from commit to commit: `make asv`. Every module here is a suite, and only here.

Each time stands beside a check of what was made; parameters are sizes and twins, so that growth
shows as a curve. The payloads are those of benchmarks/payloads.py, one folder up.
"""

import importlib
import os
import sys
from pathlib import Path

os.environ.setdefault("GAISTREAM_BACKEND", "native")
sys.path.append(str(Path(__file__).resolve().parent.parent))
TWINS = {name: importlib.import_module(f"gaistream.{module}")
         for name, module in (("native", "_core"), ("pure", "pure"))}  # fmt: skip


def must(found, expected):
    """Refuse a time of something that came out wrong."""
    if found != expected:
        raise AssertionError(f"{found!r:.200} is not {expected!r:.200}")
