"""What the faces share: responses of gaistream.asgi and gaistream.wsgi for frameworks that pull.

Flask, Quart and Django send a response of their own: they ask it for a status, headers and chunks.
`call_wsgi` and `PulledApp` run a response of ours for them, so that a face holds no logic of its
own. It is run as soon as the view has returned, so that an error before the first byte still gets
its status.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from .._log import log
from ..http.answer import APPLICATION_KEY, Application
from ..http.settings import ResponseSettings
from ..loops import event_loop
from ..loops.protocols import Future, Task


@contextmanager
def needs(framework: str) -> Iterator[None]:
    """Import a framework in this block; an ImportError says how to install it."""
    try:
        yield
    except ImportError as error:
        name = framework.lower()
        raise ImportError(
            f"gaistream.frameworks.{name} needs {framework}: pip install 'gaistream[{name}]'",
            name=error.name,
        ) from error


class ASGISettings(ResponseSettings, total=False):
    """The keywords of a response of gaistream.asgi."""

    status: int
    send_timeout: float | None


class WSGISettings(ResponseSettings, total=False):
    """The keywords of a response of gaistream.wsgi."""

    status: int
    helper_thread: bool


class Settings(ASGISettings, total=False):
    """The keywords of either; the response refuses what its server cannot do."""

    helper_thread: bool


_Settings = TypeVar("_Settings", ASGISettings, WSGISettings, Settings)


def no_cors(settings: _Settings) -> _Settings:
    """Leave CORS to the framework, unless the settings say otherwise."""
    settings.setdefault("cors", None)
    return settings


class FrameworkApplication(Application):
    """A framework that answers some exceptions of a source itself.

    Args:
        kinds: the classes of these exceptions.
        faults: True if it has a handler in place of a plain 500.
    """

    def __init__(self, *kinds: type[BaseException], faults: bool = False) -> None:
        self._kinds = kinds
        self._faults = faults

    @classmethod
    def of_handlers(cls, app: Any, *kinds: type[BaseException]) -> FrameworkApplication:
        """Return the application of Flask or Quart, with the handlers that are registered in it."""
        specs: Mapping[Any, Any] = app.error_handler_spec
        handled = [kind for codes in specs.values() for each in codes.values() for kind in each]
        return cls(*kinds, *handled, faults=bool(specs.get(None, {}).get(500)))

    def answers(self, error: BaseException) -> bool:
        """Return True if it answers this very error."""
        return isinstance(error, self._kinds)

    def answers_faults(self) -> bool:
        """Return True if it has a handler in place of a plain 500."""
        return self._faults


class Head(NamedTuple):
    """The status and headers of an answer."""

    status: int
    headers: list[tuple[str, str]]

    @property
    def is_whole(self) -> bool:
        """True if a whole answer, such as an error, was sent in the stream's place."""
        if self.status == 204:
            return True
        return any(name.lower() == "content-length" for name, _ in self.headers)

    def put_on(self, response: Any, own: Mapping[str, str]) -> None:
        """Merge this head into a framework's response.

        Args:
            response: has `status_code` and `headers`, which the view may have changed.
            own: the headers of the stream, which the response was made with.
        """
        if not self.is_whole:  # CORS may depend on the request
            for name, value in self.headers:
                response.headers.setdefault(name, value)
            return
        response.status_code = self.status
        for name in own:
            if name in response.headers:
                del response.headers[name]
        for name, value in self.headers:
            response.headers[name] = value


def warn_of_middleware(response: Any, own: Mapping[str, str]) -> None:
    """Log a warning, once for each kind, if a middleware of Django harms a stream.

    Args:
        response: Django's response, when the server begins to iterate it.
        own: the headers of the stream.
    """
    coding = response.headers.get("Content-Encoding", "identity")
    if coding not in ("identity", own.get("Content-Encoding")):
        _warn_once(
            f"a middleware such as GZipMiddleware compresses streams ({coding}): it may hold events"
            " back, and httpx reads the first chunk only; make the response with "
            'headers={"Content-Encoding": "identity"}'
        )
    if response.is_async != response.is_asgi:
        kind, server = ("a synchronous", "ASGI") if response.is_asgi else ("an async", "WSGI")
        _warn_once(
            f"a middleware replaces the content of streams by {kind} iterator, which Django reads "
            f"whole under {server}: no event arrives before the end; let it pass a streaming "
            "response unchanged"
        )


@lru_cache(maxsize=16)
def _warn_once(message: str) -> None:
    log.warning("%s", message)


def call_wsgi(
    app: Any, environ: Mapping[str, Any], application: Application
) -> tuple[Head, Iterable[bytes]]:
    """Run a response of gaistream.wsgi up to its first chunk; return its head and its body.

    Args:
        app: the response.
        environ: of the request.
        application: the framework; an exception that it answers is raised.
    """
    heads: list[Head] = []

    def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
        heads.append(Head(int(status[:3]), headers))

    body = app({**environ, APPLICATION_KEY: application}, start_response)
    return heads[0], body


class PulledApp(AsyncIterator[bytes]):
    """A response of gaistream.asgi as an async iterator of chunks. Belongs to one event loop.

    The response runs in a task, as under a server. It is a chunk ahead at most; a chunk that is not
    pulled within its `send_timeout` ends the stream.

    Args:
        app: the response.
        scope: of the request.
        application: the framework; an exception that it answers is raised by `open`.
    """

    def __init__(self, app: Any, scope: Mapping[str, Any], application: Application) -> None:
        self._app = app
        self._scope = {**scope, APPLICATION_KEY: application}
        self._task: Task | None = None
        self._head: Head | None = None
        self._chunk: bytes | None = None
        self._failure: Exception | None = None
        self._over = False
        self._puller: Future | None = None  # the puller's, while it waits
        self._sender: Future | None = None  # the response's, while its chunk is not pulled

    async def open(self) -> Head:
        """Start the response, and return its head once there is one."""
        self._loop = event_loop()
        self._gone = self._loop.create_event()
        self._task = self._loop.create_task(self._run(), name="gaistream response")
        try:
            while self._head is None:
                await self._wait()
        except BaseException:
            await self.aclose()
            raise
        return self._head

    async def _wait(self) -> None:
        """Wait for the response to go on; raise what ends it if it is over."""
        if self._over:
            raise self._end()
        self._puller = self._loop.create_future()
        await self._puller

    def _end(self) -> Exception:
        failure, self._failure = self._failure, None
        if failure is None and self._head is None:
            return RuntimeError("the response has ended without an answer")
        return failure or StopAsyncIteration()

    async def __anext__(self) -> bytes:
        """Return the next chunk; raise what the response has raised."""
        if self._task is None:
            await self.open()
        while self._chunk is None:
            await self._wait()
        chunk, self._chunk = self._chunk, None
        _wake(self._sender)
        return chunk

    async def aclose(self) -> None:
        """End the stream as if the client had left, and wait until its source is closed."""
        self.disconnect()
        if self._task is not None:
            await self._loop.ended(self._task)
        failure, self._failure = self._failure, None
        if failure is not None:
            log.error("a stream whose client has left failed", exc_info=failure)

    def disconnect(self) -> None:
        """Report that the client has left."""
        if self._task is not None:
            self._gone.set()
            _wake(self._sender)

    def disconnect_soon(self) -> None:
        """Report from another thread that the client has left."""
        if self._task is not None and not self._over:
            self._loop.call_soon_threadsafe(self.disconnect)

    # ---- the response's side ----

    async def _run(self) -> None:
        try:
            await self._app(self._scope, self._receive, self._send)
        except Exception as error:
            self._failure = error
        finally:
            self._over = True
            _wake(self._puller)

    async def _receive(self) -> Mapping[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            pairs = message["headers"]
            headers = [(k.decode().title(), v.decode("latin-1")) for k, v in pairs]
            self._head = Head(message["status"], headers)
        elif body := message["body"]:
            while self._chunk is not None and not self._gone.is_set():
                self._sender = self._loop.create_future()
                await self._sender
            self._chunk = body
        _wake(self._puller)


def _wake(future: Future | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
