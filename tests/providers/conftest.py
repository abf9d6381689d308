"""A running service with OpenAI's protocol."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from openai_service import Service


@pytest.fixture(scope="module")
def server() -> Iterator[Service]:
    service = Service()
    thread = threading.Thread(target=service.run, args=([service.listener],))
    thread.start()
    assert service.ready.wait(30)
    yield service
    service.should_exit = True
    thread.join()


@pytest.fixture
def service(server: Service, monkeypatch: pytest.MonkeyPatch) -> Service:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server.requests.clear()
    server.gone.clear()
    return server
