"""Fuzzing of frame templates: any prefix, suffix and text, by each way of rendering."""

from twins import fuzz, outcome


def render(core, draw):
    """Give all that a template gives."""
    template = core.FrameTemplate(draw.octets(), draw.octets())
    errors = draw.one(("strict", "replace"))
    text = draw.text()
    room = bytearray(draw.one((0, 40, 200, 9000)))
    texts = [draw.text() for _ in range(draw.whole(4))]
    seen = [
        outcome(template.render, text, errors),
        outcome(template.render_many, texts, errors),
        outcome(template.render_into, room, draw.whole(50), text, errors),
        bytes(room),
    ]
    slot, key, other = (draw.provider.ConsumeUnicode(draw.whole(6)) for _ in range(3))
    payload = {key: slot, "n": [other, draw.one((1, 2.5, None))]}
    for named in ({"event": draw.text(5)}, {"format": "ndjson"}):
        made = outcome(core.FrameTemplate.of, payload, slot, **named)
        seen.append(made)
    return seen


if __name__ == "__main__":
    fuzz(render)
