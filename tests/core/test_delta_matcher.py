"""Frames that differ from a known one only in a text: the value of a JSON reader, or no match."""

import copy
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from twin_input import examples, outcome

PIECES = (b'{"n":', b',"t":"', b'","o":"', b'"}')
CHARACTERS = [
    b"a", b" ", b"\xc3\xa9", b"\xe2\x80\xa8", b"\xf0\x9f\x98\x80", b"\\n", b'\\"', b"\\\\", b"\\/",
    b"\\u0000", b"\\u00e9", b"\\ud83d", b"\\ude00", b"\\uD83D\\uDE00", b"\\u2028", b"\\u12", b"\\x",
    b"\\", b'"', b"\n", b"\x00", b"\x7f", b"\xff", b"\xed\xa0\x80", b"\xc3", b"\\ufeff",
    b"plain text",
]  # fmt: skip
texts = st.lists(st.sampled_from(CHARACTERS), max_size=9).map(b"".join) | st.binary(max_size=12)
numbers = st.sampled_from(
    [b"0", b"7", b"-1", b"00", b"-", b"", b"1.0", b"1e3", b"9" * 18, b"9" * 19, b"true", b"-0"]
)
others = st.sampled_from([b"", b"xyz", b'\\"', b"\xc3\xa9", b"\n", b'"', b"\x7f", b"\\u0041"])


def matcher_of(gs, kind="TextDelta"):
    return gs.core.DeltaMatcher(getattr(gs.events, kind), "message", PIECES, 1)


def strictly_read(gs, data):
    try:
        return gs.core.read_json(data)
    except ValueError:
        return None


@given(number=numbers, text=texts, other=others, cut=st.integers(0, 60))
@example(number=b"1", text=b"a", other=b"", cut=0)
@example(number=b"1", text=b"\\ud83d\\ude00" * 3, other=b"", cut=0)
@examples(600)
def test_a_match_has_the_text_that_json_has(both, number, text, other, cut):
    data = PIECES[0] + number + PIECES[1] + text + PIECES[2] + other + PIECES[3]
    for frame in (data, data[: len(data) - cut], data + b" ", b" " + data):
        found = [matcher_of(gs).match("message", frame) for gs in both]
        for gs, delta in zip(both, found, strict=True):
            if delta is not None:
                assert delta == gs.events.TextDelta(strictly_read(gs, frame)["t"])
        assert len({None if delta is None else delta.text for delta in found}) == 1


@pytest.mark.parametrize("kind", ["TextDelta", "ReasoningDelta"])
def test_every_well_formed_text_matches(gs, kind):
    matcher = matcher_of(gs, kind)
    long = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x10400)]))
    for count, text in enumerate(("a", long, "\U0010ffff\0\x7f\x85\u2028", '"\\/\b\f\n\r\t'), 1):
        for is_ascii in (True, False):
            value = json.dumps(text, ensure_ascii=is_ascii).encode()[1:-1]
            delta = matcher.match("message", b'{"n":1,"t":"%b","o":"x"}' % value)
            assert delta == getattr(gs.events, kind)(text)
            assert type(delta).__name__ == kind
            assert delta.timestamp is None
        assert matcher.count == 2 * count


@pytest.mark.parametrize(
    "data",
    [b'{"n":1,"t":"","o":"x"}', b'{"n":1,"t":"a","o":"x","t":"b"}', b'{"n":1, "t":"a","o":"x"}',
     b'{"n":1,"t":"\\ud83d","o":"x"}', b'{"n":1,"t":null,"o":"x"}', b'{"n":1,"t":"a","o":"x"', b"",
     b'{"n":1,"t":"\xed\xa0\x80","o":"x"}', bytearray(b'{"n":1,"t":"a","o":"x"}'), None,
     '{"n":1,"t":"a","o":"x"}'],
)  # fmt: skip
def test_other_frames_do_not_match(gs, data):
    matcher = matcher_of(gs)
    assert matcher.match("message", data) is None
    assert matcher.match("other", b'{"n":1,"t":"a","o":"x"}') is None
    assert matcher.match(None, b'{"n":1,"t":"a","o":"x"}') is None
    assert matcher.count == 0


def test_frames_are_read_up_to_the_first_that_differs(gs):
    frame = b'data: {"n":%d,"t":"%b","o":""}\n\n'
    body = frame % (1, b"a") + frame % (22, b"b\\n") + frame % (3, b"") + frame % (4, b"d")
    frames = gs.SSEDecoder().feed(body)
    matcher, events = matcher_of(gs), ["before"]
    assert matcher.read(frames, 0, events) == 2
    assert events == ["before", gs.events.TextDelta("a"), gs.events.TextDelta("b\n")]
    assert matcher.read(frames, 2, events) == 2
    assert matcher.read(frames, 3, events) == 4
    assert matcher.read(frames, 4, events) == 4
    assert matcher.read([gs.ServerSentEvent('{"n":1,"t":"a","o":""}', "message")], 0, events) == 0
    assert matcher.read([], 0, events) == 0
    assert len(events) == 4


def test_wrong_arguments_are_named(both):
    for wrong, message in (
        ((int, "n", (b'"', b'"')), "kind must be TextDelta or ReasoningDelta"),
        (("TextDelta", b"n", (b'"', b'"')), "name must be str, not bytes"),
        (("TextDelta", "n", [b'"', b'"']), "pieces must be a tuple of bytes"),
        (("TextDelta", "n", (b'"', '"')), "pieces must be a tuple of bytes"),
        (("TextDelta", "n", (b'"', b'"'), "0"), "text_at must be int, not str"),
        (("TextDelta", "n", (b'"',)), "pieces must have a slot 0"),
        (("TextDelta", "n", (b'"', b'"'), -1), "pieces must have a slot -1"),
        (("TextDelta", "n", (b'"', b"")), "the text, and each slot after a quote, must be"),
        (("TextDelta", "n", (b"", b'"')), "the text, and each slot after a quote, must be"),
        (("TextDelta", "n", (b'"', b'":"', b"x")), "the text, and each slot after a quote, must"),
    ):
        for gs in both:
            kind = gs.events.TextDelta if wrong[0] == "TextDelta" else wrong[0]
            with pytest.raises(gs.errors.FrameError, match=f"^{message}"):
                gs.core.DeltaMatcher(kind, *wrong[1:])
        assert len({str(outcome(gs.core.DeltaMatcher, int, *wrong[1:])) for gs in both}) == 1


def test_a_matcher_is_not_copied(gs):
    with pytest.raises(TypeError):
        copy.copy(matcher_of(gs))
