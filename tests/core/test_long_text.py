"""Long text is copied before it is known to be plain: the bytes are those of short text."""

import json

import pytest

PLACES = [0, 255, 256, 1023, 1024, 4095, 4096, 8191, 8192, 65_535, 65_536, 69_999]
SIZE = 70_000


def with_one(character, at):
    return "x" * at + character + "y" * (SIZE - at - 1)


@pytest.mark.parametrize("character", ['"', "\\", "\n", "\x1f", "\x7f", "é", "\u2028", "😀"])
def test_a_long_text_is_escaped_wherever_its_first_escape_is(gs, character):
    template = gs.FrameTemplate(b'data: "', b'"\n\n')
    for at in PLACES:
        text = with_one(character, at)
        escaped = gs.core.escape_json(text)
        assert escaped == b"x" * at + gs.core.escape_json(character) + b"y" * (SIZE - at - 1)
        assert json.loads(b'"' + escaped + b'"') == text
        frame = b'data: "' + escaped + b'"\n\n'
        assert template.render(text) == frame
        assert template.render_many(["a", text, "b"]) == b'data: "a"\n\n' + frame + b'data: "b"\n\n'


def test_a_long_delta_of_a_numbered_stream_is_written_once(gs):
    encoder = gs.SSEEncoder(gs.SSEOptions(include_id=True))
    texts = ["first", with_one("x", 0), with_one('"', SIZE - 1), "last"]
    encoder.write_many(map(gs.events.TextDelta, texts))
    frames = encoder.take().decode().split("\n\n")
    assert frames.pop() == ""
    for number, (frame, text) in enumerate(zip(frames, texts, strict=True), 1):
        id_line, event, data = frame.split("\n")
        assert (id_line, event) == (f"id: {number}", "event: text_delta")
        assert json.loads(data.removeprefix("data: ")) == {"text": text}


@pytest.mark.parametrize("end", ["", "\n", "\r", "\r\n", "\x0b"])
@pytest.mark.parametrize("kind", ["ascii", "non-ascii", "bytes"])
def test_long_data_is_framed_alike_by_every_writer(gs, end, kind):
    for at in PLACES:
        text = with_one(end, at)
        text = f"é{text}" if kind == "non-ascii" else text
        data = text.encode() if kind == "bytes" else text
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        expected = "id: 7\n" + "".join(f"data: {line}\n" for line in lines) + "\n"
        assert gs.encode_sse(data, id=7) == expected.encode()
        encoder = gs.SSEEncoder()
        encoder.write_comment("before")
        before = encoder.pending
        encoder.write_frame(data, id=7)
        assert encoder.take()[before:] == expected.encode()
        buffer = bytearray(b"~" * len(expected.encode()))
        assert gs.encode_sse_into(buffer, 0, data, id=7) == len(buffer)
        assert buffer == expected.encode()


def test_a_long_frame_that_does_not_fit_leaves_the_buffer_as_it_was(gs):
    text = with_one("\n", SIZE - 1)
    buffer = bytearray(SIZE + 8)  # enough for one line
    with pytest.raises(gs.errors.BufferTooSmall) as caught:
        gs.encode_sse_into(buffer, 0, text)
    assert caught.value.needed == SIZE + 14
    assert buffer == bytearray(SIZE + 8)
