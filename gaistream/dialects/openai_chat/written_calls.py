"""The tool calls of a Chat Completions stream that is written, and their fragments."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...core import json_bytes
from ...events import Error, ToolCall, ToolCallDelta, ToolCallStart
from ..base import half_call_error

_Fragments = list[dict[str, Any]]


class _Written(NamedTuple):
    number: int  # its index in `tool_calls`
    name: str
    has_arguments: bool = False
    is_open: bool = True
    is_answered: bool = False


class WrittenCalls:
    """The tool calls so far, by id. Immutable: each method returns the calls after an event.

    Calls of tools that run at the provider are left out: a client would run them too. One that is
    marked only at its end is written, and counts as answered.
    """

    def __init__(
        self,
        calls: dict[str, _Written] | None = None,
        count: int = 0,
        left_out: frozenset[str] = frozenset(),
    ) -> None:
        self._calls = calls or {}
        self._count = count  # an id that is used again has two indexes
        self._left_out = left_out  # open calls of the provider's tools

    @property
    def unanswered(self) -> bool:
        """True if the client is to run a tool."""
        return any(not call.is_answered for call in self._calls.values())

    def half_call(self) -> Error | None:
        """Return the error of a stream that ends inside of a call; None if no call is open."""
        for call in self._calls.values():
            if call.is_open:
                return half_call_error(call.name)
        return None

    def started(self, event: ToolCallStart) -> tuple[WrittenCalls, _Fragments]:
        """Return the calls and the fragments with this call's id and name."""
        if event.provider_executed:
            return WrittenCalls(self._calls, self._count, self._left_out | {event.id}), []
        return self._begin(event.id, event.name, "")

    def continued(self, event: ToolCallDelta) -> tuple[WrittenCalls, _Fragments]:
        """Return the calls and the fragments with a piece of arguments; none for unknown calls."""
        call = self._calls.get(event.id)
        if call is None or not call.is_open or not event.text:
            return self, []
        if not call.has_arguments:
            if not event.text.strip():
                return self, []
            return self._with(event.id, call._replace(has_arguments=True)), [
                _arguments(call.number, event.text)
            ]
        return self, [_arguments(call.number, event.text)]

    def ended(self, event: ToolCall) -> tuple[WrittenCalls, _Fragments]:
        """Return the calls and the fragments that are missing: all, arguments, or a signature."""
        calls, call = self, self._calls.get(event.id)
        is_known = call is not None and call.is_open
        if event.id in self._left_out or (event.provider_executed and not is_known):
            return WrittenCalls(self._calls, self._count, self._left_out - {event.id}), []
        arguments = "{}"
        if event.input is not None:
            arguments = json_bytes(event.input, errors="replace").decode()
        if call is None or not call.is_open:
            calls, fragments = self._begin(event.id, event.name, arguments)
            call = calls._calls[event.id]
        else:
            fragments = [] if call.has_arguments else [_arguments(call.number, arguments)]
        if event.signature:
            fragments = fragments or [_arguments(call.number, "")]
            fragments[0]["extra_content"] = {"google": {"thought_signature": event.signature}}
        call = call._replace(is_open=False, is_answered=bool(event.provider_executed))
        return calls._with(event.id, call), fragments

    def answered(self, id: str) -> WrittenCalls:
        """Return the calls after the result of one."""
        call = self._calls.get(id)
        return self if call is None else self._with(id, call._replace(is_answered=True))

    def _begin(self, id: str, name: str, arguments: str) -> tuple[WrittenCalls, _Fragments]:
        function = {"name": name, "arguments": arguments}
        fragment = {"index": self._count, "id": id, "type": "function", "function": function}
        return self._with(id, _Written(self._count, name), self._count + 1), [fragment]

    def _with(self, id: str, call: _Written, count: int | None = None) -> WrittenCalls:
        count = self._count if count is None else count
        return WrittenCalls({**self._calls, id: call}, count, self._left_out)


def _arguments(index: int, text: str) -> dict[str, Any]:
    return {"index": index, "function": {"arguments": text}}
