"""`protocol_handler`: a provider as an ASGI app that answers a vendor's clients."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any, Unpack

from ..dialects import AnyDialect
from ..http.protocol_handler import ProtocolPolicy
from ..writing.options import SSEOptions
from .handler import ProtocolHandler, ProtocolHandlerSettings

if TYPE_CHECKING:
    from ..http.resumption import Authorize
    from ..replay import EventLog

_NOT_GIVEN: Any = object()


@cache
def kept_handler_class() -> Any:
    """Return the class of handlers with a log; it is imported when it is first used."""
    from .kept_protocol import KeptProtocolHandler

    return KeptProtocolHandler


def protocol_handler(
    provider: Any,
    dialect: AnyDialect,
    *,
    options: SSEOptions | None = None,
    models: Iterable[str] | None = None,
    log: EventLog | None = None,
    authorize: Authorize | None = _NOT_GIVEN,
    **settings: Unpack[ProtocolHandlerSettings],
) -> ProtocolHandler:
    """Make an ASGI app that answers a vendor's clients: an endpoint of their protocol.

    The body of a POST is read as the protocol's request, and becomes the `ChatRequest` that the
    provider gets. Its answer is streamed, or sent whole, as the request asks. A wrong field is
    answered with 400 and its path; errors have the vendor's shape.

    Tool results, approvals and reasoning that a client sends back are marked `"from_client": True`,
    since it could have made them up.

    Args:
        provider: has `stream_text(request)`, see sse_handler.
        dialect: "openai_chat", "openai_responses", "anthropic", "ai_sdk", "ag_ui", or a Dialect
            that has requests, such as `dialects.ai_sdk(version=5)`.
        options: SSEOptions.
        models: names that a GET of a path that ends in `/models` lists.
        log: keeps the streams of chats, for "ai_sdk" only. A source then goes on without its
            client, a GET of `…/ID/stream` follows the stream of a chat that runs, and a DELETE of
            it ends it.
        authorize: required with a log: called with the request (gaistream.http.IncomingRequest)
            and the chat's id, sync or async, before the provider is asked. Unless it returns True
            the answer is 404. None: everybody may.
        settings: headers, cors, send_timeout, cleanup_timeout, source_timeout, hold_headers,
            on_close, on_disconnect, continue_seconds, continue_bytes, collect, media_type,
            incremental: see SSEResponse.

    Raises:
        FrameError: `dialect` is unknown, or has no requests.
    """
    policy = ProtocolPolicy(provider, dialect, options, models, settings, ProtocolHandlerSettings)
    if log is None:
        return ProtocolHandler(policy)
    if authorize is _NOT_GIVEN:
        raise TypeError("protocol_handler() with a log needs authorize: None lets everybody read")
    made: ProtocolHandler = kept_handler_class()(policy, log, authorize)
    return made
