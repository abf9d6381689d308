"""The servers of the table, one at a time for a file, and the channel that steers their streams."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
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
