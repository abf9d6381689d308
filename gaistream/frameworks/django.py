"""Our responses as Django responses, async or sync by the server that Django runs under.

Under ASGI a response of gaistream.asgi is served, under WSGI one of gaistream.wsgi, whatever the
view and the source are. Django renders it when the view has returned, which starts the source: an
error before the first event gets its status, and Http404 or PermissionDenied the project's page.
A middleware that compresses the stream, or has Django read it whole, is logged as a warning.
"""

from __future__ import annotations

from functools import partial
from itertools import chain
from typing import Any, Unpack

from .. import asgi, wsgi
from ..chat import Source
from ..errors import FrameTypeError
from ..writing.options import NDJSONOptions, SSEOptions
from . import _faces

with _faces.needs("Django"):
    from django.core import exceptions
    from django.core.handlers.asgi import ASGIRequest
    from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse

__all__ = ["NDJSONResponse", "SSEResponse"]

_APPLICATION = _faces.FrameworkApplication(
    Http404, exceptions.PermissionDenied, exceptions.BadRequest, exceptions.SuspiciousOperation
)


class SSEResponse(StreamingHttpResponse):
    """Server-Sent Events for a source.

    Args:
        request: the request of Django, Django REST framework or Ninja.
        source: an async or sync iterable of events.
        options: SSEOptions; None: the defaults.
        settings: the keywords of gaistream.asgi.SSEResponse under ASGI, of gaistream.wsgi's under
            WSGI; `cors` is None, so that the project's own policy stands.

    Raises:
        FrameError, EventError, TypeError: as these two.
    """

    _name = "SSEResponse"

    def __init__(
        self,
        request: HttpRequest,
        source: Source,
        options: SSEOptions | NDJSONOptions | None = None,
        **settings: Unpack[_faces.Settings],
    ) -> None:
        request = getattr(request, "_request", request)  # of Django REST framework
        if not isinstance(request, HttpRequest):
            raise FrameTypeError(f"request must be the view's, not {type(request).__name__}")
        self.is_asgi = is_asgi = isinstance(request, ASGIRequest)
        app_type: Any = getattr(asgi if is_asgi else wsgi, self._name)
        app = app_type(source, options, **_faces.no_cors(settings))
        self._own: dict[str, str] = app.stream_headers.for_origin(None)
        self._pulled = _faces.PulledApp(app, request.scope, _APPLICATION) if is_asgi else None
        self._call = partial(_faces.call_wsgi, app, request.META, _APPLICATION)
        lazily = chain.from_iterable(self._call()[1] for _ in (0,))  # where nothing renders it
        status = int(settings.get("status", 200))
        super().__init__(self._pulled or lazily, status=status, headers=self._own)
        self._callbacks: list[Any] = []
        self.render = self._arender if is_asgi else self._render
        self.context_data: dict[str, Any] = {}  # as middleware expects of what is rendered

    def add_post_render_callback(self, callback: Any) -> None:
        """Call `callback(response)` once the head is known, as decorators of views want."""
        self._callbacks.append(callback)

    def _render(self) -> Any:
        head, body = self._call()
        if not head.is_whole:
            self.streaming_content = body
        return self._rendered(head, b"".join(body) if head.is_whole else None)

    async def _arender(self) -> Any:
        assert self._pulled is not None
        head = await self._pulled.open()
        return self._rendered(
            head, b"".join([each async for each in self._pulled]) if head.is_whole else None
        )

    def _rendered(self, head: _faces.Head, whole: bytes | None) -> Any:
        head.put_on(self, self._own)
        response: Any = self
        if whole is not None:
            response = HttpResponse(whole, status=self.status_code, headers=dict(self.headers))
            response.cookies = self.cookies
        for callback in self._callbacks:
            response = callback(response) or response
        return response

    def __iter__(self) -> Any:
        _faces.warn_of_middleware(self, self._own)
        return super().__iter__()

    def __aiter__(self) -> Any:
        _faces.warn_of_middleware(self, self._own)
        return self._pulled if self._iterator is self._pulled else super().__aiter__()

    def close(self) -> None:
        """End the stream, from any thread."""
        super().close()
        if self._pulled is not None:
            self._pulled.disconnect_soon()


class NDJSONResponse(SSEResponse):
    """Lines of JSON for a source; everything else as SSEResponse, with NDJSONOptions."""

    _name = "NDJSONResponse"
