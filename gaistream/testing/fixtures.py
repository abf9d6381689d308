"""A fixture of pytest for those who import it; nothing loads it by itself.

Write `from gaistream.testing.fixtures import open_stream` in a `conftest.py`, next to a fixture
`app` that returns your app. It needs no plugin: pytest-asyncio, anyio's and trio's all run tests
that use it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from . import stream


@pytest.fixture
def open_stream(app: Any) -> Callable[..., Any]:
    """Return `gaistream.testing.stream` for the app of the fixture `app`."""
    return partial(stream, app)
