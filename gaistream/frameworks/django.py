"""Our responses as Django responses, async or sync by the server that Django runs under.

Under ASGI a response of gaistream.asgi is served, under WSGI one of gaistream.wsgi, whatever the
view and the source are. Django renders it when the view has returned, which starts the source: an
error before the first event gets its status, and Http404 or PermissionDenied the project's page.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, ClassVar, Unpack

try:
    from django.core import exceptions
    from django.core.handlers.asgi import ASGIRequest
    from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
except ImportError as error:
    raise ImportError(
        "gaistream.frameworks.django needs Django: pip install django", name=error.name
    ) from error

from .. import asgi, wsgi
from ..chat import Source
from ..errors import FrameTypeError
from ..writing.options import NDJSONOptions, SSEOptions
from ._faces import (
    FrameworkApplication,
    Head,
    PulledApp,
    Settings,
    call_wsgi,
    no_cors,
    warn_of_middleware,
)

__all__ = ["NDJSONResponse", "SSEResponse"]

_APPLICATION = FrameworkApplication(
    Http404, exceptions.PermissionDenied, exceptions.BadRequest, exceptions.SuspiciousOperation
)


class SSEResponse(StreamingHttpResponse):
    """Server-Sent Events for a source.

    A middleware that compresses the stream, or has Django read it whole, is logged as a warning.

    Args:
        request: the request of Django, Django REST framework or Ninja.
        source: an async or sync iterable of events.
        options: SSEOptions; None: the defaults.
        status: of the response, unless the source fails before its first event.
        headers: more headers; they replace those of the same name.
        settings: those of gaistream.asgi.SSEResponse under ASGI, of gaistream.wsgi.SSEResponse
            under WSGI; `cors` is None, so that the project's own policy stands.

    Raises:
        FrameError: an argument has a value that could not be sent or kept to.
        EventError: `source` is not iterable.
        TypeError: a setting that the response for this server does not have.
    """

    _name: ClassVar[str] = "SSEResponse"

    def __init__(
        self,
        request: HttpRequest,
        source: Source,
        options: SSEOptions | NDJSONOptions | None = None,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **settings: Unpack[Settings],
    ) -> None:
        request = getattr(request, "_request", request)  # of Django REST framework
        if not isinstance(request, HttpRequest):
            raise FrameTypeError(f"request must be the view's, not {type(request).__name__}")
        self.is_asgi = is_asgi = isinstance(request, ASGIRequest)
        app_type: Any = getattr(asgi if is_asgi else wsgi, self._name)
        app = app_type(source, options, status=status, headers=headers, **no_cors(settings))
        self._own: dict[str, str] = app.stream_headers.for_origin(None)
        self._callbacks: list[Any] = []
        self.context_data: dict[str, Any] = {}  # for middleware that expects a template's response
        self._pulled = PulledApp(app, request.scope, _APPLICATION) if is_asgi else None
        self._call = lambda: call_wsgi(app, request.META, _APPLICATION)
        self.render = self._arender if is_asgi else self._render
        super().__init__(self._pulled or self._chunks(), status=int(status), headers=self._own)

    def _chunks(self) -> Iterator[bytes]:
        yield from self._call()[1]  # for tests that call a view without Django's handler

    def _render(self) -> Any:
        head, body = self._call()
        if head.is_whole:
            return self._rendered(head, b"".join(body))
        self.streaming_content = body
        return self._rendered(head, None)

    async def _arender(self) -> Any:
        assert self._pulled is not None
        head = await self._pulled.open()
        whole = b"".join([each async for each in self._pulled]) if head.is_whole else None
        return self._rendered(head, whole)

    def _rendered(self, head: Head, whole: bytes | None) -> Any:
        """Return the response with its head, after the callbacks of decorators such as gzip_page."""
        head.put_on(self, self._own)
        response: Any = self
        if whole is not None:
            response = HttpResponse(whole, status=self.status_code, headers=dict(self.headers))
            response.cookies = self.cookies
        for callback in self._callbacks:
            response = callback(response) or response
        return response

    def add_post_render_callback(self, callback: Any) -> None:
        """Call a function with the response once its head is known; see SimpleTemplateResponse."""
        self._callbacks.append(callback)

    def __iter__(self) -> Iterator[bytes]:
        warn_of_middleware(self, self._own)
        return super().__iter__()

    def __aiter__(self) -> AsyncIterator[bytes]:
        warn_of_middleware(self, self._own)
        untouched = self._pulled is not None and self._iterator is self._pulled
        return self._pulled if untouched else super().__aiter__()

    def close(self) -> None:
        """End the stream, from any thread."""
        super().close()
        if self._pulled is not None:
            self._pulled.disconnect_soon()


class NDJSONResponse(SSEResponse):
    """Lines of JSON for a source; everything else as SSEResponse, with NDJSONOptions."""

    _name = "NDJSONResponse"
