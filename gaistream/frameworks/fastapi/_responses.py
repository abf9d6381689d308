"""The responses, with settings that a class holds: `response_class=SSEResponse.using(…)`.

FastAPI makes the response of an endpoint that yields from its `response_class`, without arguments
of yours. `using()` returns a subclass that has them. Equal settings give the same subclass. None of
the classes derives from FastAPI's own EventSourceResponse, whose endpoints FastAPI serves itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Mapping
from dataclasses import fields, replace
from types import AsyncGeneratorType
from typing import Any, ClassVar, Final, Literal, Self, Unpack
from weakref import WeakValueDictionary

import fastapi.routing
from fastapi.sse import ServerSentEvent
from starlette.background import BackgroundTask
from starlette.types import Receive, Scope, Send

from ...chat import Source
from ...dialects import find_writable
from ...dialects.json import dialect as payload_dialect
from ...http.settings import ResponseSettings
from ...writing.formats import FORMATS
from ...writing.options import NDJSONOptions, SSEOptions, refuse_unknown
from .. import starlette
from ._items import Items

__all__ = ["EventSourceResponse", "NDJSONResponse", "SSEResponse", "ServerSentEvent"]


class _Settings(ResponseSettings, total=False):
    """Settings of both formats: those of a response, and the options that both have."""

    send_timeout: float | None
    heartbeat_interval: float | None
    flush_after_write: bool
    errors: str
    buffer_size: int
    flush_interval: float
    default: Callable[[Any], Any] | None


class SSESettings(_Settings, total=False):
    """What `SSEResponse` and its `using()` take: a response's keywords and the SSEOptions."""

    max_retries: int
    retry_ms: int
    include_id: bool
    heartbeat: Literal["comment", "native"]


class NDJSONSettings(_Settings, total=False):
    """What `NDJSONResponse` and its `using()` take: a response's keywords and NDJSONOptions."""

    compact_json: bool
    include_timestamp: bool


class StreamingBase(starlette._SourceResponse[Any]):
    """The base of the responses: settings of the class, and items as FastAPI writes them."""

    _known: ClassVar[type[Any]]
    _own: ClassVar[Mapping[str, Any]] = {}  # settings of the class, with the options as an object
    _passes_bytes: ClassVar[bool] = True

    def __init__(
        self,
        content: Source,
        options: Any = None,
        *,
        status_code: int = 200,
        background: BackgroundTask | None = None,
        **settings: Any,
    ) -> None:
        settings = self._resolved(options, settings)
        self._items: Items | None = None
        if settings.get("dialect") in _JSON:
            has_default = getattr(settings.get("options"), "default", None) is not None
            self._items = Items(passes_bytes=self._passes_bytes, has_default=has_default)
            settings["dialect"] = self._items
        if self.media_type != FORMATS[self._format].media_type:
            settings.setdefault("media_type", self.media_type)
        content = _endpoints_own(content)
        super().__init__(content, status_code=status_code, background=background, **settings)

    @classmethod
    def _resolved(cls, options: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings of the class with these over them; raise TypeError for an unknown."""
        kind = FORMATS[cls._format].options
        of_options = {field.name for field in fields(kind)}
        known = cls._known.__annotations__
        if unknown := {name: value for name, value in settings.items() if name not in known}:
            of_response = [name for name in known if name not in of_options]
            refuse_unknown(cls.__name__, unknown, of_response, [kind])
        resolved = {**cls._own, **settings}
        if options is not None:
            resolved["options"] = options
        if given := {name: resolved.pop(name) for name in of_options & settings.keys()}:
            base = resolved.get("options")
            resolved["options"] = replace(kind() if base is None else base, **given)
        return resolved

    @classmethod
    def _using(cls, options: Any, settings: Mapping[str, Any]) -> type[Self]:
        """Return the subclass that has these settings, and raise whatever is wrong with them."""
        if "status_code" in settings:
            raise TypeError(
                f"{cls.__name__}.using() takes no status_code: pass it to the path operation,"
                " which documents it too"
            )
        cls((), options, **settings)
        resolved = cls._resolved(options, settings)
        base: type[Self] = vars(cls).get("_made_of", cls)
        key = (base, *sorted((name, _key(value)) for name, value in resolved.items()))
        made: type[Self] | None = _MADE.get(key)
        if made is None:
            attributes = {
                "__module__": base.__module__,
                "__qualname__": base.__qualname__,
                "__doc__": base.__doc__,
                "_made_of": base,
                "_own": resolved,
                "media_type": cls._media_type_of(resolved),
            }
            subclass: Any = type(base.__name__, (base,), attributes)
            made = _MADE.setdefault(key, subclass)
        assert made is not None
        return made

    @classmethod
    def _media_type_of(cls, settings: Mapping[str, Any]) -> str:
        """Return the content type that responses with these settings have."""
        own = find_writable(settings.get("dialect", "gai"), cls._format).media_type
        return str(settings.get("media_type") or own or cls.media_type)

    @classmethod
    def describes(cls, item_type: Any) -> bool:
        """Return True if items of the type are JSON, unless a response says otherwise."""
        is_bytes = isinstance(item_type, type) and issubclass(item_type, bytes)
        is_json = item_type is not None and not (is_bytes and cls._passes_bytes)
        return is_json and cls._own.get("dialect") in _JSON

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; raise RuntimeError for a second one."""
        if self._items is not None:
            self._items.serve(scope.get("route"))
        await super().__call__(scope, receive, send)


def _endpoints_own(content: Source) -> Source:
    """Return the generator of an endpoint that yields, without FastAPI's wrapper around it.

    The wrapper (routing.py) gives the loop a turn after each item, leaves the generator to the
    garbage collector when it is closed at a yield, and would stand in the log in its place. It is
    known by its file, not by a name. One that holds no single source is used as it is.
    """
    if isinstance(content, AsyncGeneratorType) and content.ag_code.co_filename == _WRAPPERS_FILE:
        frame = content.ag_frame
        inside = () if frame is None else frame.f_locals.values()
        held = [each for each in inside if isinstance(each, AsyncIterable) and each is not content]
        if len(held) == 1:
            return held[0]
    return content


_WRAPPERS_FILE: Final = fastapi.routing.get_request_handler.__code__.co_filename
_JSON: Final = ("json", payload_dialect)
# The subclasses that `using` has made and that are still used, by their settings.
_MADE: Final[WeakValueDictionary[Any, Any]] = WeakValueDictionary()


def _key(value: Any) -> Any:
    """Return a hashable that is equal for equal settings, and only for those."""
    if isinstance(value, Mapping):
        return tuple(sorted(value.items()))
    if isinstance(value, SSEOptions | NDJSONOptions):  # equal ones differ in what was set
        given = [getattr(value, field.name) for field in fields(value)]
        return tuple((type(each), each) for each in given)
    if isinstance(value, list | set):
        return tuple(value)
    try:
        hash(value)
    except TypeError:
        return id(value)
    return value


class SSEResponse(StreamingBase):
    """Server-Sent Events for a source, returned by an endpoint or as its `response_class`.

    The keywords are those of gaistream.frameworks.starlette.SSEResponse, and the fields of
    SSEOptions. `using()` takes the same.

    Args:
        content: an async or sync iterable of events; FastAPI passes what the endpoint yields.
        options: SSEOptions; single ones may also be given by their names.
        status_code: the status, unless the source fails before its first event.
        background: runs after the stream, whatever its outcome.
        settings: the other keywords of gaistream.frameworks.starlette.SSEResponse (`dialect`,
            `headers`, `cors`, …); the fields of SSEOptions (`heartbeat_interval`, …).

    Raises:
        TypeError: a keyword that is not known.
        FrameError: an argument that cannot be sent.
        EventError: `content` is not iterable.
    """

    media_type = "text/event-stream"
    _format = "sse"
    _response_type = starlette.SSEResponse._response_type
    _known = SSESettings

    def __init__(
        self,
        content: Source,
        options: SSEOptions | None = None,
        *,
        status_code: int = 200,
        background: BackgroundTask | None = None,
        **settings: Unpack[SSESettings],
    ) -> None:
        super().__init__(
            content, options, status_code=status_code, background=background, **settings
        )

    @classmethod
    def using(
        cls, options: SSEOptions | None = None, **settings: Unpack[SSESettings]
    ) -> type[Self]:
        """Return a subclass with other defaults, for `response_class=`.

        Equal settings return the same class. What is wrong with them is raised here.

        Args:
            options: SSEOptions; single ones may also be given by their names.
            settings: the keywords of the constructor, except `status_code` and `background`.

        Raises:
            TypeError: a keyword that is not known.
            FrameError: a value that cannot be sent.
        """
        return cls._using(options, settings)


class NDJSONResponse(StreamingBase):
    """Lines of JSON for a source: everything as SSEResponse, with NDJSONOptions.

    `media_type="application/jsonl"` sends FastAPI's name of the format.
    """

    media_type = "application/x-ndjson"
    _format = "ndjson"
    _response_type = starlette.NDJSONResponse._response_type
    _known = NDJSONSettings

    def __init__(
        self,
        content: Source,
        options: NDJSONOptions | None = None,
        *,
        status_code: int = 200,
        background: BackgroundTask | None = None,
        **settings: Unpack[NDJSONSettings],
    ) -> None:
        super().__init__(
            content, options, status_code=status_code, background=background, **settings
        )

    @classmethod
    def using(
        cls, options: NDJSONOptions | None = None, **settings: Unpack[NDJSONSettings]
    ) -> type[Self]:
        """Return a subclass with other defaults, for `response_class=`; see SSEResponse.using."""
        return cls._using(options, settings)


class EventSourceResponse(SSEResponse):
    """In the place of `fastapi.sse.EventSourceResponse`: every item is JSON.

    An item is the data of one event; a `ServerSentEvent` of fastapi.sse holds its fields. It is
    SSEResponse with `dialect="json"`, to which bytes are JSON too, as text.
    """

    _own: ClassVar[Mapping[str, Any]] = {"dialect": "json"}
    _passes_bytes = False
