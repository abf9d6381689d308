"""The responses of gaistream.asgi as Quart responses.

A view returns one, also with a status or headers (`return SSEResponse(answer()), 201`). The source
keeps the context of the request. It is started when the view has returned, before the functions of
`after_request`: an error before its first event gets its status, and the handler of `errorhandler`
if the app has one for it. Quart's RESPONSE_TIMEOUT does not end a stream.
"""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

from .. import asgi
from ..chat import Source
from ..writing.options import NDJSONOptions, SSEOptions
from ._faces import ASGISettings, FrameworkApplication, PulledApp, needs, no_cors

with needs("Quart"):
    import quart
    from werkzeug.exceptions import HTTPException

__all__ = ["NDJSONResponse", "SSEResponse"]


class SSEResponse(quart.Response):
    """Server-Sent Events for a source, in the context of a request.

    Args:
        source: an async or sync iterable of events; it may use `quart.request`.
        options: SSEOptions; None: the defaults.
        settings: the keywords of gaistream.asgi.SSEResponse; `cors` is None, so that the app's
            own policy stands.

    Raises:
        FrameError: an argument has a value that could not be sent.
        EventError: `source` is not iterable.
        RuntimeError: there is no request.
    """

    _app_type: ClassVar[type[Any]] = asgi.SSEResponse

    def __init__(
        self,
        source: Source,
        options: SSEOptions | NDJSONOptions | None = None,
        **settings: Unpack[ASGISettings],
    ) -> None:
        self._app = self._app_type(source, options, **no_cors(settings))
        self._own: dict[str, str] = self._app.stream_headers.for_origin(None)
        super().__init__(status=int(settings.get("status", 200)), headers=self._own)
        self.timeout = None
        quart.after_this_request(self._open)

    async def _open(self, response: Any) -> Any:
        """Start the source and take over the head of its answer."""
        if response is not self:  # the view has returned another one
            return response
        app = quart.current_app
        application = FrameworkApplication.of_handlers(app, HTTPException)
        pulled = PulledApp(self._app, quart.request.scope, application)
        try:
            head = await pulled.open()
        except Exception as error:
            return await app.make_response(await app.handle_user_exception(error))
        head.put_on(self, self._own)
        self.response = self.iterable_body_class(pulled)
        return self


class NDJSONResponse(SSEResponse):
    """Lines of JSON for a source; everything else as SSEResponse, with NDJSONOptions."""

    _app_type = asgi.NDJSONResponse
