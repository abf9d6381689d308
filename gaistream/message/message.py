"""`Message`: the message that a stream of events makes, readable while it streams.

How: parts are kept in a list in the order in which they began. A block of text or reasoning stays
open until another block, a call, a file or the end of its step begins; its deltas are appended to
its pieces, and joined when they are read. A StepReset cuts the list where its step began.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from ..core import (
    ApprovalRequest,
    AudioDelta,
    AudioFormat,
    Citation,
    Citations,
    Data,
    DeltaCollector,
    Done,
    Error,
    Event,
    File,
    Finish,
    FinishStep,
    Raw,
    ReasoningDelta,
    ReasoningEnd,
    Safety,
    Start,
    StepReset,
    StepStart,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallStart,
    ToolResult,
    Usage,
)
from ..errors import EventError
from .anthropic import to_anthropic
from .openai import to_openai
from .parts import Audio, Call, CollectedCall, Reasoning, Step, Text, joined, settled_calls
from .ui_message import ui_metadata, ui_parts

Part = TypeVar("Part")


class Message(DeltaCollector):
    """The message that a stream of events makes: `add` each event, read it at any time.

    It belongs to one task. Events after `Done` are discarded, as streams do; `Raw` is not kept.

    Attributes:
        id: the id of the answer, if its `Start` had one.
        model: the model of the answer, if its `Start` had one.
        usage: the tokens that it took, or None.
        finish_reason: why it ended, or None.
        raw_reason: the provider's own word for that, or None.
        error: the `Error` by which the stream has failed: the last event, but for `Done`; or None.
    """

    def __init__(self) -> None:
        self.id: str | None = None
        self.model: str | None = None
        self.usage: Usage | None = None
        self.finish_reason: str | None = None
        self.raw_reason: str | None = None
        self.error: Error | None = None
        self._parts: list[Any] = []
        self._block: Text | Reasoning | None = None  # the one that is open
        self._calls: dict[str, Call] = {}  # by id, the last of each
        self._data_at: dict[tuple[str, str] | None, int] = {}  # index, by name and id
        self._replaced: dict[int, Data] = {}  # data of earlier steps that this step has replaced
        self._step_begins: int | None = None  # index of its first part, None between steps
        self._finished = self._over = False

    def __repr__(self) -> str:
        fields = ("text", "reasoning", "tool_calls", "finish_reason", "error")
        values = [(name, getattr(self, name)) for name in fields]
        return f"Message({', '.join(f'{name}={value!r}' for name, value in values if value)})"

    @property
    def text(self) -> str:
        """The text, of all blocks."""
        return "".join(joined(part.pieces) for part in self._of(Text))

    @property
    def reasoning(self) -> str:
        """The reasoning, of all blocks."""
        return "".join(joined(part.pieces) for part in self._of(Reasoning))

    @property
    def tool_calls(self) -> tuple[CollectedCall, ...]:
        """The tool calls in the order in which they began, each with its result."""
        return tuple(
            CollectedCall(
                call.id, call.name, call.input, call.arguments, call.complete,
                call.provider_executed, call.signature, call.result, call.approval,
            )
            for call in self._of(Call)
        )  # fmt: skip

    @property
    def tool_results(self) -> tuple[ToolResult, ...]:
        """The results of tools, those of calls of an earlier message too."""
        return tuple(self._of(ToolResult))

    @property
    def citations(self) -> tuple[Citation, ...]:
        """The sources of the answer."""
        return tuple(each for part in self._of(Citations) for each in part.citations)

    @property
    def safety(self) -> tuple[Safety, ...]:
        """The judgements of the content."""
        return tuple(self._of(Safety))

    @property
    def files(self) -> tuple[File, ...]:
        """The files that the model made, as `File` events."""
        return tuple(self._of(File))

    @property
    def data(self) -> tuple[Data, ...]:
        """The data of your own that are not transient, as `Data` events; the last of each id."""
        return tuple(self._of(Data))

    @property
    def approvals(self) -> tuple[ApprovalRequest, ...]:
        """The requests for approval, as `ApprovalRequest` events."""
        return tuple(self._of(ApprovalRequest))

    @property
    def errors(self) -> tuple[Error, ...]:
        """The errors that were reported, `error` last."""
        return (*self._of(Error), *([] if self.error is None else [self.error]))

    @property
    def audio(self) -> bytes:
        """The bytes of the spoken answer."""
        return b"".join(b"".join(part.pieces) for part in self._of(Audio))

    @property
    def audio_format(self) -> AudioFormat | None:
        """The format of the spoken answer, if it is known."""
        return next((part.format for part in self._of(Audio) if part.format), None)

    @property
    def step_count(self) -> int:
        """How many steps have begun."""
        return sum(1 for _ in self._of(Step))

    @property
    def complete(self) -> bool:
        """True if `Finish` or `Done` has come, and the stream has not failed."""
        return self._finished and self.error is None

    def to_openai(self) -> dict[str, Any]:
        """Return the assistant message of Chat Completions.

        Its tool calls are those that you run; append a message of the role `tool` for each. If a
        call is not complete, its `arguments` end where the stream ended. Reasoning is in
        `reasoning_content`, and in `reasoning_details` if it was signed; OpenAI itself has neither.
        """
        return to_openai(self._parts)

    def to_anthropic(self) -> list[dict[str, Any]]:
        """Return the content blocks of Anthropic Messages.

        A `thinking` block that was not signed has the signature `""`, which Anthropic refuses:
        remove it before you send the message back. The results of tools that you run are no part
        of an assistant's message.
        """
        return to_anthropic(self._parts)

    def to_ui_message(self, *, version: int = 6, provider: str = "gaistream") -> dict[str, Any]:
        """Return the UIMessage of the AI SDK, for `useChat` and its store.

        Args:
            version: of the AI SDK: 5, 6 or 7.
            provider: the name under which signatures stand in `providerMetadata`.
        """
        about = ui_metadata(self.model, self.usage, self.raw_reason)
        parts = ui_parts(self._parts, self.error, version, provider)
        return {"id": self.id or "", "role": "assistant", **about, "parts": parts}

    def add_other(self, event: Event | str | None, /) -> None:
        """Add an event that does not continue the open block: `add` calls this."""
        if isinstance(event, str):
            event = TextDelta(event)
        handle = _HANDLERS.get(type(event))
        if handle is None:
            if event is None:
                return
            raise EventError(f"a message is made of events and str, not {type(event).__name__}")
        if self._over:
            return
        if self.error is not None and type(event) is not Done:  # the stream went on
            self._part(self.error)
            self.error = None
        handle(self, event)

    def _of(self, kind: type[Part]) -> Iterator[Part]:
        return (part for part in self._parts if type(part) is kind)

    def _part(self, part: Any) -> None:
        self._in_step()
        self._parts.append(part)

    def _in_step(self) -> None:
        if self._step_begins is None:
            self._begin_step()

    def _begin_step(self, name: str | None = None) -> None:
        self._parts.append(Step(name))
        self._step_begins = len(self._parts)
        self._replaced = {}

    def _close_block(self) -> None:
        if self._block is not None:
            self._block.open = False
            self._block = self.text_pieces = self.reasoning_pieces = None

    def _close_all(self) -> None:
        """Close the open block, and abandon the calls that are open."""
        self._close_block()
        for call in self._calls.values():
            call.abandoned = not call.complete

    def _start(self, event: Start) -> None:
        self.id = event.id if event.id is not None else self.id
        self.model = event.model if event.model is not None else self.model
        self._in_step()

    def _text(self, event: TextDelta) -> None:
        if event.text:
            self.text_pieces = self._open(Text).pieces
            self.text_pieces.append(event.text)

    def _reasoning(self, event: ReasoningDelta) -> None:
        if event.text:
            self.reasoning_pieces = self._open(Reasoning).pieces
            self.reasoning_pieces.append(event.text)

    def _open(self, kind: type[Any]) -> Any:
        if type(self._block) is not kind:
            self._close_block()
            self._block = kind()
            self._part(self._block)
        return self._block

    def _reasoning_end(self, event: ReasoningEnd) -> None:
        if event.redacted is not None or (
            event.signature is not None and type(self._block) is not Reasoning
        ):
            self._close_block()  # what is redacted or only signed is a block without text
        elif type(self._block) is not Reasoning:
            return
        block = self._open(Reasoning)
        block.id, block.signature, block.redacted = event.id, event.signature, event.redacted
        self._close_block()

    def _audio(self, event: AudioDelta) -> None:
        self._in_step()
        last = self._parts[-1]
        if type(last) is not Audio or last.format != event.format:
            last = Audio(event.format)
            self._part(last)
        last.pieces.append(event.audio)

    def _begin_call(self, id: str, name: str, provider_executed: bool) -> Call:
        self._close_block()
        call = self._calls[id] = Call(id, name, provider_executed)
        self._part(call)
        return call

    def _open_call(self, id: str) -> Call | None:
        call = self._calls.get(id)
        return None if call is None or call.complete or call.abandoned else call

    def _call_start(self, event: ToolCallStart) -> None:
        if self._open_call(event.id) is None:
            self._begin_call(event.id, event.name, bool(event.provider_executed))

    def _call_delta(self, event: ToolCallDelta) -> None:
        call = self._open_call(event.id) or self._begin_call(event.id, "", False)
        call.pieces.append(event.text)

    def _call(self, event: ToolCall) -> None:
        executed = bool(event.provider_executed)
        call = self._open_call(event.id) or self._begin_call(event.id, event.name, executed)
        call.name = event.name
        call.input = event.input
        call.signature = event.signature
        call.provider_executed = call.provider_executed or executed
        call.complete = True

    def _result(self, event: ToolResult) -> None:
        if event.id in self._calls:
            self._calls[event.id].result = event
        self._part(event)

    def _approval(self, event: ApprovalRequest) -> None:
        if event.tool_call_id in self._calls:
            self._calls[event.tool_call_id].approval = event
        self._part(event)

    def _cite(self, event: Citations) -> None:
        self._part(event)
        if type(self._block) is Text:
            self._block.cited.append(event)

    def _file(self, event: File) -> None:
        self._close_block()
        self._part(event)

    def _data(self, event: Data) -> None:
        """Append the data, or put them in the place of those with the same name and id."""
        self._in_step()
        if event.transient:
            return
        self._close_block()
        key = None if event.id is None else (event.name, event.id)
        at = self._data_at.get(key, len(self._parts))
        if at < (self._step_begins or 0):
            self._replaced.setdefault(at, self._parts[at])
        self._parts[at : at + 1] = [event]
        if key is not None:
            self._data_at[key] = at

    def _step_start(self, event: StepStart) -> None:
        if self._step_begins is None:
            self._begin_step(event.name)
        elif self._step_begins == len(self._parts):
            self._parts[-1].name = event.name
        else:
            self._close_all()
            self._begin_step(event.name)

    def _step_end(self, _: FinishStep) -> None:
        self._close_all()
        self._step_begins = None

    def _step_reset(self, _: StepReset) -> None:
        """Remove the parts of this step, and undo its changes of earlier ones."""
        self._close_block()
        if self._step_begins is None:
            return
        del self._parts[self._step_begins :]
        self._data_at = {key: at for key, at in self._data_at.items() if at < len(self._parts)}
        for at in self._replaced:
            self._parts[at] = self._replaced[at]
        self._replaced = {}
        self._calls = settled_calls(self._parts)

    def _finish(self, event: Finish) -> None:
        self._close_all()
        self.usage = event.usage if event.usage is not None else self.usage
        if event.finish_reason is not None:
            self.finish_reason = event.finish_reason
        self.raw_reason = event.raw_reason
        self._finished = True

    def _error(self, event: Error) -> None:
        self.text_pieces = self.reasoning_pieces = None  # the next delta must reach add_other
        self.error = event

    def _done(self, _: Done) -> None:
        self._close_all()
        self._finished = self._over = True

    def _raw(self, _: Raw) -> None:
        self._in_step()


_HANDLERS: Final[dict[type, Callable[[Message, Any], None]]] = {
    Start: Message._start,
    TextDelta: Message._text,
    ReasoningDelta: Message._reasoning,
    ReasoningEnd: Message._reasoning_end,
    AudioDelta: Message._audio,
    ToolCallStart: Message._call_start,
    ToolCallDelta: Message._call_delta,
    ToolCall: Message._call,
    ToolResult: Message._result,
    ApprovalRequest: Message._approval,
    Citations: Message._cite,
    Safety: Message._part,
    File: Message._file,
    Data: Message._data,
    StepStart: Message._step_start,
    FinishStep: Message._step_end,
    StepReset: Message._step_reset,
    Finish: Message._finish,
    Error: Message._error,
    Done: Message._done,
    Raw: Message._raw,
}
