"""How the handler of a vendor's protocol treats a request, the same on ASGI and WSGI.

A POST is read as the protocol's request, and its answer is streamed, or sent whole, as the request
asks. Errors before the first byte have the vendor's shape and status. Everything else (drain,
failures of the provider, HTTP exceptions of the application) is as in every handler.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ..core import json_bytes
from ..dialects import find_writable
from ..dialects.base import ProtocolRequest
from ..dialects.models import list_models
from ..errors import FrameTypeError, InvalidRequest, StreamError
from ..writing.formats import NDJSON, SSE
from ..writing.options import SSEOptions
from .answer import PlainResponse, error_response
from .handler import HandlerPolicy
from .headers import stream_headers
from .received import is_json
from .request import IncomingRequest
from .whole_answer import WholeAnswer

_NAMES: Final = re.compile(r"[\w-]+(?:, ?[\w-]+){0,99}", re.ASCII)
_ALLOW: Final = {"Allow": "POST, OPTIONS"}
_ALLOW_MODELS: Final = {"Allow": "GET, HEAD, OPTIONS"}


class ProtocolPolicy(HandlerPolicy):
    """How a handler of one protocol treats requests.

    Args:
        provider: has `stream_text(request)`.
        dialect: the name of a protocol, or a Dialect, that has requests.
        options: SSEOptions, or None.
        models: names that `GET …/models` lists, or None.
        settings: of the responses.
        known_settings: a TypedDict of the settings that the interface's responses take.
    """

    def __init__(
        self,
        provider: Any,
        dialect: Any,
        options: SSEOptions | None,
        models: Iterable[str] | None,
        settings: Mapping[str, Any],
        known_settings: type[Any],
    ) -> None:
        self.dialect = find_writable(dialect, SSE.name)
        if not self.dialect.has_requests:
            raise FrameTypeError(f"dialect must be a protocol with requests, not {dialect!r}")
        settings = {**settings, "dialect": self.dialect}
        super().__init__(
            provider, self._read, {SSE.name: options}, "rerun", settings, known_settings
        )
        self.options = {SSE.name: options or SSEOptions()}  # the protocols know no ids
        self._headers_of_whole = stream_headers(
            SSE.name,
            settings.get("cors", "*"),
            self.dialect,
            {**(settings.get("headers") or {}), "Content-Type": "application/json"},
        )
        self._models = None if models is None else tuple(models)

    def _function(self) -> tuple[str, list[str]]:
        return "protocol_handler", ["options", "models"]

    def _check_keywords(self, settings: Mapping[str, Any], known_settings: type[Any]) -> None:
        given = {name: value for name, value in settings.items() if name != "dialect"}
        super()._check_keywords(given, known_settings)

    def decide(
        self, method: str, path: str, headers: Mapping[str, str], draining: StreamError | None
    ) -> str | PlainResponse:
        origin = headers.get("origin")
        lists_models = self._models is not None and path.rstrip("/").endswith("/models")
        allow = _ALLOW_MODELS if lists_models else _ALLOW
        if method == "OPTIONS":
            return PlainResponse(204, allow | self._preflight(headers, origin))
        if method in ("GET", "HEAD"):
            return self._answer_get(path, headers, lists_models).to(method)
        if method != "POST" or lists_models:
            return self._error(_not_allowed(), headers, allow)
        if draining is not None:
            return self._error(draining, headers)
        wrong = _wrong_body(headers)
        if wrong:
            return self._error(StreamError(wrong, code="bad_request", status=415), headers)
        return SSE.name

    def _preflight(self, headers: Mapping[str, str], origin: str | None) -> dict[str, str]:
        """Allow every header that is asked for: the vendors' clients send a dozen of their own."""
        if self._cors is None:
            return {}
        preflight = self._cors.preflight(origin)
        asked = headers.get("access-control-request-headers", "")
        if _NAMES.fullmatch(asked):
            preflight["Access-Control-Allow-Headers"] = asked
        return preflight

    def _answer_get(
        self, path: str, headers: Mapping[str, str], lists_models: bool
    ) -> PlainResponse:
        if lists_models:
            assert self._models is not None
            models = list_models(self._models, anthropic="anthropic-version" in headers)
            body = json_bytes(models, errors="replace")
            own = {"Content-Type": "application/json", "Content-Length": str(len(body))}
            own |= self._cors_headers(headers.get("origin"))
            return PlainResponse(200, own, body)
        suffix = self.dialect.resume_suffix
        if suffix and path.rstrip("/").endswith(suffix):  # streams are not kept
            own = self._cors_headers(headers.get("origin"))
            return PlainResponse(204, {"Cache-Control": "no-store", **own})
        return self._error(_not_allowed(), headers, _ALLOW)

    def _error(
        self, error: StreamError, headers: Mapping[str, str], extra: Mapping[str, str] | None = None
    ) -> PlainResponse:
        more = {**(extra or {}), **self._cors_headers(headers.get("origin"))}
        return error_response(error, raised_by="prepare_request", extra=more, dialect=self.dialect)

    async def _read(self, request: IncomingRequest) -> ProtocolRequest:
        """Read the body as the protocol's request."""
        try:
            payload = await request.json()
        except ValueError as error:
            raise InvalidRequest(f"the body must be JSON: {error}") from None
        return self.dialect.read_request(payload)

    def _chat_request(self, prepared: ProtocolRequest) -> Any:
        return prepared.request

    def _answer_without_provider(self, *_: Any) -> None:
        return None

    def respond(
        self, responses: Mapping[str, Any], format: str, source: Any, prepared: Any, **more: Any
    ) -> Any:
        """Return the response that streams a provider's source, or sends the answer whole.

        Args:
            responses: of the interface, by their formats.
            format: of the stream.
            source: of the provider.
            prepared: the ProtocolRequest, or None.
            more: settings that only this interface has.
        """
        if prepared is None or prepared.stream:
            dialect = self.dialect if prepared is None else prepared.dialect
            settings = {**self.settings, **more, "dialect": dialect}
            response = responses[format](source, self.options[format], **settings)
            response.stream_headers = self.stream_headers[format]
        else:
            settings = {**self._settings_of_whole(prepared), **more}
            response = responses[NDJSON.name](source, **settings)
            response.stream_headers = self._headers_of_whole
        response.raised_by = "provider"
        return response

    def _settings_of_whole(self, prepared: ProtocolRequest) -> dict[str, Any]:
        """Return the settings of a response whose one item is the whole answer."""
        answer = WholeAnswer(prepared.dialect, self.options[SSE.name])
        settings = {**self.settings, "dialect": "raw", "hold_headers": True, "collect": False}
        on_close = settings.get("on_close")
        continues = settings.get("on_disconnect") == "continue"
        if on_close is not None and self.settings.get("collect") and not continues:
            settings["on_close"] = answer.report_to(on_close)
        return {**settings, "_whole": answer}


def _not_allowed() -> StreamError:
    return StreamError("method not allowed", code="method_not_allowed", status=405)


def _wrong_body(headers: Mapping[str, str]) -> str:
    """Return why a body is not read, "" if it is.

    A page of another site can post a body without a content type, and no preflight asks before it
    does. So a browser, which sends `Origin`, must say that the body is JSON.
    """
    media_type = headers.get("content-type", "")
    if not media_type and "origin" in headers:
        return "the content type must be application/json, and is missing"
    if media_type and not is_json(media_type):
        return f"the content type must be application/json, not {media_type[:80]}"
    coding = headers.get("content-encoding", "")
    if coding.strip().lower() not in ("", "identity"):
        return f"the body must not be compressed, it is {coding[:80]}"
    return ""
