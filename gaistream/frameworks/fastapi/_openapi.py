"""The OpenAPI document of streams: FastAPI describes them as its own.

FastAPI adds the schema of the items (`itemSchema`) to the document only for endpoints that it
streams itself. `document` shows it the routes of gaistream's responses as such endpoints while it
makes the document. The routes that serve requests are not touched.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, cast

import fastapi.sse
from fastapi import FastAPI
from fastapi.datastructures import Default, DefaultPlaceholder
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from fastapi.utils import create_model_field

from ._items import inspected
from ._responses import StreamingBase

_Schema = dict[str, Any]
_NATIVE = {"sse": "text/event-stream", "ndjson": "application/jsonl"}


def document(app: FastAPI) -> None:
    """Add the items of gaistream's streams to the OpenAPI document of an application.

    Endpoints that yield and have one of the responses here as `response_class` are described as
    FastAPI describes those of fastapi.sse: the type that they declare
    (`-> AsyncIterable[Item]`) is the schema of their items, in dialect "json". Routes that are
    added later are described too, those of included routers as well; a mounted application has a
    document of its own and wants its own call.

    If `app.openapi` was replaced, as FastAPI's documentation shows, call this after that.

    Args:
        app: the FastAPI application; its `openapi` is replaced.
    """
    replaced = app.openapi
    if getattr(replaced, "__func__", None) is not FastAPI.openapi:
        openapi = _added_to(replaced, app)
    else:
        openapi = _in_place_of_fastapis(app)
    app.openapi = openapi  # type: ignore[method-assign]


class _Documented:
    """An application as FastAPI's `openapi` sees it, whose streams are FastAPI's own."""

    def __init__(self, app: FastAPI) -> None:
        vars(self).update(app=app, streams=[])

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["app"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(vars(self)["app"], name, value)

    @property
    def routes(self) -> list[RouteContext]:
        """The routes, each as it is to be described."""
        contexts = [_described(each) for each in iter_route_contexts(self.app.routes)]
        vars(self)["streams"] = [each for each in contexts if isinstance(each, _Stream)]
        return contexts


def _in_place_of_fastapis(app: FastAPI) -> Callable[[], _Schema]:
    seen = _Documented(app)
    last: _Schema | None = None

    def openapi() -> _Schema:
        nonlocal last
        schema = FastAPI.openapi(cast(Any, seen))
        if schema is not last:
            _rename_media_types(schema, seen.streams)
            last = schema
        return schema

    return openapi


def _added_to(openapi: Callable[[], _Schema], app: FastAPI) -> Callable[[], _Schema]:
    """Return an `openapi` that puts the streams into the document of another one."""

    last: _Schema | None = None

    def merged() -> _Schema:
        nonlocal last
        schema, seen = openapi(), _Documented(app)
        if schema is last:
            return schema
        last = schema
        ours = get_openapi(
            title=app.title,
            version=app.version,
            routes=seen.routes,
            webhooks=app.webhooks.routes,
            separate_input_output_schemas=app.separate_input_output_schemas,
        )
        _rename_media_types(ours, seen.streams)
        for path, method in _operations(seen.streams):
            described = schema.get("paths", {}).get(path, {}).get(method, {}).get("responses", {})
            for status, response in (
                ours["paths"].get(path, {}).get(method, {}).get("responses", {}).items()
            ):
                if status in described and "content" in response:
                    described[status]["content"] = response["content"]
        known = schema.setdefault("components", {}).setdefault("schemas", {})
        for name, definition in ours.get("components", {}).get("schemas", {}).items():
            known.setdefault(name, definition)
        return schema

    return merged


class _Stream(RouteContext):
    """The route of a stream of gaistream, described as one of FastAPI's own."""

    media_types: tuple[str, str]  # FastAPI's, and that of the response


def _described(context: RouteContext) -> RouteContext:
    """Return a route as it is to be described: a stream of gaistream as one of FastAPI's own."""
    if not isinstance(context.original_route, APIRoute):
        return context
    response: Any = context.response_class
    if isinstance(response, DefaultPlaceholder):
        response = response.value
    if not (inspect.isclass(response) and issubclass(response, StreamingBase)):
        return context
    endpoint = inspected(context.endpoint)
    if not endpoint.yields:
        return context
    is_sse = response._format == "sse"
    field = None
    if response.describes(endpoint.item_type):
        name = f"StreamItem_{context.unique_id}"
        field = create_model_field(name, endpoint.item_type, mode="serialization")
    stream = _Stream(**{each.name: getattr(context, each.name) for each in _FIELDS})
    vars(stream).update(
        response_class=fastapi.sse.EventSourceResponse if is_sse else Default(JSONResponse),
        is_sse_stream=is_sse,
        is_json_stream=not is_sse,
        stream_item_field=field,
        media_types=(_NATIVE[response._format], response.media_type),
    )
    return stream


_FIELDS = dataclasses.fields(RouteContext)


def _operations(streams: list[_Stream]) -> list[tuple[str, str]]:
    return [
        (each.path_format or "", method.lower())
        for each in streams
        for method in each.methods or ()
    ]


def _rename_media_types(schema: _Schema, streams: list[_Stream]) -> None:
    """Name the media type of each response where FastAPI names that of its own."""
    for stream in streams:
        native, own = stream.media_types
        for path, method in _operations([stream]):
            operation = schema["paths"].get(path, {}).get(method, {})
            for response in operation.get("responses", {}).values():
                content = response.get("content", {})
                if own != native and "itemSchema" in content.get(native, {}):
                    content[own] = content.pop(native)
