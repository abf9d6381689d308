"""Uses of the encoders and of frame templates: see every_name.py."""

from __future__ import annotations

import copy
from types import ModuleType
from typing import Any

from every_event import WIDE, refused


def numbered_template(gs: ModuleType) -> list[Any]:
    template = gs.FrameTemplate.of({"text": "SLOT", "n": 1}, "SLOT", number=1)
    room = bytearray(60)
    wide = gs.FrameTemplate(b"p" * 33, b"s" * 65, middle=b"m" * 17)
    return [
        template.render(WIDE, number=2**53 - 1), repr(copy.copy(template)), template.middle,
        template.render_many(["a", WIDE, "b" * 500], "replace", 9), wide.render("x", number=10),
        template.render_into(room, 3, "x", number=0), room, refused(template.render, "x"),
        refused(template.render, "\ud800", number=1), refused(template.render, 5, number=1),
        refused(template.render_into, bytearray(2), 0, "x", number=1),
        refused(gs.FrameTemplate.of, {"a": "SLOT"}, "SLOT", number=1),
        refused(gs.FrameTemplate, b"", b"", middle=5),
    ]  # fmt: skip


def frame_template(gs: ModuleType) -> Any:
    template = gs.FrameTemplate(b"data: ", b"\n\n")
    made = gs.FrameTemplate.of({"text": "SLOT", "n": 1}, "SLOT", event="e")
    room = bytearray(200)
    return [
        template.render(WIDE), template.render_many(["a", WIDE, "b" * 500, "\x01" * 300]),
        template.render_many(["\ud800"] * 3, "replace"), template.render_into(room, 3, WIDE[:9]),
        made.render("x"), repr(made), [each.prefix for each in (made, copy.copy(made))],
        gs.FrameTemplate(b"", b"").render(""), gs.FrameTemplate(b"p" * 33, b"s" * 65).render("x"),
        refused(template.render_many, ["a", 5]), refused(template.render, "\ud800"),
        refused(template.render_into, bytearray(2), 0, "x"), refused(gs.FrameTemplate, "", b""),
        *numbered_template(gs),
        refused(gs.FrameTemplate.of, {"a": "b"}, "SLOT"), refused(setattr, made, "prefix", b""),
        bytes(room),
    ]  # fmt: skip


class Scripted:
    """A dialect that writes what it is given, and refuses numbers."""

    joins_text = True

    def __init__(self, gs: ModuleType) -> None:
        self.text_template = gs.FrameTemplate(b"data: ", b"\n\n")
        self.reasoning_template = None

    def write(self, frames: Any, item: Any) -> None:
        frames.write_ready(b"id: before\n\n")
        if isinstance(item, type(self.text_template)):
            frames.set_templates(
                text=item, reasoning=item, tool_call=item, tool_call_id="x")
            frames.sequence += 1
            return
        frames.set_templates(text=self.text_template)
        if isinstance(item, int):
            raise LookupError(item)
        frames.write_ready(repr(item).encode())

    fail = write

    def finish(self, frames: Any) -> None:
        frames.write_ready(b"end\n\n")


def common(gs: ModuleType, frames: Any) -> list[Any]:
    """Use what both framings have."""
    room = bytearray(4000)
    frames.write("text")
    frames.write(gs.events.TextDelta(WIDE))
    frames.write_many(["a", gs.events.Done(), gs.events.ReasoningDelta("b")])
    seen = [refused(frames.write, 5), refused(frames.write_many, ["c", 6]), frames.pending]
    template = gs.FrameTemplate(b"(", b")", middle=b",")
    deltas = [gs.events.ToolCallDelta(each, WIDE) for each in "xy"]
    frames.write_many([template, "a", gs.events.ReasoningDelta("\u2028"), *deltas])
    frames.write(template)
    seen += [refused(frames.write, 5), frames.encode_many(["b", None, "c"]), frames.sequence]
    seen += [refused(frames.set_templates, text=5), refused(setattr, frames, "sequence", -1)]
    seen += [refused(frames.set_templates, tool_call_id="x")]
    frames.write("d")
    frames.join_halves()
    frames.write_many(["a\ud83d", "\ude00", "\ud83d"])
    frames.write_heartbeat()
    seen += [refused(frames.take_into, bytearray(2)), frames.take_into(room, 3), bytes(room)]
    frames.write("x" * 20_000)
    seen += [frames.take(), refused(frames.fail, 7)]
    frames.finish()
    return [*seen, frames.ended, frames.failed, refused(frames.write, "x"), frames.take()]


def sse_frames(gs: ModuleType) -> Any:
    frames = gs.core.BaseSSEEncoder(Scripted(gs), 16, "replace", True)
    frames.write_prelude(5000)
    frames.write_comment("a\nb")
    frames.write_frame(WIDE, "event", retry=5)
    frames.write_frame(json=[1], id="own")
    frames.write_event("name", {"a": 1})
    frames.write_event("name", "text")
    frames.write_sse_event(gs.ServerSentEvent("data", id="1"))
    seen = [refused(frames.write_frame, "x", "a\nb"), frames.last_id]
    other = gs.core.BaseSSEEncoder(Scripted(gs), 16, "strict", False, lambda _: b"dumped")
    other.write_frame(json=object())
    return [*seen, other.take(), *common(gs, frames)]


def ndjson_frames(gs: ModuleType) -> Any:
    frames = gs.core.BaseNDJSONEncoder(Scripted(gs))
    frames.write_line({"a": WIDE})
    frames.write_text_line('{"ready":1}')
    other = gs.core.BaseNDJSONEncoder(Scripted(gs), 8, "strict", lambda _: b"dumped")
    other.write_line(1)
    return [refused(frames.write_text_line, "a\nb"), refused(frames.write_line, object()),
            common(gs, frames), other.take(), refused(other.write, "\ud800")]
