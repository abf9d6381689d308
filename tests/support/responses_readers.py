"""Readers of OpenAI's Responses protocol: its own client's two functions, for Python and Node.

Readers are described in vendor_readers.py. Each event is checked by OpenAI's types and by those of
Open Responses, and the deltas must say what the response at the end says.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import contextmanager
from functools import cache
from typing import Any

from conversations import Understood
from openai_readers import KEY
from required import need_package

OPENAI_ONLY = ("response.audio.delta", "response.audio.done")  # not of Open Responses
_REASONS = {"max_output_tokens": "length", "content_filter": "content_filter", None: "cancelled"}
_KINDS = {"message": "text", "reasoning": "reasoning", "function_call": "tool"}
_DELTAS = {
    "response.output_text.delta": "text", "response.reasoning_summary_text.delta": "text",
    "response.function_call_arguments.delta": "arguments",
}  # fmt: skip


@cache
def _openai_type() -> Any:
    from openai.types.responses import ResponseStreamEvent
    from pydantic import TypeAdapter

    return TypeAdapter(ResponseStreamEvent)


@cache
def _open_responses_types() -> dict[str, Any]:
    """Return the model of each kind of event of Open Responses, as its own schema has it."""
    need_package("openresponses_types", "clients")
    from openresponses_types import types

    found = {}
    for model in vars(types).values():
        if isinstance(model, type) and model.__name__.endswith("StreamingEvent"):
            for word in model.model_fields["type"].annotation:  # type: ignore[attr-defined]
                found[word.value] = model
    return found


def check_event(event: dict[str, Any]) -> None:
    """Check an event by the types of OpenAI and, if the standard has it, of Open Responses."""
    _openai_type().validate_python(event)
    items = [event["item"]] if "item" in event else event.get("response", {}).get("output", [])
    is_standard = all(item["type"] in (*_KINDS, "function_call_output") for item in items)
    if event["type"] not in OPENAI_ONLY and is_standard:
        _open_responses_types()[event["type"]].model_validate(event)


def of_events(events: Iterable[dict[str, Any]]) -> Understood:
    """Check all events of a stream, and return what its response says."""
    texts: dict[int, str] = {}
    done: dict[int, Any] = {}
    for number, event in enumerate(events):
        check_event(event)
        assert event["sequence_number"] == number
        index = event.get("output_index")
        if event["type"] == "response.output_item.added":
            assert index == len(texts)
            texts[index] = ""
        elif event["type"] == "response.output_item.done":
            assert index not in done
            done[index] = event["item"]
        elif event["type"] in _DELTAS:
            assert event["delta"]
            texts[index] += event["delta"]
    response: dict[str, Any] = event["response"]
    assert response["output"] == [done[index] for index in range(len(texts))]
    for index, item in done.items():
        if item["type"] in _KINDS:
            assert texts[index] == text_of(item)
    return of_response(response)


def text_of(item: dict[str, Any]) -> str:
    if item["type"] == "function_call":
        return str(item["arguments"])
    parts = item["content" if item["type"] == "message" else "summary"]
    return "".join(part["text"] for part in parts)


def of_response(response: dict[str, Any]) -> Understood:
    """Return what stands in a whole response."""
    said = Understood(response["id"], response["model"])
    answered = set()
    for item in response["output"]:
        kind = item["type"]
        if _KINDS.get(kind) not in (None, *said.order[-1:]):
            said.order.append(_KINDS[kind])
        if kind == "message":
            said.text += text_of(item)
            for each in item["content"][0]["annotations"]:
                place = each["start_index"], each["end_index"]
                said.citations.append((each["url"], *place, each["title"]))
        elif kind == "reasoning":
            said.reasoning += text_of(item)
            said.signatures += [item["encrypted_content"]] if item.get("encrypted_content") else []
        elif kind == "function_call":
            said.calls.append((item["call_id"], item["name"], json.loads(item["arguments"])))
        else:
            answered.add(item["call_id"])
            said.results.append((item["call_id"], item["output"], False))
    said.usage = _counts(response["usage"])
    if response["status"] == "incomplete":
        said.finish_reason = _REASONS[(response["incomplete_details"] or {}).get("reason")]
    else:
        assert response["status"] == "completed"
        unanswered = {identity for identity, *_ in said.calls} - answered
        said.finish_reason = "tool_calls" if unanswered else "stop"
    return said


def _counts(usage: Any) -> tuple[int, ...] | None:
    return usage and (
        usage["input_tokens"], usage["output_tokens"], usage["total_tokens"],
        usage["input_tokens_details"]["cached_tokens"],
        usage["input_tokens_details"]["cache_write_tokens"],
        usage["output_tokens_details"]["reasoning_tokens"],
    )  # fmt: skip


@contextmanager
def _client(url: str, timeout: float | None) -> Any:
    import openai

    with openai.OpenAI(base_url=url, api_key=KEY, max_retries=0, timeout=timeout) as client:
        yield client.responses


def responses_create(url: str, leave: bool = False, timeout: float | None = None) -> Any:
    """Read by `create(stream=True)`."""
    events = []
    with _client(url, timeout) as client:
        for event in client.create(model="m", input="Hi", stream=True):
            events.append(event.to_dict(mode="json"))
            if leave and event.type == "response.output_text.delta":
                return None
    return of_events(events)


def responses_stream(url: str, leave: bool = False, timeout: float | None = None) -> Any:
    """Read by `.stream()`, whose snapshots must agree with the response at the end."""
    texts: dict[int, str] = {}
    with _client(url, timeout) as client, client.stream(model="m", input="Hi") as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                if leave:
                    return None
                texts[event.output_index] = event.snapshot
        response = event.response.to_dict(mode="json")
        if event.type == "response.completed":
            assert stream.get_final_response().to_dict(mode="json") == response
    for index, text in texts.items():
        assert text_of(response["output"][index]) == text
    return of_response(response)
