"""Have httpx-sse's own tests run on our names of it; those of private names are left out."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from gaistream.client import httpx_sse

sys.modules["httpx_sse"] = httpx_sse
api = sys.modules["httpx_sse._api"] = ModuleType("httpx_sse._api")
api._aiter_sse_lines = api._iter_sse_lines = None  # imported, and used by what is left out

collect_ignore = ["test_decoders.py"]  # of the private decoder
PRIVATE = ("test_iter_sse_lines", "test_aiter_sse_lines")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = [each for each in items if each.name.startswith(PRIVATE)]
    items[:] = [each for each in items if each not in left_out]
    config.hook.pytest_deselected(items=left_out)
