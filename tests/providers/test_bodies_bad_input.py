"""Bodies of requests in which any value has a wrong type: a body, or a refusal with a path."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from provider_bodies import ROUND_TRIPS, body_of
from vendor_requests import READERS, read

from gaistream.chat import ChatRequest, Fields
from gaistream.errors import InvalidRequest

WRONG = (None, 5, True, "x", [], {}, [5], ["x"], [{}], {"type": "x"})


def places(value: Any, *path: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value in a JSON value."""
    if path:
        yield path
    if isinstance(value, dict):
        for name, each in value.items():
            yield from places(each, *path, name)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from places(each, *path, index)


def changed(value: Any, path: tuple[Any, ...], wrong: Any) -> Any:
    value = copy.deepcopy(value)
    inner = value
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = wrong
    return value


SERVICES = [(service, own_host) for service in ROUND_TRIPS for own_host in (False, True)]


@pytest.mark.parametrize(("service", "own_host"), [*SERVICES, ("gemini", False), ("ollama", False)])
@pytest.mark.parametrize("name", [*ROUND_TRIPS, "conversation"])
def test_a_wrong_value_anywhere_is_sent_or_refused(name: str, service: str, own_host: bool) -> None:
    if name == "conversation":
        request = read("anthropic")
    else:
        request = READERS[name][0](Fields(ROUND_TRIPS[name]))
    whole = {"messages": list(request.messages), "extra": dict(request.extra)}
    for path in places(whole):
        if len(path) < 3 and path[0] == "messages":
            continue  # a message that is no object, which ChatRequest's type excludes
        if path == ("extra",):
            continue
        for wrong in WRONG:
            parts = changed(whole, path, wrong)
            asked = ChatRequest(parts["messages"], extra=parts["extra"])
            try:
                json.dumps(body_of(service, asked, own_host=own_host))
            except InvalidRequest as error:
                assert error.field  # noqa: PT017
            except Exception as error:
                raise AssertionError((path, wrong)) from error
