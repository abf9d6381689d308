"""How a stream ended, and the line of the log for its source's exception."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from .._log import log
from ..errors import EncodeError, GaistreamError, StreamError, is_http_error
from ..loops.sources import source_name

if TYPE_CHECKING:
    from ..message import Message

OutcomeKind = Literal["completed", "failed", "client_gone", "stalled", "cancelled", "drained"]

Route = tuple[str, str, Any]  # the method and path of a request, and its endpoint or None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a stream ended, for `on_close`.

    Attributes:
        kind: "completed", "failed" (the source raised, or ended with an Error), "client_gone",
            "stalled" (a send took longer than send_timeout), "cancelled" (by the server) or
            "drained" (by `gaistream.drain`).
        events: the number of items that the source yielded, also after the client has left.
        bytes: the number of bytes that were handed to the server.
        seconds: from start to end.
        error: the exception that the source raised, or the StreamError of a limit that ended it, or
            None.
        source_closed: False if the source had not ended `cleanup_timeout` seconds after it was
            cancelled, and was cancelled again or left behind; if it still blocks its thread; or if
            the wait for its clean-up was cancelled.
        message: the `gaistream.Message` of the answer, if the response has `collect=True` or
            `on_disconnect="continue"` (and a dialect of events), else None. If the answer is not
            whole, `message.error` says why. The repr of an outcome leaves it out, for the log.
    """

    kind: OutcomeKind
    events: int
    bytes: int
    seconds: float
    error: BaseException | None = None
    source_closed: bool = True
    message: Message | None = field(default=None, repr=False)


def silence(source: Any, seconds: float) -> StreamError:
    """Return, and log, the error of a source that has been silent for too long."""
    message = f"the source was silent for {seconds:g} seconds"
    log.warning("a stream ends: %s (%s)", message, source_name(source))
    return StreamError(message, code="timeout", status=504)


def log_failure(failure: BaseException, name: str, route: Route | None) -> None:
    """Log a source's exception, and a remedy, unless its text is for the client.

    Args:
        failure: the exception.
        name: of the source.
        route: of the request.
    """
    if isinstance(failure, StreamError):
        return
    place = "" if route is None else _place(*route)
    log.error("%s failed%s%s", name, place, _remedy(failure), exc_info=failure)


def _place(method: str, path: str, endpoint: Any) -> str:
    function: Any = inspect.unwrap(endpoint) if callable(endpoint) else None
    code = getattr(function, "__code__", None)
    place = f" in {method} {path!r:.200}"
    if code is None:
        return place
    return f"{place}, endpoint {function.__qualname__} ({code.co_filename}:{code.co_firstlineno})"


def _remedy(failure: BaseException) -> str:
    if isinstance(failure, EncodeError) and str(failure).startswith("cannot encode"):
        hook = "`default` in SSEOptions and NDJSONOptions returns what stands for such a value"
        return f": {failure}; {hook}"
    if isinstance(failure, GaistreamError):
        return f": {failure}"
    if isinstance(failure, RuntimeError) and "different task" in str(failure):
        return ": enter and leave cancel scopes and task groups in the source itself"
    if is_http_error(failure):
        return (
            ": the headers had been sent; with hold_headers=True they wait for the first event, "
            "and later errors for the client are gaistream.StreamError"
        )
    return ""
