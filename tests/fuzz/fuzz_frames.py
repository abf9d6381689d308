"""Fuzzing of one frame out: encode_sse with any fields, into bytes and into a buffer."""

from twins import fuzz, outcome

LINES = ("", "\n", "\r", "\r\n", "\n\n", "a\n", "\0", "data: ")


def fields(draw):
    """Draw the arguments of a frame."""
    named = {"errors": draw.one(("strict", "replace"))}
    which = draw.whole(63)
    if which & 1:
        named["data"] = draw.readable()
    if which & 2:
        named["event"] = draw.text()
    if which & 4:
        named["id"] = draw.one((draw.text(), draw.provider.ConsumeInt(9)))
    if which & 8:
        named["retry"] = draw.provider.ConsumeInt(9)
    if which & 16:
        named["comment"] = draw.text() + draw.one(LINES) + draw.text(5)
    if which & 32 and not which & 1:
        named["json"] = draw.one((draw.text(), [draw.text(), 1.5], {draw.text(9): None}))
    elif which & 1 and isinstance(named["data"], str):
        named["data"] += draw.one(LINES) * draw.one((1, 2, 63, 64, 65, 66)) + draw.text(9)
    return named


def encode(core, draw):
    """Give what encoders of single frames make of these fields."""
    named = fields(draw)
    room = bytearray(draw.one((0, 5, 30, 100, 1000)))
    offset = draw.whole(40)
    seen = [outcome(core.encode_sse, **named)]
    seen.append(outcome(core.encode_sse_into, room, offset, **named))
    if len(room) >= 30:  # the frame goes where its data stands
        own = memoryview(room)[: draw.whole(30)]
        seen.append(outcome(core.encode_sse_into, room, draw.whole(9), own, errors="replace"))
    text = draw.text()
    seen.append(outcome(core.encode_sse, text, draw.one((None, text[:9]))))
    seen += [outcome(core.encode_comment, text), outcome(core.escape_json, text, named["errors"])]
    return seen, bytes(room)


if __name__ == "__main__":
    fuzz(encode)
