"""Clients of AG-UI: its HttpAgent on Node, and its types for Python on every frame.

Both fold a run into messages, as frontends keep them; `of_run` returns what these say.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from conversations import Understood
from openai_readers import KEY

Run = dict[str, Any]
QUESTION = {"id": "q", "role": "user", "content": "Hi"}


class RunFailed(Exception):
    """A run has failed, or was cut."""


def of_run(run: Run) -> Understood:
    """Return what a client has understood of a run that has finished."""
    assert run["warnings"] == []  # it knew all that it was sent
    start, finish = run["start"], run["finish"]
    said = Understood(start["runId"], start.get("metadata", {}).get("model"))
    answers = {each["toolCallId"]: each for each in run["messages"] if each["role"] == "tool"}
    for message in run["messages"]:
        if message["role"] == "reasoning":
            said.reasoning += message["content"]
            value = message.get("encryptedValue")
            said.signatures += [] if value is None else [value]
        elif message["role"] == "assistant":
            said.text += message.get("content") or ""
            for call in message.get("toolCalls", ()):
                _add_call(said, call, answers.get(call["id"]))
    for custom in run["customs"]:
        if custom["name"] == "gaistream.citations":
            said.citations += [(each["uri"], each["start"], each["end"], each.get("title", ""))
                               for each in custom["value"]["citations"]]  # fmt: skip
    said.usage = _usage(finish.get("usage"))
    outcome = finish.get("outcome", {}).get("type")
    seen = {"success": "tool_calls", "cancelled": "cancelled", None: "stop"}[outcome]
    said.finish_reason = finish.get("metadata", {}).get("finishReason", seen)
    said.order = run["order"]
    said.order = [kind for at, kind in enumerate(said.order) if said.order[at - 1 : at] != [kind]]
    return said


def _add_call(said: Understood, call: Run, answer: Run | None) -> None:
    about = call["id"], call["function"]["name"], json.loads(call["function"]["arguments"])
    content = None if answer is None else answer["content"]
    value = content
    if content and (content == "null" or content[0] in "[{"):
        value = json.loads(content)
    if call.get("metadata", {}).get("providerExecuted"):
        said.server_calls.append((*about, value))
        return
    said.calls.append(about)
    if answer is not None:
        said.results.append((call["id"], value, bool(answer.get("metadata", {}).get("isError"))))


def _usage(entries: list[Run] | None) -> tuple[int, ...] | None:
    names = ("inputTokens", "outputTokens", "totalTokens", "cachedInputTokens",
             "cacheWriteInputTokens", "reasoningTokens")  # fmt: skip
    return entries and tuple(sum(each.get(name, 0) for each in entries) for name in names)


# ---- the types for Python ----


def typed_frames(lines: Iterator[str]) -> Iterator[Run]:
    """Yield the frames of a body; each has its type, no field that the type lacks, and no null."""
    from ag_ui.core import Event
    from pydantic import TypeAdapter

    adapter: TypeAdapter[Any] = TypeAdapter(Event)
    for line in lines:
        if line.startswith("data: "):
            frame: Run = json.loads(line.removeprefix("data: "))
            event = adapter.validate_python(frame)
            assert not event.model_extra, frame
            written: Run = event.model_dump(by_alias=True, mode="json")
            assert written == frame
            yield written


def read_by_types(url: str, leave: bool = False, timeout: float | None = None) -> Any:
    """Read a run, and fold its frames into messages."""
    import httpx

    asked = {"threadId": "t", "runId": "r", "messages": [QUESTION],
             "protocolVersion": "1.0"}
    headers = {"Authorization": f"Bearer {KEY}"}
    run: Run = {"messages": [], "customs": [], "order": [], "warnings": []}
    with httpx.stream("POST", url, json=asked, headers=headers, timeout=timeout) as response:
        if response.status_code != 200:
            raise RunFailed(response.read().decode())
        for frame in typed_frames(response.iter_lines()):
            _fold(run, frame)
            if leave and frame["type"] == "TEXT_MESSAGE_CONTENT":
                return None
    if "finish" not in run:
        raise RunFailed("the run is incomplete")
    return of_run(run)


def _fold(run: Run, frame: Run) -> None:
    messages = {each["id"]: each for each in run["messages"]}
    calls = {call["id"]: call for each in run["messages"] for call in each.get("toolCalls", ())}
    kind, identity = frame["type"], frame.get("messageId", "")
    if kind in ("TEXT_MESSAGE_START", "REASONING_MESSAGE_START"):
        if identity not in messages:
            run["messages"].append({"id": identity, "role": frame["role"], "content": ""})
        run["order"].append("text" if kind.startswith("TEXT") else "reasoning")
    elif kind in ("TEXT_MESSAGE_CONTENT", "REASONING_MESSAGE_CONTENT"):
        messages[identity]["content"] += frame["delta"]
    elif kind == "REASONING_ENCRYPTED_VALUE":
        entity = (calls if frame["subtype"] == "tool-call" else messages)[frame["entityId"]]
        entity["encryptedValue"] = frame["encryptedValue"]
    elif kind == "TOOL_CALL_START":
        parent = messages.get(frame["parentMessageId"])
        if parent is None:
            parent = {"id": frame["parentMessageId"], "role": "assistant", "content": ""}
            run["messages"].append(parent)
        function = {"name": frame["toolCallName"], "arguments": ""}
        call = {"id": frame["toolCallId"], "function": function, "metadata": {}}
        call["metadata"] |= frame.get("metadata", {})
        parent.setdefault("toolCalls", []).append(call)
    elif kind == "TOOL_CALL_ARGS":
        calls[frame["toolCallId"]]["function"]["arguments"] += frame["delta"]
    elif kind == "TOOL_CALL_END":
        calls[frame["toolCallId"]]["metadata"] |= frame.get("metadata", {})
        run["order"].append("tool")
    elif kind == "TOOL_CALL_RESULT":
        run["messages"].append({**frame, "id": identity})
    elif kind == "CUSTOM":
        run["customs"].append(frame)
    elif kind == "RUN_ERROR":
        raise RunFailed(frame["message"])
    elif kind in ("RUN_STARTED", "RUN_FINISHED"):
        run["start" if kind == "RUN_STARTED" else "finish"] = frame
