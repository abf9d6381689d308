"""Tool calls of Chat Completions, read from their fragments.

Each piece of a call's arguments is returned as it arrives. Servers differ: calls may alternate,
have no index or all the index 0, have no id, or another id in each fragment.
"""

from __future__ import annotations

from typing import Any

from ...events import Event, Raw, ToolCall, ToolCallDelta, ToolCallStart
from ..base import half_call_error
from ..fields import arguments_of, object_of, text_of


class _Call:
    """A tool call that is arriving.

    Attributes:
        id: the id in its events; "" until the first of them.
    """

    def __init__(self, index: int | None, identity: str, name: str) -> None:
        self.index = index
        self.identity = identity  # the id that the server sent first
        self.name = name
        self.id = ""
        self.signature = ""
        self.arguments: list[str] = []  # the first is not blank
        self.value: object = None  # arguments that are not sent as text

    def add(self, arguments: object) -> str:
        """Add a fragment of the arguments. Return it if it is a piece of their JSON text.

        Blanks before the text are dropped. Arguments that are not text are the whole value.
        """
        if not isinstance(arguments, str):
            self.value = arguments if arguments is not None else self.value
        elif self.arguments or arguments.strip():
            self.arguments.append(arguments)
            return arguments
        return ""

    def input(self) -> object:
        """Return the arguments, None if there are none. Raise ValueError if they are not JSON."""
        return arguments_of(self.arguments) if self.arguments else self.value

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


class ToolCalls:
    """Reads the fragments of tool calls, which belong together by index, id or order.

    Attributes:
        open: the calls that are arriving, in the order in which they began.
    """

    def __init__(self) -> None:
        self.open: list[_Call] = []
        self._current: _Call | None = None
        self._ids: set[str] = set()  # of all calls so far

    def add(self, fragment: dict[str, Any]) -> list[Event]:
        """Add a fragment. Return its events, after the ends of the calls that it completes."""
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
        call.signature = call.signature or _signature_of(fragment)
        self._current = call
        text = call.add(arguments)
        if not call.id:  # the first event needs the name, which some servers send later
            return events + (self._start(call) if call.name else [])
        return [*events, ToolCallDelta(call.id, text)] if text else events

    def end(self) -> list[Event]:
        """End all calls. Return their last events, up to an Error if one is not JSON."""
        return self._end(self.open)

    def _find(self, index: int | None, identity: str) -> _Call | None:
        calls = [call for call in self.open if index is None or call.index in (None, index)]
        for call in calls:
            if identity and call.identity == identity:
                return call
        if self._current in calls:
            return self._current
        return calls[-1] if calls else None

    def _start(self, call: _Call) -> list[Event]:
        """Return the first events of a call. An id that is missing, or taken, is made."""
        call.id = call.identity
        number = len(self._ids)
        while not call.id or call.id in self._ids:
            number += 1
            call.id = f"call_{number}"
        self._ids.add(call.id)
        events: list[Event] = [ToolCallStart(call.id, call.name)]
        if call.arguments:
            events.append(ToolCallDelta(call.id, "".join(call.arguments)))
        return events

    def _end(self, calls: list[_Call]) -> list[Event]:
        events: list[Event] = []
        self.open = [call for call in self.open if call not in calls]
        for call in calls:
            if not call.id:
                events += self._start(call)
            try:
                value = call.input()
            except ValueError:
                return [*events, half_call_error(call.name)]
            events.append(ToolCall(call.id, call.name, value, signature=call.signature or None))
        return events


def _signature_of(fragment: dict[str, Any]) -> str:
    """Return the signature of a call, which Google's server sends beside the function."""
    google = object_of(object_of(fragment.get("extra_content")).get("google"))
    return text_of(google.get("thought_signature"))


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
