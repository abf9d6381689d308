"""The claims of the handbook's troubleshooting page about other people's software, run."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from real_servers import SECONDS, Client, serve_uvicorn, until

import gaistream
from gaistream import SSEOptions, http
from gaistream.wsgi import SSEResponse


def compressed(types: list[str] | None, headers: dict[str, str]) -> tuple[Any, list[str]]:
    """Return a response of a Flask app under Flask-Compress, and what its source has yielded."""
    flask = pytest.importorskip("flask", reason="flask is not installed")
    compress = pytest.importorskip("flask_compress", reason="flask-compress is not installed")
    app = flask.Flask(__name__)
    if types is not None:
        app.config["COMPRESS_MIMETYPES"] = types
    compress.Compress(app)
    yielded: list[str] = []

    def answer() -> Iterator[str]:
        for word in ("one", "two", "three"):
            yielded.append(word)
            yield word

    @app.get("/chat")
    def chat() -> Any:
        return flask.Response(gaistream.sse(answer()), headers=http.headers("sse") | headers)

    accept = {"Accept-Encoding": "gzip, deflate, br, zstd"}
    return app.test_client().get("/chat", headers=accept, buffered=False), yielded


@pytest.mark.parametrize(
    ("types", "headers"),
    [(None, {}), (["text/event-stream"], {"Content-Encoding": "identity"})],
    ids=["by default", "identity"],
)
def test_flask_compress_leaves_a_stream_alone(types: Any, headers: dict[str, str]) -> None:
    response, yielded = compressed(types, headers)
    with response:
        assert response.headers.get("Content-Encoding") == headers.get("Content-Encoding")
        assert b'"one"' in next(response.iter_encoded())
        assert yielded == ["one"]


def test_flask_compress_holds_a_stream_whose_type_is_listed() -> None:
    response, yielded = compressed(["text/event-stream"], {})
    with response:
        assert response.headers["Content-Encoding"] in ("br", "zstd")
        for chunk in response.iter_encoded():
            if len(chunk) > 20:  # the first bytes may be the format's own header
                break
        assert yielded == ["one", "two", "three"]


def test_behind_a2wsgi_a_source_never_hears_that_its_client_has_gone() -> None:
    a2wsgi = pytest.importorskip("a2wsgi", reason="a2wsgi is not installed")
    taken, enough, closed = [0], threading.Event(), threading.Event()

    def answer() -> Iterator[str]:
        try:
            while not enough.is_set():
                taken[0] += 1
                yield "word"
                time.sleep(0.002)
        finally:
            closed.set()

    def app(environ: Any, start_response: Any) -> Any:
        return SSEResponse(answer(), SSEOptions())(environ, start_response)

    with serve_uvicorn(a2wsgi.WSGIMiddleware(app), "h11", "asyncio") as server:
        client = Client(server.address).ask("/")
        client.head()
        client.until(b"word")
        client.vanish()
        until_then = taken[0]
        until(lambda: taken[0] > until_then + 100)
        assert not closed.is_set()
        enough.set()
        assert closed.wait(SECONDS)


def test_in_the_default_protocol_every_event_has_a_name() -> None:
    body = b"".join(gaistream.sse(["Hello", gaistream.events.Finish()]))
    names = [event.event for event in gaistream.SSEDecoder().feed(body)]
    assert names == ["text_delta", "finish", "done"]
