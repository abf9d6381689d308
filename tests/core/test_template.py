"""Frame templates: the text escaped as JSON demands, in every storage that a str can have."""

import copy
import json
import pickle

import pytest

SMILE = "😀"
SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}
ALWAYS = {"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}
CONTROL = {chr(code): f"\\u{code:04x}" for code in range(0x20)}
ESCAPES = CONTROL | SHORT | ALWAYS
AS_THEY_ARE = ["/", "<", ">", "&", "'", "\x7f", "\x80", "\xa0", "ÿ", "Ā", "\u07ff", "\u0800"]
AS_THEY_ARE += ["\u2027", "\u202a", "\ud7ff", "\ue000", "\ufeff", "\uffff", "\U00010000", SMILE]
AS_THEY_ARE += ["\U0010ffff"]


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize("character", [*ESCAPES, *AS_THEY_ARE], ids=ascii)
@pytest.mark.parametrize("around", ["", "a", "é", "漢", SMILE], ids=ascii)
def test_each_character_is_escaped_in_each_storage(gs, character, around):
    expected = ESCAPES.get(character, character)
    for before in (0, 1, 7, 8, 9, 300):
        text = "x" * before + around + character + around
        escaped = "x" * before + around + expected + around
        assert gs.core.escape_json(text) == escaped.encode()
        assert json.loads(f'"{escaped}"') == text


def test_an_escape_is_found_at_every_place_of_a_word(gs):
    for length in range(1, 40):
        for at in range(length):
            for character in ('"', "\\", "\x1f", "\0", "~"):
                text = "a" * at + character + "b" * (length - at - 1)
                expected = "a" * at + ESCAPES.get(character, character) + "b" * (length - at - 1)
                assert gs.core.escape_json(text) == expected.encode()


TEXTS = ["", "Hello", 'a"b\\c\nd', "é\x85", "漢字\u2028", SMILE, "x" * 256, "\0" * 256]
TEXTS += ["x" * 257, "\0" * 257, "é" * 257, "\u2028" * 5000, SMILE * 5000, Text("sub\n"), Text("é")]
HOSTILE = ["\ud800", "\udfff", "a\ud83d", "\ude00b", "é\ud800" * 200, SMILE + "\udc00\n"]


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:6]) + str(len(text)))
def test_every_way_of_rendering_gives_the_same(gs, text):
    template = gs.FrameTemplate(b'data: {"t":"', b'"}\n\n')
    expected = b'data: {"t":"' + gs.core.escape_json(text) + b'"}\n\n'
    assert template.render(text) == expected
    assert template.render(text, "replace") == expected
    assert template.render_many([text, "-", text]) == expected + template.render("-") + expected
    room = bytearray(len(expected) + 9)
    assert template.render_into(room, 4, text) == len(room) - 5
    assert room == bytes(4) + expected + bytes(5)
    assert gs.encode_sse(json={"t": text}) == expected


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:3]))
def test_a_lone_surrogate_raises_or_is_replaced(gs, text):
    template = gs.FrameTemplate(b"<", b">")
    repaired = "".join("\ufffd" if "\ud800" <= each <= "\udfff" else each for each in text)
    expected = template.render(repaired)
    room = bytearray(b"#" * len(expected))
    with pytest.raises(UnicodeEncodeError) as caught:
        template.render(text)
    first = next(index for index, each in enumerate(text) if "\ud800" <= each <= "\udfff")
    assert (caught.value.object, caught.value.start) == (text, first)
    with pytest.raises(UnicodeEncodeError):
        template.render_many(["fine", text])
    with pytest.raises(UnicodeEncodeError):
        template.render_into(room, 0, text)
    assert room == b"#" * len(room)
    assert template.render(text, errors="replace") == expected
    assert template.render_many([text, text], "replace") == expected * 2
    assert template.render_into(room, 0, text, "replace") == len(room)
    assert room == expected


def test_many_texts_may_come_from_any_iterable(gs):
    template = gs.FrameTemplate(b"(", b")")
    assert template.render_many([]) == b""
    assert template.render_many(letter for letter in "ab") == b"(a)(b)"
    assert template.render_many("ab") == b"(a)(b)"
    assert template.render_many(["x" * 100] * 1000) == (b"(" + b"x" * 100 + b")") * 1000
    with pytest.raises(gs.errors.FrameTypeError, match=r"^text must be str, not int$"):
        template.render_many(["a", 5])
    with pytest.raises(ZeroDivisionError):
        template.render_many(str(1 // left) for left in (1, 0))


def test_a_buffer_that_is_too_small_is_not_written_to(gs):
    template = gs.FrameTemplate(b"data: ", b"\n\n")
    needed = len(template.render("é\n"))
    for size in range(needed):
        room = bytearray(b"#" * (size + 2))
        with pytest.raises(gs.errors.BufferTooSmall) as caught:
            template.render_into(room, 2, "é\n")
        assert (caught.value.needed, caught.value.available) == (needed, size)
        assert room == b"#" * (size + 2)
        room.extend(bytes(needed))  # no view is held, not even by the error
    assert template.render_into(bytearray(needed), 0, "é\n") == needed


WRONG = {
    "text of bytes": (lambda t, _: t.render(b"x"), "FrameTypeError", "text must be str, not bytes"),
    "text of None": (
        lambda t, _: t.render_into(bytearray(9), 0, None),
        "FrameTypeError",
        "text must be str, not NoneType",
    ),
    "errors": (
        lambda t, _: t.render("x", "ignore"),
        "FrameError",
        "errors must be 'strict' or 'replace', not 'ignore'",
    ),
    "offset": (
        lambda t, _: t.render_into(bytearray(9), True, "x"),
        "FrameTypeError",
        "offset must be int, not bool",
    ),
    "buffer": (
        lambda t, _: t.render_into(b"", 0, "x"),
        "FrameTypeError",
        "buffer must be a writable, contiguous bytes-like object, not bytes",
    ),
    "prefix": (lambda _, make: make("", b""), "FrameTypeError", "prefix must be bytes, not str"),
    "suffix": (
        lambda _, make: make(b"", bytearray()),
        "FrameTypeError",
        "suffix must be bytes, not bytearray",
    ),
    "no slot": (
        lambda _, make: make.of({"t": "a"}, "b"),
        "FrameError",
        "slot must stand in the payload once, not 0 times",
    ),
    "two slots": (
        lambda _, make: make.of({"t": "a", "u": "a"}, "a"),
        "FrameError",
        "slot must stand in the payload once, not 2 times",
    ),
    "an empty slot": (
        lambda _, make: make.of({"t": ""}, ""),
        "FrameError",
        "slot must stand in the payload once, not 0 times",
    ),
    "slot of bytes": (
        lambda _, make: make.of({"t": "a"}, b"a"),
        "FrameTypeError",
        "slot must be str, not bytes",
    ),
    "format": (
        lambda _, make: make.of({"t": "a"}, "a", format="xml"),
        "FrameError",
        "format must be 'sse' or 'ndjson', not 'xml'",
    ),
    "a named line": (
        lambda _, make: make.of({"t": "a"}, "a", event="e", format="ndjson"),
        "FrameError",
        "event must be None: an NDJSON line has no event field",
    ),
    "a bad name": (
        lambda _, make: make.of({"t": "a"}, "a", event="\n"),
        "FrameError",
        "event must not contain CR, LF or NUL: found LF at index 0 of 1 characters",
    ),
    "no JSON": (
        lambda _, make: make.of({"t": 1j}, "t"),
        "EncodeError",
        "cannot encode complex at $.t",
    ),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG.keys())
def test_an_invalid_argument_is_refused_by_name(gs, case):
    use, kind, message = case
    with pytest.raises(getattr(gs.errors, kind)) as caught:
        use(gs.FrameTemplate(b"", b""), gs.FrameTemplate)
    assert str(caught.value) == message


def test_a_template_is_made_from_a_payload(gs):
    payload = {"id": "x", "choices": [{"delta": {"content": "SLOT"}, "index": 0}]}
    template = gs.FrameTemplate.of(payload, "SLOT")
    assert template.prefix == b'data: {"id":"x","choices":[{"delta":{"content":"'
    assert template.suffix == b'"},"index":0}]}\n\n'
    for text in TEXTS:
        payload["choices"][0]["delta"]["content"] = text
        assert template.render(text) == gs.encode_sse(json=payload)


def test_the_slot_may_be_part_of_a_string_and_need_escapes(gs):
    template = gs.FrameTemplate.of(["say \n\u2028!"], "\n\u2028", format="ndjson")
    assert (template.prefix, template.suffix) == (b'["say ', b'!"]\n')


def test_the_name_of_the_event_is_no_place_for_the_slot(gs):
    for event in ("delta", 'data: "delta"', 'data: "'):
        template = gs.FrameTemplate.of({"t": "delta"}, "delta", event=event)
        assert template.render("x") == f'event: {event}\ndata: {{"t":"x"}}\n\n'.encode()
    with pytest.raises(gs.errors.FrameError, match=r"not 0 times$"):
        gs.FrameTemplate.of({"t": "a"}, "data: ")


@pytest.mark.parametrize(
    ("payload", "slot"),
    [
        ({"t": "\n"}, "n"),
        ({"t": "\\"}, '"'),
        (["\x01"], "u0001"),
        (["\x01"], "1"),
        ({"t": True}, "true"),
        ({"n": 17}, "17"),
        ([[]], "[]"),
    ],
    ids=["an escape", "half of two", "a code", "a digit", "a word", "a number", "brackets"],
)
def test_a_slot_that_is_not_in_a_string_is_refused(gs, payload, slot):
    with pytest.raises(gs.errors.FrameError, match=r"^slot must stand in"):
        gs.FrameTemplate.of(payload, slot, format="ndjson")


def test_a_template_does_not_change(gs):
    template = gs.FrameTemplate(b"a", b"b")
    for name in ("prefix", "suffix", "other"):
        message = f"^FrameTemplate is immutable: cannot set '{name}'$"
        with pytest.raises(AttributeError, match=message):
            setattr(template, name, b"c")
    with pytest.raises(AttributeError):
        del template.prefix
    template.__init__(b"c", b"d")
    assert template.render("-") == b"a-b"


def test_a_template_is_copied_and_shown_by_its_parts(gs):
    template = gs.FrameTemplate(b"a\n", b"b")
    assert repr(template) == "FrameTemplate(b'a\\n', b'b')"
    for again in (copy.copy(template), copy.deepcopy(template)):
        assert (again.prefix, again.suffix) == (b"a\n", b"b")


def test_a_template_is_pickled(both):
    template = pickle.loads(pickle.dumps(both[0].FrameTemplate(b"a", b"b")))
    assert template.render("-") == b"a-b"
