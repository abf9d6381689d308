"""Each face over a real server: text, own frames, errors, heartbeats, disconnects and drains."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from face_apps import FACES, Face, Views
from real_servers import SECONDS, Client, Server, until
from scripted_asgi import DONE, text

import gaistream
from gaistream import wsgi

BUSY = b'{"error":{"code":"busy","message":"busy"}}'
LOST = b'event: error\nretry: 5000\ndata: {"error":"lost","code":"lost"}\n\n'


class Served:
    """A face that is served, and its views."""

    def __init__(self, face: Face) -> None:
        self.face = face
        self.views: Views = face.views()
        self._server = face.serve(self.views)
        self.server: Server = self._server.__enter__()

    def stop(self) -> None:
        self.views.go_on.set()
        self._server.__exit__(None, None, None)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.server.url}/{path}", timeout=SECONDS)

    def ask(self, path: str) -> Client:
        client = Client(self.server.address).ask(f"/{path}")
        client.head()
        return client

    def outcome(self) -> str:
        assert self.views.closed.wait(SECONDS)
        [outcome] = self.views.outcomes
        assert outcome.source_closed
        return outcome.kind

    def drain(self) -> Any:
        if self.face.is_wsgi:
            return wsgi.drain(0)
        drains: list[Any] = []
        began = threading.Event()

        def drain() -> None:
            drains.append(gaistream.drain(0))
            began.set()

        self.server.loop.call_soon_threadsafe(drain)
        assert began.wait(SECONDS)
        return drains[0]


@pytest.fixture(params=FACES)
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    running = Served(FACES[request.param])
    yield running
    running.stop()


def body(answer: httpx.Response) -> bytes:
    return answer.content.removeprefix(b":\n\n")


def test_text_is_streamed_under_the_headers_of_a_stream(served: Served) -> None:
    answer = served.get("text")
    assert (answer.status_code, body(answer)) == (200, text("one") + DONE)
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["x-accel-buffering"] == "no"
    assert "access-control-allow-origin" not in answer.headers
    assert "content-length" not in answer.headers
    assert served.outcome() == "completed"


def test_own_frames_pass(served: Served) -> None:
    frames = b"id: 7\nevent: tick\ndata: a\ndata: b\n\ndata: plain\n\ndata: ready\n\n"
    assert body(served.get("own")) == frames


def test_head_gets_headers_and_does_not_run_the_source(served: Served) -> None:
    if served.face.package == "litestar":
        pytest.skip("Litestar routes HEAD only where it is asked to")
    answer = httpx.head(f"{served.server.url}/fault", timeout=SECONDS)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "text/event-stream"


def test_an_error_before_the_first_event_has_its_status(served: Served) -> None:
    answer = served.get("early")
    assert (answer.status_code, answer.content) == (503, BUSY)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["retry-after"] == "3"
    assert "x-accel-buffering" not in answer.headers
    assert served.outcome() == "failed"


def test_a_fault_before_the_first_event_tells_nothing(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    answer = served.get("fault")
    assert answer.status_code == 500
    assert "sk-123" not in answer.text
    assert "sk-123" in caplog.text


def test_the_framework_answers_its_own_exceptions(served: Served) -> None:
    answer = served.get("refused")
    assert answer.status_code == 404
    assert served.outcome() == "failed"


def test_an_error_after_the_first_event_ends_the_stream(served: Served) -> None:
    answer = served.get("late")
    assert (answer.status_code, body(answer)) == (200, text("one") + LOST)
    assert served.outcome() == "failed"


def test_a_silent_source_has_heartbeats(served: Served) -> None:
    if served.face.is_wsgi and not (served.face.is_async or served.face.helper_thread):
        pytest.skip("a blocking source in the server's own thread has none")
    client = served.ask("beats")
    client.until(b": keep-alive\n\n")
    client.until(b": keep-alive\n\n: keep-alive\n\n")
    client.vanish()
    served.views.go_on.set()
    assert served.outcome() == "client_gone"


def test_events_come_when_they_are_yielded_and_a_lost_client_closes_the_source(
    served: Served,
) -> None:
    client = served.ask("steps")
    client.until(b'"one"')
    assert b"two" not in client.body
    served.views.go_on.set()
    client.until(b'"two"')
    client.vanish()
    assert served.outcome() == "client_gone"
    until(lambda: served.server.tasks() == 0)


def test_an_answer_may_go_on_without_its_client(served: Served) -> None:
    if served.face.is_wsgi and not (served.face.is_async or served.face.helper_thread):
        pytest.skip("nothing outlives a request in the server's own thread")
    client = served.ask("goes")
    client.until(b'"one"')
    client.vanish()
    served.views.go_on.set()
    assert served.outcome() in ("client_gone", "completed")  # whichever a WSGI server sees first
    assert served.views.outcomes[0].events == 2


def test_cors_may_be_the_streams_own_and_echo_an_origin(served: Served) -> None:
    origin = {"Origin": "https://b.example"}
    answer = httpx.get(f"{served.server.url}/cors", headers=origin, timeout=SECONDS)
    assert answer.headers["access-control-allow-origin"] == "https://b.example"
    assert "Origin" in answer.headers["vary"]


def test_a_drain_ends_a_stream_whole(served: Served) -> None:
    client = served.ask("steps")
    client.until(b'"one"')
    drain = served.drain()
    served.views.go_on.set()
    assert DONE not in client.rest()  # fails on a body that was cut
    assert served.outcome() == "drained"
    assert served.get("text").status_code == 503
    drain.cancel()
    client.close()
