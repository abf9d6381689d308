"""Frame templates with a second slot, for a number."""

import copy
import pickle

import pytest

LARGEST = 2**53 - 1


def test_the_number_stands_after_the_text(gs):
    template = gs.FrameTemplate(b'{"t":"', b"}\n", middle=b'","n":')
    assert template.middle == b'","n":'
    for text in ("", 'a"', "é\u2028", "x" * 300, "\U0001f600" * 200):
        for number in (0, 7, 10, LARGEST):
            frame = template.render(text, number=number)
            middle = template.render(text, "strict", 0)[: -len(b"0}\n")]
            assert frame == b"%b%d}\n" % (middle, number)
            room = bytearray(len(frame) + 2)
            assert template.render_into(room, 1, text, number=number) == len(frame) + 1
            assert room == b"\0" + frame + b"\0"
    expected = b'{"t":"a","n":9}\n{"t":"b","n":10}\n'
    for texts in (["a", "b"], iter("ab")):
        assert template.render_many(texts, number=9) == expected
    assert template.render("\ud800", "replace", 1) == '{"t":"\ufffd","n":1}\n'.encode()


def test_the_parts_may_have_any_size(gs):
    for size in (0, 1, 15, 16, 17, 100):
        parts = [letter * size for letter in (b"p", b"s", b"m")]
        frame = gs.FrameTemplate(*parts).render("text", number=5)
        assert frame == b"%btext%b5%b" % (parts[0], parts[2], parts[1])


def test_a_number_without_a_slot_and_a_slot_without_a_number_are_refused(gs):
    plain, numbered = gs.FrameTemplate(b"<", b">"), gs.FrameTemplate(b"<", b">", middle=b",")
    room = bytearray(50)
    for template, number, message in (
        (plain, 1, "number must be None: the template has no slot for it"),
        (numbered, None, "number must be given: the template has a slot for it"),
        (numbered, -1, f"number must be from 0 to {LARGEST}, not -1"),
        (numbered, 2**53, f"number must be from 0 to {LARGEST}, not {2**53}"),
        (numbered, 1.0, "number must be int, not float"),
        (numbered, True, "number must be int, not bool"),
    ):
        for use in (
            lambda: template.render("a", number=number),
            lambda: template.render_many(["a"], number=number),
            lambda: template.render_into(room, 0, "a", number=number),
        ):
            with pytest.raises(gs.errors.FrameError, match=f"^{message}$"):
                use()
    assert room == bytes(50)
    for use in (lambda: numbered.render("\ud800", number=1), lambda: numbered.render(5, number=1)):
        with pytest.raises((UnicodeEncodeError, TypeError)):
            use()
    with pytest.raises(gs.errors.BufferTooSmall):
        numbered.render_into(bytearray(4), 0, "ab", number=1)
    with pytest.raises(gs.errors.FrameTypeError, match=r"^middle must be bytes or None, not str$"):
        gs.FrameTemplate(b"", b"", middle="x")


def test_a_template_is_made_from_a_payload_with_a_number(gs):
    payload = {"type": "1-7", "i": 17, "d": "SLOT", "f": 7.5, "n": 7, "m": [-7, 70, "7"]}
    for options in ({}, {"event": "e7"}, {"format": "ndjson"}):
        template = gs.FrameTemplate.of(payload, "SLOT", number=7, **options)
        written = payload | {"d": 'x"7', "n": 123}
        if "format" in options:
            expected = gs.encode_ndjson(written)
        else:
            expected = gs.encode_sse(event=options.get("event"), json=written)
        assert template.render('x"7', number=123) == expected


@pytest.mark.parametrize(
    ("payload", "number", "message"),
    [
        ({"t": "SLOT"}, 7, "number must stand in the payload once, not 0 times"),
        ({"t": "SLOT", "a": "7", "7": 7.0}, 7, "number must stand in the payload once, not 0 "),
        ({"t": "SLOT", "a": [7, 7]}, 7, "number must stand in the payload once, not 2 times"),
        ({"n": 7, "t": "SLOT"}, 7, "number must stand after the slot in the payload"),
        ({"t": "SLOT", "a": -1}, -1, "number must be from 0 to"),
        ({"t": "SLOT", "a": True}, True, "number must be int, not bool"),
    ],
)
def test_a_payload_without_one_number_after_the_slot_is_refused(gs, payload, number, message):
    with pytest.raises(gs.errors.FrameError, match=f"^{message}"):
        gs.FrameTemplate.of(payload, "SLOT", number=number)


def test_it_is_copied_pickled_and_shown_with_its_middle(gs, both):
    template = gs.FrameTemplate(b"a", b"b", middle=b"c")
    assert repr(template) == "FrameTemplate(b'a', b'b', middle=b'c')"
    for again in (copy.copy(template), copy.deepcopy(template)):
        assert again.render("-", number=1) == b"a-c1b"
    with pytest.raises(AttributeError):
        template.middle = b"d"
    again = pickle.loads(pickle.dumps(both[0].FrameTemplate(b"a", b"b", middle=b"c")))
    assert again.render("-", number=1) == b"a-c1b"
