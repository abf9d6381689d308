"""The responses of gaistream.wsgi as Flask responses.

A view returns one, also with a status or headers (`return SSEResponse(answer()), 201`). The source
runs in the context of the request, until its end. It is started when the view has returned, before
the functions of `after_request`: an error before its first event gets its status, and the handler
of `errorhandler` if the app has one for it. An async source runs in the server's thread too.
"""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

from .. import wsgi
from ..chat import Source
from ..writing.options import NDJSONOptions, SSEOptions
from ._faces import FrameworkApplication, WSGISettings, call_wsgi, needs, no_cors

with needs("Flask"):
    import flask
    from werkzeug.exceptions import HTTPException

__all__ = ["NDJSONResponse", "SSEResponse"]


class SSEResponse(flask.Response):
    """Server-Sent Events for a source, in the context of a request.

    Args:
        source: a sync or async iterable of events; it may use `flask.request`.
        options: SSEOptions; None: the defaults.
        settings: the keywords of gaistream.wsgi.SSEResponse; `cors` is None, so that the app's
            own policy stands.

    Raises:
        FrameError: an argument has a value that could not be sent or kept to.
        EventError: `source` is not iterable.
        RuntimeError: there is no request.
    """

    _app_type: ClassVar[type[Any]] = wsgi.SSEResponse

    def __init__(
        self,
        source: Source,
        options: SSEOptions | NDJSONOptions | None = None,
        **settings: Unpack[WSGISettings],
    ) -> None:
        self._app = self._app_type(source, options, **no_cors(settings))
        self._own: dict[str, str] = self._app.stream_headers.for_origin(None)
        super().__init__(status=int(settings.get("status", 200)), headers=self._own)
        flask.after_this_request(self._open)

    def _open(self, response: Any) -> Any:
        """Start the source and take over the head of its answer."""
        if response is not self:  # the view has returned another one
            return response
        app = flask.current_app
        application = FrameworkApplication.of_handlers(app, HTTPException)
        try:
            head, body = call_wsgi(self._app, flask.request.environ, application)
        except Exception as error:
            return app.make_response(app.handle_user_exception(error))
        head.put_on(self, self._own)
        self.response = body if head.is_whole else flask.stream_with_context(iter(body))
        return self


class NDJSONResponse(SSEResponse):
    """Lines of JSON for a source; everything else as SSEResponse, with NDJSONOptions."""

    _app_type = wsgi.NDJSONResponse
