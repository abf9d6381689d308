"""The writer of OpenAI's Responses protocol: events to the items of a response.

Guaranteed: every frame has the next sequence number. Each item is added, written and done, and the
response at the end has all of them, equal to what was streamed. A stream that failed ends with
`error`, `response.failed` and `[DONE]`, never with `response.completed`. A tool call whose
`ToolCall` does not come is a failure.

How: a state machine of the open items (see stateful_writer.py, which holds errors): at most one
message or reasoning, and any number of calls. The encoder writes the deltas of the item that was
written last, and collects their text. `Finish` is held until the end, for the last counts.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from ...core import json_bytes
from ...events import (
    ApprovalRequest,
    AudioDelta,
    Citations,
    Done,
    Error,
    Event,
    Finish,
    FinishStep,
    ReasoningDelta,
    ReasoningEnd,
    Start,
    StepReset,
    StepStart,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallStart,
    ToolResult,
)
from ..base import half_call_error
from ..identity import new_hex, unix_time
from ..openai_chat import error_fields
from ..stateful_writer import ErrorHoldingWriter
from .items import (
    OpenItem,
    approval_request,
    call_output,
    new_call,
    new_message,
    new_reasoning,
    url_citation,
)
from .response import failure_code, new_response, usage_fields
from .words import INCOMPLETE

if TYPE_CHECKING:
    from ...message import Message

_ITEM: Final = "response.output_item."
_PART: Final = "response.content_part."
_TEXT: Final = "response.output_text."
_SUMMARY_PART: Final = "response.reasoning_summary_part."
_SUMMARY: Final = "response.reasoning_summary_text."
_ARGUMENTS: Final = "response.function_call_arguments."


class ResponsesWriter(ErrorHoldingWriter):
    """Writes one stream of the Responses protocol.

    Args:
        model: the model of the response; None: that of `Start`.
        request: the JSON object of the request, which the response repeats.
        requested_model: the model of the response if there is no other.
    """

    def __init__(
        self,
        model: str | None = None,
        request: dict[str, Any] | None = None,
        requested_model: str = "",
    ) -> None:
        super().__init__()
        self._model = model
        self._request = request or {}
        self._requested_model = requested_model
        self._response: dict[str, Any] = {}  # empty before the first frame
        self._count = 0  # of the items that were added
        self._done: dict[int, dict[str, Any]] = {}  # items by their index
        self._block: OpenItem | None = None  # the message or the reasoning that is open
        self._calls: dict[str, OpenItem] = {}  # by the id of the event
        self._templates: dict[str, Any] = {}  # of the item that was written last
        self._finish: Finish | None = None
        self._sound = b""  # less than three bytes, which wait for more
        self._has_sound = False

    def templates(self) -> dict[str, Any]:
        return self._templates if self.error is None else {}

    def write_event(self, encoder: Any, event: Event) -> None:
        kind = type(event)
        if kind is Error:
            self.error = event  # type: ignore[assignment]
        elif kind is Done:
            self.finish(encoder)
        elif kind is Start:
            self._begin(encoder, event)
        elif kind is Finish:
            self._finish = event  # type: ignore[assignment]
        elif kind is StepReset:
            self.reset_step()
        elif kind in _WRITERS:
            _WRITERS[kind](self, encoder, event)

    def half_call(self) -> Error | None:
        for call in self._calls.values():
            if call.is_open:
                return half_call_error(call.fields["name"])
        return None

    def write_success(self, encoder: Any) -> None:
        """Write the response with its whole output, and `[DONE]`."""
        self._begin(encoder)
        status, reason = self._ending()
        self._close(encoder, status)
        if self._has_sound:
            self._write_sound(encoder, self._sound)
            self._write(encoder, "response.audio.done")
        usage = self._finish.usage if self._finish is not None else None
        self._end(
            encoder,
            status,
            completed_at=int(unix_time()) if status == "completed" else None,
            incomplete_details=None if reason is None else {"reason": reason},
            usage=usage_fields(usage),
        )

    def whole(self, message: Message) -> dict[str, Any]:
        return self._response

    def write_error(self, encoder: Any, error: Error) -> None:
        """Write the error so that every client notices it, and what Open Responses asks for."""
        self._begin(encoder)
        fields = error_fields(error)
        flat = {name: fields[name] for name in ("code", "message", "param")}
        self._write(encoder, "error", **flat, error=fields)
        failure = {"code": failure_code(error), "message": error.message}
        self._end(encoder, "failed", error=failure)
        encoder.failed = True

    def _begin(self, encoder: Any, start: Event | None = None) -> None:
        """Write the first two events, unless they were written."""
        if self._response:
            return
        start = start if type(start) is Start else Start()
        self._response = new_response(
            start.id or f"resp_{new_hex()}",
            self._model or start.model or self._requested_model,
            int(unix_time()),
            self._request,
        )
        for kind in ("response.created", "response.in_progress"):
            self._write(encoder, kind, response=self._response)

    def _ending(self) -> tuple[str, str | None]:
        """Return the status of the response, and why it is incomplete."""
        finish = self._finish or Finish()
        reason, raw = finish.finish_reason, finish.raw_reason
        if reason == "cancelled":
            return "incomplete", raw if raw in INCOMPLETE else None
        if raw is not None and INCOMPLETE.get(raw) == reason:
            return "incomplete", raw
        word = next((each for each, ours in INCOMPLETE.items() if ours == reason), None)
        return ("completed", None) if reason == "other" or word is None else ("incomplete", word)

    def _end(self, encoder: Any, status: str, **fields: Any) -> None:
        """Write the response as it has ended, with the items that are done."""
        output = [self._done[index] for index in sorted(self._done)]
        self._response = {**self._response, "status": status, "output": output, **fields}
        self._write(encoder, f"response.{status}", response=self._response)
        encoder.write_frame("[DONE]")

    def _write(self, encoder: Any, kind: str, **fields: Any) -> None:
        number = encoder.sequence
        encoder.write_frame(None, kind, json={"type": kind, **fields, "sequence_number": number})
        encoder.sequence = number + 1

    # ---- items ----

    def _add_item(self, encoder: Any, item: dict[str, Any]) -> OpenItem:
        self._begin(encoder)
        self.in_step = True
        added = OpenItem(self._count, item, [])
        self._count += 1
        self._write(encoder, _ITEM + "added", output_index=added.output_index, item=item)
        return added

    def _end_item(self, encoder: Any, index: int, item: dict[str, Any]) -> None:
        self._write(encoder, _ITEM + "done", output_index=index, item=item)
        self._done = {**self._done, index: item}

    def _write_item(self, encoder: Any, item: dict[str, Any]) -> None:
        """Write an item that is whole."""
        self._close(encoder)
        self._end_item(encoder, self._add_item(encoder, item).output_index, item)

    def _open(self, encoder: Any, kind: str) -> OpenItem:
        """Return the open message or reasoning; one of the other kind is closed."""
        if self._block is not None and self._block.kind == kind:
            return self._block
        self._close(encoder)
        self._block = self._add_item(encoder, _NEW[kind]())
        part = _PART if kind == "message" else _SUMMARY_PART
        self._write(encoder, part + "added", **self._block.place, part=self._block.part())
        return self._block

    def _close(self, encoder: Any, status: str = "completed", signature: str | None = None) -> None:
        """End the open message or reasoning, if there is one."""
        block, self._block = self._block, None
        self._templates = {}
        if block is None:
            return
        part, place = block.part(), block.place
        if block.kind == "message":
            self._write(encoder, _TEXT + "done", **place, text=part["text"], logprobs=[])
            self._write(encoder, _PART + "done", **place, part=part)
            item = {**block.fields, "status": status, "content": [part]}
        else:
            self._write(encoder, _SUMMARY + "done", **place, text=part["text"])
            self._write(encoder, _SUMMARY_PART + "done", **place, part=part)
            item = {**block.fields, "summary": [part]}
        if signature is not None:
            item["encrypted_content"] = signature
        self._end_item(encoder, block.output_index, item)

    def _write_delta(self, encoder: Any, item: OpenItem, text: str, event_id: str = "") -> None:
        """Write a piece of the text of an item, whose further deltas the encoder writes."""
        event = _DELTAS[item.kind] + "delta"
        logprobs: dict[str, Any] = {"logprobs": []} if item.kind == "message" else {}
        self._write(encoder, event, **item.place, delta=text, **logprobs)
        item.pieces.append(text)  # nothing can fail after it
        template = item.template(event)
        if item.kind == "function_call":
            self._templates = {"tool_call": template, "tool_call_id": event_id}
        else:
            self._templates = {"text" if item.kind == "message" else "reasoning": template}
        self._templates["pieces"] = item.pieces

    # ---- the frames of each kind of event ----

    def _text(self, encoder: Any, event: TextDelta) -> None:
        if event.text:
            self._write_delta(encoder, self._open(encoder, "message"), event.text)

    def _reasoning(self, encoder: Any, event: ReasoningDelta) -> None:
        if event.text:
            self._write_delta(encoder, self._open(encoder, "reasoning"), event.text)

    def _reasoning_end(self, encoder: Any, event: ReasoningEnd) -> None:
        if self._block is not None and self._block.kind == "reasoning":
            self._close(encoder, signature=event.signature)
        elif event.signature is not None:
            item = {**new_reasoning(event.id), "encrypted_content": event.signature}
            self._write_item(encoder, item)

    def _citations(self, encoder: Any, event: Citations) -> None:
        for citation in event.citations:
            block = self._open(encoder, "message")
            annotation = url_citation(citation.uri, citation.start, citation.end, citation.title)
            self._write(
                encoder,
                _TEXT + "annotation.added",
                **block.place,
                annotation_index=len(block.annotations),
                annotation=annotation,
            )
            self._block = block._replace(annotations=(*block.annotations, annotation))

    def _audio(self, encoder: Any, event: AudioDelta) -> None:
        self._begin(encoder)
        self.in_step = self._has_sound = True
        # whole groups of three bytes: their base64 can be joined too
        sound = self._sound + event.audio
        whole = len(sound) - len(sound) % 3
        self._write_sound(encoder, sound[:whole])
        self._sound = sound[whole:]

    def _write_sound(self, encoder: Any, sound: bytes) -> None:
        if sound:
            data = base64.b64encode(sound).decode("ascii")
            self._write(encoder, "response.audio.delta", delta=data)

    def _open_call(self, id: str) -> OpenItem | None:
        call = self._calls.get(id)
        return None if call is None or not call.is_open else call

    def _tool_call_start(self, encoder: Any, event: ToolCallStart) -> None:
        if self._open_call(event.id) is None:
            self._close(encoder)
            call = self._add_item(encoder, new_call(event.id, event.name))
            self._calls = {**self._calls, event.id: call}

    def _tool_call_delta(self, encoder: Any, event: ToolCallDelta) -> None:
        call = self._open_call(event.id)
        if call is not None and event.text and (call.pieces or not event.text.isspace()):
            self._write_delta(encoder, call, event.text, event.id)

    def _tool_call(self, encoder: Any, event: ToolCall) -> None:
        arguments = "{}"
        if event.input is not None:
            arguments = json_bytes(event.input, errors="replace").decode()
        self._tool_call_start(encoder, ToolCallStart(event.id, event.name))
        call = self._calls[event.id]
        if not call.pieces:
            self._write_delta(encoder, call, arguments, event.id)
        text = call.text
        about = {**call.place, "name": call.fields["name"], "arguments": text}
        self._write(encoder, _ARGUMENTS + "done", **about)
        item = {**call.fields, "status": "completed", "arguments": text}
        self._end_item(encoder, call.output_index, item)
        self._calls = {**self._calls, event.id: call._replace(is_open=False)}
        self._templates = {}

    def _tool_result(self, encoder: Any, event: ToolResult) -> None:
        call = self._calls.get(event.id)
        output = event.result
        if not isinstance(output, str):
            output = json_bytes(output, errors="replace").decode()
        call_id = event.id if call is None else call.fields["call_id"]
        self._write_item(encoder, call_output(call_id, output))

    def _approval(self, encoder: Any, event: ApprovalRequest) -> None:
        call = self._calls.get(event.tool_call_id)
        self._write_item(encoder, approval_request(event.id, call, event.tool_call_id))

    def _step(self, encoder: Any, event: StepStart | FinishStep) -> None:
        self._close(encoder)
        self.in_step = False


_NEW: Final = {"message": new_message, "reasoning": new_reasoning}
_DELTAS: Final = {"message": _TEXT, "reasoning": _SUMMARY, "function_call": _ARGUMENTS}
_WRITERS: Final[dict[type[Event], Callable[[ResponsesWriter, Any, Any], None]]] = {
    TextDelta: ResponsesWriter._text,
    ReasoningDelta: ResponsesWriter._reasoning,
    ReasoningEnd: ResponsesWriter._reasoning_end,
    Citations: ResponsesWriter._citations,
    AudioDelta: ResponsesWriter._audio,
    ToolCallStart: ResponsesWriter._tool_call_start,
    ToolCallDelta: ResponsesWriter._tool_call_delta,
    ToolCall: ResponsesWriter._tool_call,
    ToolResult: ResponsesWriter._tool_result,
    ApprovalRequest: ResponsesWriter._approval,
    StepStart: ResponsesWriter._step,
    FinishStep: ResponsesWriter._step,
}
