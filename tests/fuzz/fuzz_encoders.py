"""Fuzzing of what stands under every stream: any sequence of writes, takes and failures."""

from fuzz_frames import fields
from twins import fuzz, outcome


class Dialect:
    """Writes the steps that an item, a list, tells; refuses other items."""

    def __init__(self, core, draw):
        self.draw = draw
        self.text_template = core.FrameTemplate(draw.octets(20), draw.octets(20))
        self.reasoning_template = draw.one((None, self.text_template))

    def write(self, frames, item):
        if not isinstance(item, list):
            raise LookupError(type(item).__name__)
        for each in item:
            if callable(each):
                each(frames)
            else:
                frames.write_ready(each)

    fail = write

    def finish(self, frames):
        frames.write_ready(b"(end)")


def written(core, draw, frames):
    """Do one step of a stream."""
    choice = draw.whole(10)
    if choice < 2:
        return outcome(frames.write, draw.text())
    if choice == 2:
        kind = draw.one((core.TextDelta, core.ReasoningDelta))
        return outcome(frames.write, kind(draw.text()))
    if choice == 3:
        return outcome(frames.write_many, [draw.text(9) for _ in range(draw.whole(4))])
    if choice == 4:
        inner = [draw.octets(9), lambda each: each.write(draw.text(9)), lambda each: each.take()]
        return outcome(frames.write, draw.one((inner[:1], inner[:2], inner, [*inner, 5], 5)))
    if choice == 5:
        return outcome(frames.take)
    if choice == 6:
        room = bytearray(draw.one((0, 30, 300, 30_000)))
        return outcome(frames.take_into, room, draw.whole(9)), bytes(room)
    if choice == 7:
        return outcome(frames.write_ready, draw.readable())
    if choice == 8:
        return outcome(frames.write_heartbeat)
    if hasattr(frames, "write_line"):
        payload = draw.text()
        return outcome(frames.write_line, payload), outcome(frames.write_text_line, payload)
    if choice == 9:
        return outcome(frames.write_prelude, draw.one((None, draw.whole(9))))
    named = fields(draw)
    del named["errors"]
    return outcome(frames.write_frame, **named)


def stream(core, draw):
    """Give all that happens to the frames of this twin."""
    dialect, size, errors = Dialect(core, draw), draw.one((1, 16, 8192)), draw.one(
        ("strict", "replace"))  # fmt: skip
    if draw.whole(2):
        frames = core.BaseSSEEncoder(dialect, size, errors, bool(draw.whole(1)))
    else:
        frames = core.BaseNDJSONEncoder(dialect, size, errors)
    seen = []
    while draw.more() and len(seen) < 80:
        seen.append(written(core, draw, frames))
        seen.append([frames.pending, frames.failed, frames.ended, getattr(frames, "last_id", 0)])
    end = draw.one((frames.finish, lambda: frames.fail([b"failed"]), lambda: frames.fail(5)))
    return seen, outcome(end), outcome(frames.write, "x"), frames.take()


if __name__ == "__main__":
    fuzz(stream)
