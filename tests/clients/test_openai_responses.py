"""OpenAI's own clients on the Responses of a handler: what the matrix of clients does not ask.

The clients are unmodified and talk to a server over loopback. Each event is valid by the types of
OpenAI and, as far as the standard goes, by those of Open Responses.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from conversations import FULL
from real_servers import serve_uvicorn
from required import need_package, once_a_check
from responses_readers import check_event, of_response
from vendor_clients import ClientScript

from gaistream import asgi, events

once_a_check()
TOOL = {
    "type": "function", "name": "weather", "description": "The weather", "strict": True,
    "parameters": {"type": "object", "properties": {}, "required": []},
}  # fmt: skip
ASKED: dict[str, Any] = {
    "model": "m", "input": "Hi", "instructions": "Be brief.", "tools": [TOOL], "temperature": 0.5,
    "tool_choice": {"type": "function", "name": "weather"}, "max_output_tokens": 99,
    "metadata": {"a": "b"}, "reasoning": {"effort": "low"}, "parallel_tool_calls": False,
}  # fmt: skip
REQUIRED_EVENTS = {  # of Open Responses, for what our events say
    "response.created", "response.in_progress", "response.completed", "response.incomplete",
    "response.output_item.added", "response.output_item.done",
    "response.content_part.added", "response.content_part.done", "response.output_text.delta",
    "response.output_text.done", "response.output_text.annotation.added",
    "response.function_call_arguments.delta", "response.function_call_arguments.done",
    "response.reasoning_summary_part.added", "response.reasoning_summary_part.done",
    "response.reasoning_summary_text.delta", "response.reasoning_summary_text.done",
}  # fmt: skip
OTHERS = [
    events.AudioDelta(b"abcd"), events.ToolCall("c", "f", {"a": 1}),
    events.ApprovalRequest("ask", "c"), events.ReasoningEnd("rs_1", "signed"), "text",
]  # fmt: skip


class Answers:
    """A provider whose next answer is set."""

    items: list[Any]

    async def stream_text(self, request: Any) -> Any:
        for item in self.items:
            if isinstance(item, Exception):
                raise item
            yield item


@pytest.fixture(scope="module")
def service() -> Iterator[tuple[str, Answers]]:
    answers = Answers()
    app = asgi.protocol_handler(answers, "openai_responses")
    with serve_uvicorn(app, "h11", "asyncio", interface="asgi3") as running:
        yield running.url, answers


@pytest.fixture
def responses(service: tuple[str, Answers]) -> Iterator[Any]:
    need_package("openai", "clients")
    import openai

    with openai.OpenAI(base_url=service[0], api_key="k", max_retries=0) as client:
        yield client.responses


def test_a_response_repeats_the_request_in_streams_and_whole(
    service: tuple[str, Answers], responses: Any
) -> None:
    from openai.types.responses import Response

    service[1].items = FULL
    whole = responses.create(**ASKED).to_dict(mode="json")
    Response.model_validate(whole)
    with responses.stream(**ASKED) as stream:
        streamed = stream.get_final_response().to_dict(mode="json")
    for response in (whole, streamed):
        for name in ASKED.keys() - {"input", "model", "reasoning"}:
            assert response[name] == ASKED[name]
        assert response["reasoning"] == {"effort": "low", "summary": None}
        assert (response["id"], response["model"]) == ("chatcmpl-1", "m-1")
    assert of_response(whole) == of_response(streamed)


def test_each_event_is_valid_by_the_types_of_both(
    service: tuple[str, Answers], responses: Any
) -> None:
    seen = set()
    for items in (FULL, OTHERS, ["a", events.Finish(finish_reason="length")]):
        service[1].items = items
        for number, event in enumerate(responses.create(**ASKED, stream=True)):
            check_event(event.to_dict(mode="json"))
            assert event.sequence_number == number
            seen.add(event.type)
    assert seen >= REQUIRED_EVENTS


def test_the_events_of_a_failure_are_valid_too(gs: ModuleType) -> None:
    need_package("openai", "clients")
    body = gs.encode_events(["a", gs.events.Error("no", "busy")], dialect="openai_responses")
    frames = gs.SSEDecoder().feed(body)
    assert [frame.event for frame in frames[-3:]] == ["error", "response.failed", "message"]
    assert frames[-1].data == "[DONE]"
    for frame in frames[:-1]:
        check_event(json.loads(frame.data))


@pytest.fixture(scope="module")
def javascript() -> Iterator[ClientScript]:
    with ClientScript("openai_responses.mjs") as script:
        yield script


@pytest.mark.parametrize("api", ["create", "stream"])
def test_the_javascript_client_reads_every_kind_of_item(
    service: tuple[str, Answers], javascript: ClientScript, api: str
) -> None:
    service[1].items = OTHERS
    said = javascript.ask(url=service[0], api=api)["said"]
    response = said if api == "stream" else said[-1]["response"]
    kinds = [item["type"] for item in response["output"]]
    assert kinds == ["function_call", "mcp_approval_request", "reasoning", "message"]


def test_a_request_for_what_is_not_kept_is_refused_by_its_field(
    service: tuple[str, Answers], responses: Any
) -> None:
    import openai

    with pytest.raises(openai.BadRequestError) as raised:
        responses.create(model="m", input="Hi", previous_response_id="resp_1", stream=True)
    assert raised.value.param == "previous_response_id"
