"""The servers of the table, the channel that steers their streams, and the browsers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from browsers import ENGINES, Page, opened
from real_servers import Controls, Server, open_files, until
from server_table import Kind


@pytest.fixture(scope="module")
def controls() -> Iterator[Controls]:
    opened = Controls()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def server(
    request: pytest.FixtureRequest, controls: Controls, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server that serves served_app, and leaves neither threads nor open files."""
    kind: Kind = request.param
    files, threads = open_files(), threading.active_count()
    with kind.serve(controls.port, tmp_path_factory.mktemp("server")) as running:
        running.kind = kind
        yield running
    until(lambda: threading.active_count() <= threads)
    until(lambda: open_files() <= files)


@pytest.fixture(scope="module", params=ENGINES)
def browser(request: Any) -> Iterator[Page]:
    with opened(request.param) as page:
        yield page


@pytest.fixture
def page(browser: Page) -> Iterator[Page]:
    yield browser
    browser.goto("about:blank")  # which closes what the test has left open
