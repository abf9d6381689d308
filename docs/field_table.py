"""The table of docs/reference/fields.md: where each protocol writes each field of each event.

`python docs/field_table.py` rewrites it. Nothing in it is written by hand: a stream with a field is
written twice, with two values of the field, by each dialect that is registered. The place in the
frames that differs is where the field is written; the field is kept if the dialect's reader returns
both values. A new dialect gets its column by being registered; read_table.py has those that are
only read.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import read_table

import gaistream
from gaistream import dialects
from gaistream.events import (
    ApprovalRequest,
    AudioDelta,
    AudioFormat,
    Citation,
    Citations,
    Data,
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

PAGE = Path(__file__).parent / "reference/fields.md"
BEGIN, END = "<!-- table -->\n", "<!-- /table -->\n"
BEGIN_READ, END_READ = "<!-- read -->\n", "<!-- /read -->\n"
LOST = "–"
NOT_OF_EVENTS = {"json", "raw"}
VARIANTS: dict[str, dict[str, dialects.Dialect]] = {
    "ai_sdk": {str(version): dialects.ai_sdk(version=version) for version in (5, 6, 7)},
    "openai_chat": {"": dialects.openai_chat(include_usage=True)},
}
"""Dialects that are made with options, by what names them in a cell; others have the defaults."""


class Row(NamedTuple):
    """A field of an event.

    `build` makes the events of a stream in which it has a value, `of` reads it from an event.
    """

    name: str
    values: tuple[Any, Any]
    build: Callable[[Any], list[Event]]
    kind: type[Event]
    of: Callable[[Any], Any]


class Cell(NamedTuple):
    """Where a field is written, "" if it is not, and whether it is read back."""

    place: str
    kept: bool

    def __str__(self) -> str:
        if not self.place:
            return "kept" if self.kept else LOST
        return f"`{self.place}`" if self.kept else f"`{self.place}` (not read)"


# ---- the rows ----


def _nested(outer: str, field: str) -> Callable[[Any], Any]:
    def read(event: Any) -> Any:
        value = getattr(event, outer)
        return getattr(value[0] if isinstance(value, tuple) and value else value, field, None)

    return read


TEXT = ("value-one", "value-two")
NUMBER = (7301, 7302)
FLAG = (True, None)
CALL = ToolCall("call-1", "search", {"q": 1})


def row(
    kind: type[Event], field: str, values: tuple[Any, Any], build: Callable[[Any], Any],
    inner: str = "", note: str = "",
) -> Row:  # fmt: skip
    """Return the row of a field, or of a field of its value."""
    name = f"`{kind.__name__}.{field}" + (f".{inner}`" if inner else "`")
    of = _nested(field, inner) if inner else (lambda event: getattr(event, field))
    return Row(name + note, values, lambda v: _list(build(v)), kind, of)


def _content() -> Iterator[Row]:
    yield row(Start, "id", TEXT, lambda v: Start(v, "m"))
    yield row(Start, "model", TEXT, lambda v: Start("answer-1", v))
    yield row(TextDelta, "text", TEXT, TextDelta)
    yield row(ReasoningDelta, "text", TEXT, ReasoningDelta)
    for field in ReasoningEnd.__match_args__:
        # an id is of use only with what must go back
        others = {} if field != "id" else {"signature": "signed"}
        yield row(ReasoningEnd, field, TEXT, lambda v, field=field, others=others: [
            ReasoningDelta("hm"), ReasoningEnd(**{field: v}, **others)])  # fmt: skip
    yield row(AudioDelta, "audio", (b"abc", b"def"), AudioDelta)
    audio = {"mime": ("audio/wav", "audio/pcm"), "sample_rate": (8000, 24000), "channels": (1, 2),
             "bit_depth": (8, 16)}  # fmt: skip
    for field, values in audio.items():
        yield row(AudioDelta, "format", values, lambda v, field=field: AudioDelta(
            b"abc", AudioFormat(**{"mime": "audio/wav", field: v})), field)  # fmt: skip
    yield row(
        File, "media_type", ("image/png", "image/gif"), lambda v: File(v, "https://a.example")
    )
    yield row(File, "url", ("https://a.example", "https://b.example"), lambda v: File("a/b", v))
    yield row(File, "data", (b"abc", b"def"), lambda v: File("a/b", data=v))


def _calls() -> Iterator[Row]:
    yield row(ToolCallStart, "id", TEXT, lambda v: [ToolCallStart(v, "f"), ToolCall(v, "f")])
    yield row(ToolCallStart, "name", TEXT, lambda v: [ToolCallStart("1", v), ToolCall("1", v)])
    yield row(ToolCallStart, "provider_executed", FLAG, lambda v: [
        ToolCallStart("1", "web_search", v), ToolCall("1", "web_search", {}, None, v)])  # fmt: skip
    yield row(ToolCallDelta, "id", TEXT, lambda v: [
        ToolCallStart(v, "f"), ToolCallDelta(v, "[1]"), ToolCall(v, "f", [1])])  # fmt: skip
    yield row(ToolCallDelta, "text", ("[7301]", "[7302]"), lambda v: [
        ToolCallStart("1", "f"), ToolCallDelta("1", v), ToolCall("1", "f", [])])  # fmt: skip
    yield row(ToolCall, "id", TEXT, lambda v: ToolCall(v, "f", {}))
    yield row(ToolCall, "name", TEXT, lambda v: ToolCall("1", v, {}))
    yield row(ToolCall, "input", TEXT, lambda v: ToolCall("1", "f", v))
    yield row(ToolCall, "signature", TEXT, lambda v: ToolCall("1", "f", {}, v))
    yield row(ToolCall, "provider_executed", FLAG, lambda v: ToolCall(
        "1", "web_search", {}, None, v))  # fmt: skip
    yield row(ToolResult, "id", TEXT, lambda v: [ToolCall(v, "f"), ToolResult(v, "f", 1)])
    yield row(ToolResult, "name", TEXT, lambda v: [ToolCall("1", v), ToolResult("1", v, 1)])
    yield row(ToolResult, "result", TEXT, lambda v: [CALL, ToolResult("call-1", "search", v)])
    yield row(ToolResult, "is_error", FLAG, lambda v: [
        CALL, ToolResult("call-1", "search", "no", v)])  # fmt: skip
    yield row(ToolResult, "provider_executed", FLAG, lambda v: [
        CALL, ToolResult("call-1", "search", 1, None, v)])  # fmt: skip
    found = ([{"type": "web_search_result", "url": "a"}], [{"type": "web_search_result"}])
    yield row(ToolResult, "result", found, lambda v: [
        ToolCall("1", "web_search", {}, None, True), ToolResult("1", "web_search", v, None, True),
    ], note=", of `web_search`")  # fmt: skip


def _judgements() -> Iterator[Row]:
    approval = {"id": TEXT, "message": TEXT, "reason": TEXT, "response_schema": TEXT,
                "signature": TEXT}  # fmt: skip
    for field in ApprovalRequest.__match_args__:
        if field == "tool_call_id":
            yield row(ApprovalRequest, field, TEXT, lambda v: [
                ToolCall(v, "f"), ApprovalRequest("ask", v)])  # fmt: skip
        else:
            yield row(
                ApprovalRequest,
                field,
                approval[field],
                lambda v, field=field: [
                    CALL,
                    ApprovalRequest(**{"id": "ask", "tool_call_id": "call-1", field: v}),
                ],
            )
    citation = {"uri": TEXT, "start": (2, 3), "end": (7301, 7302), "title": TEXT}
    for field, values in citation.items():
        fields = {"uri": "https://a.example", "start": 1, "end": 7300}
        yield row(Citations, "citations", values, lambda v, field=field, fields=fields: [
            TextDelta("cited"), Citations([Citation(**{**fields, field: v})])], field)  # fmt: skip
    safety = {"category": TEXT, "action": ("block", "warn"), "score": (0.25, 0.5), "note": TEXT}
    for field, values in safety.items():
        yield row(Safety, field, values, lambda v, field=field: Safety(
            **{"category": "violence", "action": "block", field: v}))  # fmt: skip


def _ends() -> Iterator[Row]:
    yield row(Data, "name", ("one", "two"), lambda v: Data(v, 1))
    yield row(Data, "data", TEXT, lambda v: Data("weather", v))
    yield row(Data, "id", TEXT, lambda v: Data("weather", 1, v))
    yield row(Data, "transient", FLAG, lambda v: Data("weather", 1, None, v))
    yield row(StepStart, "step_number", NUMBER, lambda v: [StepStart(v), TextDelta("a")])
    yield row(StepStart, "name", TEXT, lambda v: [StepStart(1, v), TextDelta("a")])
    yield row(FinishStep, "step_number", NUMBER, lambda v: [TextDelta("a"), FinishStep(v)])
    yield Row(
        "`StepReset`, after a part of the step",
        FLAG,
        lambda v: [TextDelta("a"), *([StepReset()] if v else [])],
        StepReset,
        bool,
    )
    yield row(Raw, "raw", TEXT, Raw)
    usage = dict.fromkeys(Usage.__match_args__, NUMBER)
    for field, values in usage.items():
        fields = {"input_tokens": 9000, "output_tokens": 8000}
        yield row(Finish, "usage", values, lambda v, field=field, fields=fields: Finish(
            Usage(**{**fields, field: v}), "stop"), field)  # fmt: skip
    yield row(Finish, "finish_reason", ("length", "content_filter"), lambda v: Finish(None, v))
    yield row(
        Finish, "raw_reason", ("stop_sequence", "end_turn"), lambda v: Finish(None, "stop", v)
    )
    error = {"message": TEXT, "code": TEXT, "retry_after": NUMBER}
    for note, after in ((", last", []), (", more follows", [TextDelta("b")])):
        for field, values in error.items():
            yield row(
                Error,
                field,
                values,
                lambda v, field=field, after=after: [
                    TextDelta("a"),
                    Error(**{"message": "no", field: v}),
                    *after,
                ],
                note=note,
            )
    known = ("overloaded_error", "rate_limit_error")
    yield row(Error, "code", known, lambda v: [TextDelta("a"), Error("no", v)],
              note=", last, of OpenAI's and Anthropic's types")  # fmt: skip
    yield Row("`Done`", FLAG, lambda v: [TextDelta("a"), *([Done()] if v else [])], Done, bool)


def _list(built: Any) -> list[Event]:
    return built if isinstance(built, list) else [built]


ROWS = [*_content(), *_calls(), *_judgements(), *_ends()]


# ---- a cell ----


def _written(dialect: dialects.Dialect, stream: list[Event]) -> bytes:
    """Return the body of a stream; what is random or the time in it is made constant."""
    number = itertools.count()
    if type(stream[0]) is not Start:
        stream = [Start("answer-1", "m"), *stream]
    with (
        mock.patch("time.time", return_value=0.0),
        mock.patch("os.urandom", side_effect=lambda size: next(number).to_bytes(size)),
    ):
        try:
            return gaistream.encode_events(stream, _format(dialect), dialect)
        except gaistream.errors.GaistreamError:
            return b""  # a protocol that can't say that it failed


def _format(dialect: dialects.Dialect) -> Any:
    return "sse" if "sse" in dialect.writes else "ndjson"


def _frames(dialect: dialects.Dialect, body: bytes) -> list[dict[str, Any]]:
    """Return the fields of each frame by their paths, and the frame's kind by `""`."""
    if _format(dialect) == "ndjson":
        return [{"the body": body}]
    frames = []
    for frame in map(dialects.Frame.of_event, gaistream.SSEDecoder().feed(body)):
        fields = dict(_leaves(frame.fields)) if frame.fields else {}
        kind = frame.kind if frame.kind != "message" else next(iter(fields), frame.data)
        frames.append({"": kind, **fields})
    return frames


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value:
        for inner in value:
            yield from _leaves(inner, f"{path}[]")
    else:
        yield path, value


def _place(row: Row, frames: list[dict[str, Any]], others: list[dict[str, Any]]) -> str:
    """Return the path of the difference between the frames of a row's two values.

    Where a protocol writes a field twice, it is the place that has the value as it is. If only the
    first value makes a frame, it is the kind of that.
    """
    if len(frames) == len(others):
        found = [
            (frame.get(path), path)
            for frame, other in zip(frames, others, strict=True)
            for path in {**frame, **other}
            if path and frame.get(path) != other.get(path)
        ]
        exact = [path for value, path in found if value == row.values[0]]
        return (exact or [path for _, path in found] or [""])[0]
    if len(frames) < len(others):
        return ""
    return next(frame[""] for frame in reversed(frames) if frame not in others)


def _read(dialect: dialects.Dialect, body: bytes) -> list[Event]:
    format = _format(dialect)
    if format not in dialect.reads:
        return []
    return list(gaistream.read_events(body, format=format, dialect=dialect))


def cell(row: Row, dialect: dialects.Dialect) -> Cell:
    """Return where a dialect writes a field, and whether its reader returns it."""
    kept = True
    ends = [] if row.kind is Done else [Done()]
    streams = [[*row.build(value), *ends] for value in row.values]
    bodies = [_written(dialect, stream) for stream in streams]
    for value, body in zip(row.values, bodies, strict=True):
        found = [row.of(event) for event in _read(dialect, body) if type(event) is row.kind]
        kept = kept and (value in found if value else not any(found))
    frames = [_frames(dialect, body) for body in bodies]
    if not kept:  # the value may stand in frames of other events, such as a call's id
        for each, stream in zip(frames, streams, strict=True):
            context = [event for event in stream if type(event) is not row.kind]
            around = _frames(dialect, _written(dialect, context))
            each[:] = [frame for frame in each if frame not in around]
    return Cell(_place(row, *frames), kept)


def cells(name: str, row: Row) -> str:
    """Return the cell of a dialect, with the variants that differ."""
    variants = VARIANTS.get(name) or {"": dialects.find(name)}
    found: dict[str, list[str]] = {}
    for variant, dialect in variants.items():
        assert dialect is not None
        found.setdefault(str(cell(row, dialect)), []).append(variant)
    if len(found) == 1:
        return next(iter(found))
    return "; ".join(f"{', '.join(names)}: {place}" for place, names in found.items())


def columns() -> list[str]:
    """Return the names of the dialects that are written from events."""
    found = {name: dialects.find(name) for name in dialects.NAMES if name not in NOT_OF_EVENTS}
    return [name for name, dialect in found.items() if dialect is not None and dialect.writes]


def table() -> str:
    """Return the table as Markdown."""
    names = columns()
    lines = ["| field | " + " | ".join(f"`{name}`" for name in names) + " |",
             "|---|" + "---|" * len(names)]  # fmt: skip
    for row in ROWS:
        shown = [cells(name, row).replace("|", "\\|") for name in names]
        lines.append(f"| {row.name} | " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


def page() -> str:
    """Return the page with its tables."""
    text = _with(PAGE.read_text("utf-8"), BEGIN, table(), END)
    return _with(text, BEGIN_READ, read_table.table([row.name for row in ROWS]), END_READ)


def _with(text: str, begin: str, table: str, end: str) -> str:
    before, _, rest = text.partition(begin)
    return before + begin + "\n" + table + "\n" + end + rest.partition(end)[2]


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
