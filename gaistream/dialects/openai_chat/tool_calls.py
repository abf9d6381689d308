"""Tool calls of Chat Completions, joined from their fragments.

Servers differ: calls may alternate, have no index or all the index 0, have no id, or another id in
each fragment.
"""

from __future__ import annotations

from typing import Any

from ...core import read_json
from ...events import Error, Event, Raw, ToolCall
from .fields import object_of, text_of


class _Call:
    """A tool call that is arriving."""

    def __init__(self, index: int | None, identity: str, name: str) -> None:
        self.index = index
        self.identity = identity
        self.name = name
        self.arguments: list[str] = []  # the first is not blank
        self.value: object = None  # arguments that are not sent as text

    def add(self, arguments: object) -> None:
        """Add a fragment of the arguments: the next piece of their JSON text, or else the value."""
        if not isinstance(arguments, str):
            self.value = arguments
        elif self.arguments or arguments.strip():
            self.arguments.append(arguments)

    def input(self) -> object:
        """Return the arguments, None if there are none. Raise ValueError if they are not JSON."""
        return read_json("".join(self.arguments), "replace") if self.arguments else self.value

    def is_broken(self) -> bool:
        """Return True if the arguments so far are not JSON."""
        try:
            self.input()
        except ValueError:
            return True
        return False

    def is_complete(self) -> bool:
        """Return True if no more fragments can belong to it; a number might have more digits."""
        if not self.arguments:
            return self.value is not None
        last = next((text for each in reversed(self.arguments) if (text := each.rstrip())), "")
        return last.endswith(("}", "]", '"')) and not self.is_broken()

    def error(self) -> Error:
        """Return the last event of a stream in which this call is broken."""
        message = f"the tool call {self.name!r} was cut: its arguments are not JSON"
        return Error(message, "truncated_tool_call")


class ToolCalls:
    """Joins the fragments of tool calls, by their index, their id or their order.

    Attributes:
        open: the calls that are arriving, in the order in which they began.
    """

    def __init__(self) -> None:
        self.open: list[_Call] = []
        self._current: _Call | None = None
        self._count = 0

    def add(self, fragment: dict[str, Any]) -> list[Event]:
        """Add a fragment. Return the calls that it completes because it begins another one."""
        function = object_of(fragment.get("function"))
        identity, name = text_of(fragment.get("id")), text_of(function.get("name"))
        index = fragment.get("index") if type(fragment.get("index")) is int else None
        arguments = function.get("arguments")
        is_empty = arguments is None or (isinstance(arguments, str) and not arguments.strip())
        call = self._find(index, identity)
        events: list[Event] = []
        if call is None or _begins_another(call, index, identity, name, is_empty):
            if not identity and not name:  # a fragment of a call that has ended
                return [] if is_empty else [Raw({"tool_calls": [fragment]})]
            events = self._end([each for each in self.open if each.is_complete()])
            call = _Call(index, identity, name)
            self.open.append(call)
        call.identity = call.identity or identity
        call.name = call.name or name
        if arguments is not None:
            call.add(arguments)
        self._current = call
        return events

    def end(self) -> list[Event]:
        """End all calls and return them, up to an Error if the arguments of one are not JSON."""
        return self._end(self.open)

    def _find(self, index: int | None, identity: str) -> _Call | None:
        calls = [call for call in self.open if index is None or call.index in (None, index)]
        for call in calls:
            if identity and call.identity == identity:
                return call
        if self._current in calls:
            return self._current
        return calls[-1] if calls else None

    def _end(self, calls: list[_Call]) -> list[Event]:
        events: list[Event] = []
        self.open = [call for call in self.open if call not in calls]
        for call in calls:
            try:
                value = call.input()
            except ValueError:
                return [*events, call.error()]
            self._count += 1
            events.append(ToolCall(call.identity or f"call_{self._count}", call.name, value))
        return events


def _begins_another(
    call: _Call, index: int | None, identity: str, name: str, is_empty: bool
) -> bool:
    """Return True if a fragment that could belong to the call is the first of another one."""
    if not name:
        return False
    if name != (call.name or name):
        return True
    known = identity == call.identity if identity and call.identity else None
    if known is False and index is None:
        return True
    return call.is_complete() and not (known and is_empty)
