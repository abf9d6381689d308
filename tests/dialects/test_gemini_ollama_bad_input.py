"""Gemini's two protocols and Ollama's: what is wrong is a Raw or an Error, never an exception."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from dialect_vectors import load

FORMATS = {"gemini": "sse", "gemini_interactions": "sse", "ollama": "ndjson"}
VECTORS = {(dialect, name): each for dialect in FORMATS for name, each in load(dialect).items()}
WRONG = [None, True, -1, 2**70, 1.5, float("nan"), "", "x", "\ud800", [], [1], {}, {"type": 1}]


def body_of(dialect: str, frames: list[Any]) -> bytes:
    lines = [each if each == "[DONE]" else json.dumps(each) for each in frames]
    before, after = ("", "\n") if dialect == "ollama" else ("data: ", "\n\n")
    return "".join(f"{before}{line}{after}" for line in lines).encode()


def frames_of(dialect: str, name: str) -> list[Any]:
    """Return the payloads of a vector, without those that are not whole."""
    frames = []
    for line in VECTORS[dialect, name]["input"].split("\n"):
        text = line.removeprefix("data: ")
        if text.endswith("}"):
            frames.append(json.loads(text))
    return frames


def read(gs: Any, dialect: str, *frames: Any) -> list[Any]:
    return list(gs.read_events(body_of(dialect, list(frames)), FORMATS[dialect], dialect))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of each value inside of a value."""
    found = [path] if path else []
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            found += places(value[key], (*path, key))
    return found


def changed(frames: list[Any], path: tuple[Any, ...], *value: Any) -> list[Any]:
    """Return the frames with another value at a path, or without it."""
    frames = copy.deepcopy(frames)
    holder = frames
    for step in path[:-1]:
        holder = holder[step]
    if value:
        holder[path[-1]] = value[0]
    else:
        del holder[path[-1]]
    return frames


@pytest.mark.parametrize(("dialect", "name"), VECTORS)
def test_a_wrong_or_missing_value_anywhere_never_raises_and_ends_the_stream_once(gs, dialect, name):
    frames = frames_of(dialect, name)
    ends = (gs.events.Done, gs.events.Error)
    for path in places(frames):
        for wrong in [(), *((each,) for each in WRONG)]:
            events = read(gs, dialect, *changed(frames, path, *wrong))
            assert isinstance(events[-1], ends)
            assert not any(isinstance(each, ends) for each in events[:-1])
            gs.encode_events(events)  # whatever is read can be written


@pytest.mark.parametrize("dialect", FORMATS)
@pytest.mark.parametrize("text", ["{", "[" * 200_000, "<html>", '{"a":'])
def test_a_frame_that_is_not_json_is_an_error(gs, dialect, text):
    before, after = ("", "\n") if dialect == "ollama" else ("data: ", "\n\n")
    body = f"{before}{text}{after}".encode()
    (error,) = gs.read_events(body, FORMATS[dialect], dialect)
    assert error.code == "invalid_frame"


@pytest.mark.parametrize("dialect", FORMATS)
@pytest.mark.parametrize("frame", [5, [], ["x"], "x", {"sparkle": 1}, {"type": "x"}])
def test_an_unknown_frame_is_raw_and_nothing_ends(gs, dialect, frame):
    name = next(name for each, name in VECTORS if each == dialect)
    frames = frames_of(dialect, name)
    whole = read(gs, dialect, *frames)
    for at in range(len(frames)):
        found = read(gs, dialect, *frames[:at], frame, *frames[at:])
        raw = [each for each in found if isinstance(each, gs.events.Raw)]
        assert [each.raw for each in raw] == [frame]
        assert [each for each in found if each not in raw] == whole


@pytest.mark.parametrize("dialect", FORMATS)
def test_no_body_is_a_cut(gs, dialect):
    assert [each.code for each in read(gs, dialect)] == ["truncated"]


CREATED = {"event_type": "interaction.created", "interaction": {"id": "i", "status": "x"}}
COMPLETED = {"event_type": "interaction.completed", "interaction": {"status": "completed"}}


def candidate(*parts: Any, **fields: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": list(parts)}, **fields}], "responseId": "r"}


def step(index: int, **fields: Any) -> dict[str, Any]:
    return {"event_type": "step.start", "index": index, "step": fields}


def test_a_step_index_that_is_used_twice_is_an_error(gs):
    twice = [step(0, type="model_output"), {"event_type": "step.stop", "index": 0}] * 2
    *_, error = read(gs, "gemini_interactions", CREATED, *twice, COMPLETED)
    assert (error.code, "index 0 twice" in error.message) == ("invalid_frame", True)


def test_ids_that_are_used_twice_become_different_ones(gs):
    call = {"functionCall": {"id": "c", "name": "f", "args": {}}}
    gemini = read(gs, "gemini", candidate(call, call, finishReason="STOP"))
    steps = [step(at, type="function_call", id="c", name="f", arguments={}) for at in (0, 1)]
    interactions = read(gs, "gemini_interactions", CREATED, *steps, COMPLETED)
    message = {"tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {}}}] * 2}
    ollama = read(gs, "ollama", {"message": message, "done": True})
    for events in (gemini, interactions, ollama):
        ids = [each.id for each in events if isinstance(each, gs.events.ToolCall)]
        assert (len({*ids}), ids[0]) == (2, "c")


def test_made_ids_differ_from_one_answer_to_the_next(gs):
    call = {"function": {"name": "f", "arguments": {}}}
    lines = [
        {"model": "m", "created_at": time, "message": {"tool_calls": [call]}, "done": True}
        for time in ("12:00", "12:01")
    ]
    first, second = (read(gs, "ollama", line)[1].id for line in lines)
    assert first != second
    assert first == read(gs, "ollama", lines[0])[1].id


@pytest.mark.parametrize(
    ("dialect", "frame", "error"),
    [
        ("gemini", {"error": {"code": 429, "message": "no", "status": "RESOURCE_EXHAUSTED"}},
         ("no", "RESOURCE_EXHAUSTED")),
        ("gemini", {"error": "no"}, ("no", None)),
        ("gemini", {"error": {"message": 5}}, ("the provider failed", None)),
        ("gemini", candidate(finishReason="MALFORMED_FUNCTION_CALL", finishMessage="bad call"),
         ("bad call", "MALFORMED_FUNCTION_CALL")),
        ("gemini", candidate(finishReason="UNEXPECTED_TOOL_CALL"),
         ("the provider ended by UNEXPECTED_TOOL_CALL", "UNEXPECTED_TOOL_CALL")),
        ("gemini_interactions", {"event_type": "error"}, ("the provider failed", None)),
        ("gemini_interactions", {"event_type": "error", "error": {"code": "x", "message": "no"}},
         ("no", "x")),
        ("gemini_interactions", step(0, type="model_output", error={"code": 3, "message": "no"}),
         ("no", None)),
        ("ollama", {"error": "model 'x' not found"}, ("model 'x' not found", None)),
        ("ollama", {"error": {"message": "no"}}, ("no", None)),
        ("ollama", {"error": 5}, ("the provider failed", None)),
    ],
)  # fmt: skip
def test_an_error_of_any_shape_ends_the_stream(gs, dialect, frame, error):
    name = next(name for each, name in VECTORS if each == dialect)
    found = read(gs, dialect, frame, *frames_of(dialect, name))
    assert found[-1] == gs.events.Error(*error)
    assert len(found) <= 2


def test_arguments_that_come_in_pieces_are_never_a_call_of_gemini(gs):
    pieces = {"name": "f", "willContinue": True, "partialArgs": [{"jsonPath": "$.a"}]}
    *_, error = read(gs, "gemini", candidate({"functionCall": pieces}, finishReason="STOP"))
    assert error.code == "truncated_tool_call"


def test_arguments_as_text_that_is_not_json_end_ollamas_stream(gs):
    def call(arguments):
        function = {"name": "f", "arguments": arguments}
        return {"message": {"tool_calls": [{"function": function}]}, "done": True}

    assert read(gs, "ollama", call('{"a":'))[-1].code == "truncated_tool_call"
    assert read(gs, "ollama", call('{"a":1}'))[1].input == {"a": 1}


@pytest.mark.parametrize("dialect", ["gemini", "ollama"])
def test_ten_megabytes_of_arguments_are_a_call_or_an_error(gs, dialect):
    arguments = {"a": "x" * 10_000_000}
    if dialect == "gemini":
        frame = candidate({"functionCall": {"name": "f", "args": arguments}}, finishReason="STOP")
    else:
        call = {"function": {"name": "f", "arguments": arguments}}
        frame = {"message": {"tool_calls": [call]}, "done": True}
    assert read(gs, dialect, frame)[1].input == arguments
    events = list(gs.read_events(body_of(dialect, [frame])[:-9], FORMATS[dialect], dialect))
    assert [each.code for each in events] == ["truncated"]


def test_offsets_of_sources_count_characters_and_repeated_sources_are_read_once(gs):
    sources = [{"uri": "https://e.org", "startIndex": 2, "endIndex": 8}]
    cited = candidate(finishReason="STOP", citationMetadata={"citationSources": sources})
    events = read(gs, "gemini", candidate({"text": "é日本."}), cited, cited)
    [found] = [each for each in events if isinstance(each, gs.events.Citations)]
    assert (found.citations[0].start, found.citations[0].end) == (1, 3)


def test_the_services_own_tools_do_not_make_the_reason_tool_calls(gs):
    code = {"executableCode": {"language": "PYTHON", "code": "1+1"}}
    result = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}}
    search = {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "id": "s", "args": {"queries": ["x"]}}}
    found = {"toolResponse": {"toolType": "GOOGLE_SEARCH_WEB", "id": "s", "response": {}}}
    gemini = read(gs, "gemini", candidate(code, result, search, found, finishReason="STOP"))
    delta = {"type": "google_search_call", "arguments": {"queries": ["x"]}, "signature": "s"}
    frames = [
        step(0, type="google_search_call", id="s", arguments={}),
        {"event_type": "step.delta", "index": 0, "delta": delta},
        {"event_type": "step.stop", "index": 0},
        step(1, type="google_search_result", call_id="s", result=[{"a": 1}], is_error=True),
        {"event_type": "step.stop", "index": 1},
    ]
    interactions = read(gs, "gemini_interactions", CREATED, *frames, COMPLETED)
    calls = [each for each in gemini + interactions if isinstance(each, gs.events.ToolCall)]
    results = [each for each in gemini + interactions if isinstance(each, gs.events.ToolResult)]
    assert [each.name for each in calls] == [
        "code_execution", "google_search_web", "google_search",
    ]  # fmt: skip
    assert [each.id for each in calls] == [each.id for each in results]
    assert [each.name for each in calls] == [each.name for each in results]
    assert all(each.provider_executed for each in calls + results)
    assert (calls[-1].input, calls[-1].signature) == ({"queries": ["x"]}, "s")
    assert results[-1].is_error
    for events in (gemini, interactions):
        assert events[-2].finish_reason == "stop"
