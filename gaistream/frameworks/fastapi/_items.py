"""The items of an endpoint as JSON, as FastAPI writes them.

If the endpoint yields and declares the type of its items, pydantic's serializer of that type writes
them, with the route's `response_model_*` options: fields that the type lacks are left out. Models,
dicts, lists and scalars are not validated. Any other object, such as a row of an ORM, becomes the
declared type by its attributes first, as in FastAPI; one that cannot is written as it is. Of other
endpoints a model is dumped by its own class, with aliases, and any other object goes through
FastAPI's `jsonable_encoder`. What pydantic cannot write, gaistream's own JSON tries.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from fastapi.dependencies.utils import get_stream_item_type, get_typed_return_annotation
from fastapi.encoders import jsonable_encoder
from fastapi.routing import APIRoute
from fastapi.sse import ServerSentEvent
from pydantic import BaseModel, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from ... import core
from ...dialects.base import DialectWriter
from ...dialects.json import PayloadDialect, PayloadNDJSON, PayloadSSE

ToPlain: TypeAlias = Callable[[Any], Any]

_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_STR: Final = frozenset({str})
_DEEPEST: Final = 48  # containers that are looked into; the core's own JSON judges deeper ones
_USUAL: Final = _SCALARS | {dict, list}  # neither events nor models
_EMPTY: Final = core.ServerSentEvent()
_EVENTS: Final = (ServerSentEvent, core.ServerSentEvent)


@dataclass(frozen=True)
class Endpoint:
    """How an endpoint makes its items.

    Attributes:
        yields: it is a generator function, sync or async.
        item_type: the declared type of the items it yields, if they are JSON; else None.
        adapter: pydantic's, of that type; None if there is no type or pydantic knows no schema.
    """

    yields: bool
    item_type: Any = None
    adapter: TypeAdapter[Any] | None = None


def inspected(endpoint: Any) -> Endpoint:
    """Return how an endpoint makes its items."""
    return _remembered(endpoint) if isinstance(endpoint, Hashable) else _inspect(endpoint)


def _inspect(endpoint: Any) -> Endpoint:
    if not _yields(endpoint):
        return Endpoint(False)
    item_type = get_stream_item_type(get_typed_return_annotation(endpoint))
    is_event = inspect.isclass(item_type) and issubclass(item_type, _EVENTS)
    if item_type is None or is_event:
        return Endpoint(True)
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(item_type)
    except PydanticUserError:  # no schema of such a type
        return Endpoint(True)
    return Endpoint(True, item_type, adapter)


_remembered: Final = functools.lru_cache(512)(_inspect)


def _yields(endpoint: Any) -> bool:
    while isinstance(endpoint, functools.partial):
        endpoint = endpoint.func
    function = inspect.unwrap(endpoint)
    if not inspect.isroutine(function):
        function = type(function).__call__
    return inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function)


def to_plain_for(route: object, undeclared: ToPlain) -> ToPlain:
    """Return the function that converts the items of a route's endpoint to JSON types.

    Args:
        route: the route of the request.
        undeclared: the function for items whose type was not declared.
    """
    adapter = inspected(route.endpoint).adapter if isinstance(route, APIRoute) else None
    if adapter is None:
        return undeclared
    assert isinstance(route, APIRoute)
    dump = functools.partial(
        adapter.serializer.to_python,
        mode="json",
        include=route.response_model_include,
        exclude=route.response_model_exclude,
        by_alias=route.response_model_by_alias,
        exclude_unset=route.response_model_exclude_unset,
        exclude_defaults=route.response_model_exclude_defaults,
        exclude_none=route.response_model_exclude_none,
        warnings=False,  # about an item of another type: it is written as what it is
    )

    def by_type(item: Any) -> Any:
        try:
            if _has_attributes(item):  # of which the serializer would see no property and no slot
                item = adapter.validate_python(item, from_attributes=True)
            return dump(item)
        except (PydanticSerializationError, ValidationError):
            return undeclared(item)

    return by_type


def _has_attributes(item: Any) -> bool:
    """Return True for an object that is no model, or a list with one."""
    if type(item) is list:
        return any(map(_has_attributes, item))
    return type(item) not in _USUAL and not isinstance(item, BaseModel)


def model_to_plain(item: Any) -> Any:
    """Convert a model to JSON types, with aliases; leave anything else to the `default` option."""
    return item.model_dump(mode="json", by_alias=True) if isinstance(item, BaseModel) else item


def to_plain(item: Any) -> Any:
    """Convert an item whose type was not declared to JSON types, as FastAPI does."""
    if _is_plain(item, _DEEPEST):
        return item
    if isinstance(item, BaseModel):
        return model_to_plain(item)
    try:
        return to_jsonable_python(jsonable_encoder(item), by_alias=True)
    except (TypeError, ValueError):
        return item  # the core writes it, or says where in it the fault is


def _is_plain(value: Any, levels: int) -> bool:
    """Return True if a value has no types but JSON's, so that it needs no conversion."""
    kind = type(value)
    if kind in _SCALARS or levels == 0:
        return True
    if kind is dict:
        if not _STR.issuperset(map(type, value)):
            return False
        value = value.values()
    elif kind is not list:
        return False
    if _SCALARS.issuperset(map(type, value)):
        return True
    return all(_is_plain(each, levels - 1) for each in value)


class Items(PayloadDialect):
    """The dialect "json" for the items of one response. All are equal, for the cache of headers.

    Args:
        passes_bytes: bytes are ready frames; False: they are JSON, as text.
        has_default: the option `default` is set, and converts what JSON does not know.

    Attributes:
        to_plain: converts an item that is no event to JSON types.
    """

    def __init__(self, *, passes_bytes: bool, has_default: bool) -> None:
        self._undeclared: ToPlain = model_to_plain if has_default else to_plain
        self.to_plain: ToPlain = self._undeclared
        self._passed: tuple[type, ...] = (
            (core.ServerSentEvent, bytes) if passes_bytes else (core.ServerSentEvent,)
        )

    def __eq__(self, other: object) -> bool:
        return type(other) is Items

    def __hash__(self) -> int:
        return hash(Items)

    def writer(self, format: str, *, retry: int | None = None, **_: Any) -> DialectWriter:
        return _SSEItems(self, retry) if format == "sse" else _NDJSONItems(self)

    def serve(self, route: object) -> None:
        """Convert items as the route of the request wants them."""
        self.to_plain = to_plain_for(route, self._undeclared)

    def converted(self, item: Any) -> Any:
        """Return an item as the dialect "json" takes it."""
        if isinstance(item, self._passed):
            return item
        if isinstance(item, ServerSentEvent):
            return _as_event(item)
        return self.to_plain(item)


def _as_event(event: ServerSentEvent) -> core.ServerSentEvent:
    """Return an event of FastAPI as one of gaistream's. A model in it is dumped by its class."""
    fields: Any = {"id": event.id, "retry": event.retry, "comment": event.comment}
    if event.raw_data is None and event.data is not None:
        data = event.data if isinstance(event.data, BaseModel) else to_plain(event.data)
        return core.ServerSentEvent(event=event.event, json=data, **fields)
    return core.ServerSentEvent(event.raw_data, event.event, **fields)


class _SSEItems(PayloadSSE):
    """Items over SSE; an event without any field is not written."""

    def __init__(self, items: Items, retry: int | None) -> None:
        super().__init__(retry)
        self._items = items

    def write(self, encoder: Any, item: Any) -> None:
        if type(item) in _USUAL:
            encoder.write_frame(json=self._items.to_plain(item))
            return
        item = self._items.converted(item)
        if type(item) is not core.ServerSentEvent:
            super().write(encoder, item)
        elif item != _EMPTY:
            encoder.write_sse_event(item)


class _NDJSONItems(PayloadNDJSON):
    """Items as lines."""

    def __init__(self, items: Items) -> None:
        self._items = items

    def write(self, encoder: Any, item: Any) -> None:
        super().write(encoder, self._items.converted(item))
