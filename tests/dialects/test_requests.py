"""Vendors' requests → ChatRequest: one conversation in each, and what is refused by its path."""

from __future__ import annotations

import json
from typing import Any

import pytest
from vendor_requests import CONVERSATION, READERS, WEATHER, read

from gaistream.chat import Fields
from gaistream.errors import InvalidRequest, StreamError

EACH = pytest.mark.parametrize("name", READERS)


@EACH
def test_a_conversation_is_the_same_request_in_every_protocol(name: str) -> None:
    request = read(name)
    assert request.messages == CONVERSATION
    assert request.model == "m"
    assert request.temperature == 0.5
    assert request.max_tokens == (None if name == "ag_ui" else 9)
    assert request.extra["tools"] == [WEATHER]
    assert "stream" not in request.extra


@EACH
def test_unknown_fields_are_kept_and_null_is_absent(name: str) -> None:
    request = read(name, vendor_option={"a": 1}, temperature=None, top_p=None)
    assert request.extra["vendor_option"] == {"a": 1}
    assert request.temperature is None
    assert "top_p" not in request.extra


@EACH
def test_a_request_is_not_changed(name: str) -> None:
    before = json.dumps(READERS[name][1])
    read(name)
    assert json.dumps(READERS[name][1]) == before


@EACH
@pytest.mark.parametrize("wrong", [None, 1, "x", [], {}, [1], [{}], [[]], [{"role": 1}]])
def test_wrong_messages_are_refused_by_their_path(name: str, wrong: Any) -> None:
    field = "input" if name == "openai_responses" else "messages"
    if (field, wrong) == ("input", "x"):
        assert read(name, input="x").question == "x"
        return
    with pytest.raises(InvalidRequest) as caught:
        read(name, **{field: wrong})
    assert caught.value.field.startswith(field)
    assert str(caught.value).startswith(caught.value.field)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, StreamError)
    assert caught.value.status == 400


def paths(value: Any, path: str = "") -> list[str]:
    """Return the path to each value of a JSON object."""
    if isinstance(value, dict):
        below = [(f"{path}.{key}" if path else key, inner) for key, inner in value.items()]
    elif isinstance(value, list):
        below = [(f"{path}[{index}]", inner) for index, inner in enumerate(value)]
    else:
        below = []
    return [path, *[each for at, inner in below for each in paths(inner, at)]]


def replaced(value: Any, path: str, new: Any) -> Any:
    """Return a copy with another value at the path."""
    copy = json.loads(json.dumps(value))
    steps = [int(step) if step.isdigit() else step for step in
             path.replace("[", ".").replace("]", "").split(".")]  # fmt: skip
    inner = copy
    for step in steps[:-1]:
        inner = inner[step]
    inner[steps[-1]] = new
    return copy


@EACH
def test_a_field_of_any_other_type_is_refused_by_its_path_or_kept(name: str) -> None:
    reader, payload = READERS[name]
    refusals = []
    for path in paths(payload)[1:]:
        for wrong in (None, True, 3, 1e300, "odd", [], [None], {}, {"type": 1}, [{"role": "x"}]):
            try:
                request = reader(Fields(replaced(payload, path, wrong)))
            except InvalidRequest as error:
                refusals.append((error.field, str(error)))
            else:
                assert all(isinstance(each, dict) for each in request.messages)
    assert len(refusals) > 50
    assert all(field and message.startswith(field) for field, message in refusals)


@EACH
def test_a_body_that_is_no_object_is_refused(name: str) -> None:
    for wrong in (None, 1, "x", []):
        with pytest.raises(InvalidRequest, match=r"^the request must be an object, not "):
            READERS[name][0](Fields(wrong))
