"""Bodies of requests by the types of the vendors' SDKs: every field must be known and right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter
from required import need_package


@cache
def _adapter(protocol: str) -> TypeAdapter[Any]:
    if protocol == "openai_chat":
        from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming

        return TypeAdapter(CompletionCreateParamsStreaming)
    if protocol == "openai_responses":
        from openai.types.responses.response_create_params import ResponseCreateParamsStreaming

        return TypeAdapter(ResponseCreateParamsStreaming)
    from anthropic.types.message_create_params import MessageCreateParamsStreaming

    return TypeAdapter(MessageCreateParamsStreaming)


def check_body(protocol: str, body: dict[str, Any], *gone: str) -> None:
    """Raise unless the vendor's type has every field of a body, with its value.

    Args:
        protocol: the dialect's name.
        body: of a request.
        gone: names that the API takes, but the type does not have any more.
    """
    need_package(protocol.partition("_")[0], "clients")
    checked = {name: value for name, value in body.items() if name not in gone}
    assert _read(_adapter(protocol).validate_python(checked)) == checked


def _read(value: Any) -> Any:
    """Return a value whose iterables, which pydantic validates lazily, are lists."""
    if isinstance(value, Mapping):
        return {name: _read(each) for name, each in value.items()}
    if isinstance(value, str) or not isinstance(value, Iterable):
        return value
    return [_read(each) for each in value]
