"""Server-Sent Events out: every rule of the byte profile, valid and invalid fields."""

import enum
import re
from array import array

import pytest

SMILE = "😀"
BIG = 10**30
ID_RANGE = f"id must be from {1 - 2**63} to {2**63 - 1}"


class Text(str):
    __slots__ = ()


class Level(enum.IntEnum):
    LOW = 3


FRAMES = {
    "text": ({"data": "a"}, "data: a\n\n"),
    "empty data": ({"data": ""}, "data: \n\n"),
    "a leading space stays": ({"data": " a"}, "data:  a\n\n"),
    "colons stay": ({"data": ":a:b"}, "data: :a:b\n\n"),
    "NUL and tabs are data": ({"data": "a\0\tb"}, "data: a\0\tb\n\n"),
    "a BOM is data": ({"data": "\ufeffa"}, "data: \ufeffa\n\n"),
    "latin": ({"data": "é"}, "data: é\n\n"),
    "beyond the BMP": ({"data": SMILE, "event": SMILE}, f"event: {SMILE}\ndata: {SMILE}\n\n"),
    "other separators end no line": ({"data": "a\u2028\x85\x0bb"}, "data: a\u2028\x85\x0bb\n\n"),
    "LF": ({"data": "a\nb"}, "data: a\ndata: b\n\n"),
    "each end once": ({"data": "a\r\nb\rc\nd"}, "data: a\ndata: b\ndata: c\ndata: d\n\n"),
    "a trailing LF": ({"data": "a\n"}, "data: a\ndata: \n\n"),
    "a trailing CR": ({"data": "a\r"}, "data: a\ndata: \n\n"),
    "a trailing CRLF": ({"data": "a\r\n"}, "data: a\ndata: \n\n"),
    "only LF": ({"data": "\n"}, "data: \ndata: \n\n"),
    "LF CR is two": ({"data": "\n\r"}, "data: \ndata: \ndata: \n\n"),
    "CR CRLF is two": ({"data": "\r\r\n"}, "data: \ndata: \ndata: \n\n"),
    "a subclass of str": (
        {"data": Text("a\nb"), "event": Text("e")},
        "event: e\ndata: a\ndata: b\n\n",
    ),
    "only a name": ({"event": "x"}, "event: x\n\n"),
    "an empty name": ({"event": ""}, "event: \n\n"),
    "message is written where it is given": ({"event": "message"}, "event: message\n\n"),
    "only an id": ({"id": "x"}, "id: x\n\n"),
    "an empty id": ({"id": ""}, "id: \n\n"),
    "id 0": ({"id": 0}, "id: 0\n\n"),
    "a negative id": ({"id": -7}, "id: -7\n\n"),
    "the widest ids": ({"id": 2**63 - 1, "data": ""}, f"id: {2**63 - 1}\ndata: \n\n"),
    "the lowest id": ({"id": -(2**63) + 1}, f"id: {-(2**63) + 1}\n\n"),
    "an enum as id": ({"id": Level.LOW}, "id: 3\n\n"),
    "only retry: no blank line": ({"retry": 5000}, "retry: 5000\n"),
    "retry 0": ({"retry": 0}, "retry: 0\n"),
    "the longest retry": ({"retry": 2**63 - 1}, f"retry: {2**63 - 1}\n"),
    "an enum as retry": ({"retry": Level.LOW}, "retry: 3\n"),
    "retry and comment: no blank line": ({"retry": 1, "comment": "c"}, ": c\nretry: 1\n"),
    "retry and data": ({"retry": 1, "data": "a"}, "retry: 1\ndata: a\n\n"),
    "retry and event": ({"retry": 1, "event": "e"}, "event: e\nretry: 1\n\n"),
    "retry and id": ({"retry": 1, "id": 4}, "id: 4\nretry: 1\n\n"),
    "comment": ({"comment": "c"}, ": c\n\n"),
    "an empty comment": ({"comment": ""}, ":\n\n"),
    "a comment of many lines": ({"comment": "a\r\n\rb\nc"}, ": a\n:\n: b\n: c\n\n"),
    "a comment cannot break out": ({"comment": "a\n\ndata: x"}, ": a\n:\n: data: x\n\n"),
    "the order": (
        {"data": "d", "event": "e", "id": "i", "retry": 9, "comment": "c"},
        ": c\nid: i\nevent: e\nretry: 9\ndata: d\n\n",
    ),
    "json": ({"json": {"a": [1, "x\ny"]}, "event": "e"}, 'event: e\ndata: {"a":[1,"x\\ny"]}\n\n'),
    "json null": ({"json": None}, "data: null\n\n"),
    "json text": ({"json": "é\u2028\u2029\x85"}, 'data: "é\\u2028\\u2029\\u0085"\n\n'),
    "json NaN": ({"json": float("nan")}, "data: null\n\n"),
    "replaced": (
        {"data": "a\ud800\n\udfffb", "errors": "replace"},
        "data: a\ufffd\ndata: \ufffdb\n\n",
    ),
    "replaced names": (
        {"event": "\ud800", "id": "\udc00", "comment": "\udbff", "errors": "replace"},
        ": \ufffd\nid: \ufffd\nevent: \ufffd\n\n",
    ),
    "replaced bytes": (
        {"data": b"a\xff\xe2\x82b", "errors": "replace"},
        "data: a\ufffd\ufffdb\n\n",
    ),
    "replaced json": ({"json": ["\ud800"], "errors": "replace"}, 'data: ["\ufffd"]\n\n'),
}

EMPTY = "a frame needs data, json, event, id, retry or comment"
DATA = "data must be str, bytes, bytearray or memoryview, not"


def found(field: str, name: str, index: int, length: int) -> tuple[str, str]:
    return (
        "FrameError",
        f"{field} must not contain CR, LF or NUL: "
        f"found {name} at index {index} of {length} characters",
    )


REFUSED = {
    "nothing": ({}, "FrameError", EMPTY),
    "None": ({"data": None}, "FrameError", EMPTY),
    "LF in event": ({"event": "a\nb"}, *found("event", "LF", 1, 3)),
    "CR in event": ({"event": "\r"}, *found("event", "CR", 0, 1)),
    "NUL in event": ({"event": "é\0"}, *found("event", "NUL", 1, 2)),
    "LF in id": ({"id": f"{SMILE}\n"}, *found("id", "LF", 1, 2)),
    "CR in a long id": ({"id": "x" * 99 + "\r"}, *found("id", "CR", 99, 100)),
    "NUL in id": ({"id": "abc\0"}, *found("id", "NUL", 3, 4)),
    "event of bytes": ({"event": b"x"}, "FrameTypeError", "event must be str, not bytes"),
    "id of float": ({"id": 1.0}, "FrameTypeError", "id must be str or int, not float"),
    "id of bool": ({"id": True}, "FrameTypeError", "id must be str or int, not bool"),
    "a wide id": ({"id": 2**63}, "FrameError", f"{ID_RANGE}, not {2**63}"),
    "a low id": ({"id": -(2**63)}, "FrameError", f"{ID_RANGE}, not {-(2**63)}"),
    "a huge id": ({"id": BIG}, "FrameError", f"{ID_RANGE}, not an int of 100 bits"),
    "retry of bool": ({"retry": True}, "FrameTypeError", "retry must be int, not bool"),
    "retry of str": ({"retry": "5"}, "FrameTypeError", "retry must be int, not str"),
    "negative retry": (
        {"retry": -1}, "FrameError", f"retry must be from 0 to {2**63 - 1} milliseconds, not -1"
    ),
    "a huge retry": (
        {"retry": BIG},
        "FrameError",
        f"retry must be from 0 to {2**63 - 1} milliseconds, not an int of 100 bits",
    ),
    "comment of bytes": ({"comment": b"x"}, "FrameTypeError", "comment must be str, not bytes"),
    "data of int": ({"data": 5}, "FrameTypeError", f"{DATA} int"),
    "data of list": ({"data": ["x"]}, "FrameTypeError", f"{DATA} list"),
    "data of array": ({"data": array("b", [65])}, "FrameTypeError", f"{DATA} array"),
    "both": ({"data": "", "json": None}, "FrameError", "data and json exclude each other"),
    "errors": (
        {"data": "", "errors": "ignore"},
        "FrameError",
        "errors must be 'strict' or 'replace', not 'ignore'",
    ),
    "gaps": (
        {"data": memoryview(b"abcd")[::2]},
        "FrameError",
        "data must be contiguous, not a memoryview with gaps",
    ),
    "json that is none": (
        {"json": [{"a": object()}]},
        "EncodeError",
        "cannot encode object at $[0].a",
    ),
}

NOT_TEXT = {
    "data": ({"data": "ab\ud800"}, UnicodeEncodeError, 2),
    "event": ({"event": "\udfff"}, UnicodeEncodeError, 0),
    "id": ({"id": "é\ud800"}, UnicodeEncodeError, 1),
    "comment": ({"comment": "\ud800"}, UnicodeEncodeError, 0),
    "json": ({"json": {"a": "\ud800"}}, UnicodeEncodeError, 0),
    "bytes": ({"data": b"abc\xff"}, UnicodeDecodeError, 3),
    "a UTF-8 surrogate": ({"data": b"\xed\xa0\x80"}, UnicodeDecodeError, 0),
    "an unfinished character": ({"data": b"a\xe2\x82"}, UnicodeDecodeError, 1),
}


def table(cases):
    return pytest.mark.parametrize("case", cases.values(), ids=cases.keys())


@table(FRAMES)
def test_a_frame_is_written_as_the_profile_says(gs, case):
    fields, expected = case
    assert gs.encode_sse(**fields) == expected.encode()
    room = bytearray(len(expected.encode()) + 5)
    assert gs.encode_sse_into(room, 3, **fields) == len(room) - 2
    assert room == b"\0\0\0" + expected.encode() + b"\0\0"


@table(FRAMES)
def test_an_event_object_writes_the_same_frame(gs, case):
    fields, expected = case
    if "errors" not in fields and fields.get("event") != "message":
        assert bytes(gs.ServerSentEvent(**fields)) == expected.encode()


@table({name: case for name, case in REFUSED.items() if name not in ("nothing", "None", "errors")})
def test_an_event_object_that_cannot_be_written_is_refused_at_once(gs, case):
    fields, kind, message = case
    with pytest.raises(getattr(gs.errors, kind), match=f"^{re.escape(message)}$"):
        gs.ServerSentEvent(**fields)


def test_an_event_object_may_be_made_empty_and_holds_text_that_only_strict_writing_refuses(gs):
    event = gs.ServerSentEvent()
    with pytest.raises(gs.errors.FrameError, match=f"^{EMPTY}$"):
        bytes(event)
    event.data = "filled"
    assert bytes(event) == b"data: filled\n\n"
    with pytest.raises(UnicodeEncodeError):
        bytes(gs.ServerSentEvent("\ud800"))


def test_an_event_object_of_a_payload_holds_its_text(gs):
    event = gs.ServerSentEvent(json={"a": ["\ud800", None]}, event="e", id=1)
    assert (event.data, event.data_bytes) == ('{"a":["\ufffd",null]}', event.data.encode())
    assert event.json() == {"a": ["\ufffd", None]}
    assert event == gs.ServerSentEvent(event.data, "e", id=1)
    assert bytes(event) == b'id: 1\nevent: e\ndata: {"a":["\xef\xbf\xbd",null]}\n\n'
    event.data = "text"
    assert bytes(event) == b"id: 1\nevent: e\ndata: text\n\n"


@table(REFUSED)
def test_an_invalid_field_is_refused_by_name(gs, case):
    fields, kind, message = case
    with pytest.raises(getattr(gs.errors, kind), match=f"^{re.escape(message)}$"):
        gs.encode_sse(**fields)
    room = bytearray(b"untouched" * 9)
    with pytest.raises(getattr(gs.errors, kind), match=f"^{re.escape(message)}$"):
        gs.encode_sse_into(room, 0, **fields)
    assert room == b"untouched" * 9


@table(NOT_TEXT)
def test_invalid_text_raises_the_error_of_python(gs, case):
    fields, kind, start = case
    with pytest.raises(kind) as caught:
        gs.encode_sse(**fields)
    assert caught.value.start == start


def test_errors_derive_from_builtin_exceptions(gs):
    errors = gs.errors
    assert issubclass(errors.FrameError, ValueError)
    assert issubclass(errors.FrameTypeError, TypeError)
    assert issubclass(errors.BufferTooSmall, BufferError)
    for name in errors.__all__:
        assert issubclass(getattr(errors, name), errors.GaistreamError)


ENDS = {"LF": ["\n"], "CR": ["\r"], "CRLF": ["\r\n"], "mixed": ["\n", "\r\n", "\r", "\n"]}


@pytest.mark.parametrize("ends", ENDS.values(), ids=ENDS.keys())
@pytest.mark.parametrize("count", [1, 62, 63, 64, 65, 66, 130, 1000])
@pytest.mark.parametrize("letter", ["a", "é", SMILE])
def test_many_lines_are_all_found(gs, ends, count, letter):
    least = len(ends) > 1  # or a CR and the LF after an empty line would be one end
    lines = [letter * (index % 5 + least) for index in range(count)]
    data = "".join(line + ends[index % len(ends)] for index, line in enumerate(lines))
    expected = "".join(f"data: {line}\n" for line in [*lines, ""]) + "\n"
    assert gs.encode_sse(data) == expected.encode()
    assert gs.encode_sse(data.encode()) == expected.encode()
    assert gs.encode_sse(data + "x") == expected[:-2].encode() + b"x\n\n"


@pytest.mark.parametrize("letter", ["a", "é", SMILE])
def test_a_break_is_found_at_every_place(gs, letter):
    for length in range(1, 20):
        for at in range(length):
            for name, character in (("CR", "\r"), ("LF", "\n"), ("NUL", "\0")):
                text = letter * at + character + letter * (length - at - 1)
                for fields in ({"event": text}, {"id": text}, {"event": text, "data": "d"}):
                    field = next(iter(fields))
                    with pytest.raises(gs.errors.FrameError) as caught:
                        gs.encode_sse(**fields)
                    assert str(caught.value) == found(field, name, at, length)[1]
                data = f"data: {text}\n\n" if name == "NUL" else None
                lines = f"data: {text[:at]}\ndata: {text[at + 1 :]}\n\n"
                assert gs.encode_sse(text) == (data or lines).encode()
            text = letter * at + "\x01\t\x0b\x7f"[at % 4] + letter * (length - at - 1)
            assert gs.encode_sse(text, text) == f"event: {text}\ndata: {text}\n\n".encode()


def test_encode_comment_equals_encode_sse_with_a_comment(gs):
    for text in ("", "keep-alive", "a\nb"):
        assert gs.encode_comment(text) == gs.encode_sse(comment=text)
    assert gs.encode_comment() == b":\n\n"
    with pytest.raises(gs.errors.FrameTypeError, match=r"^comment must be str, not int$"):
        gs.encode_comment(5)
    with pytest.raises(UnicodeEncodeError):
        gs.encode_comment("\ud800")


class Breakout(str):
    """A str whose methods return other text than it holds."""

    __slots__ = ()

    def __iter__(self):
        return iter("safe")

    def __len__(self):
        return 4

    def encode(self, *_):
        return b"lie"

    def __str__(self):
        return "lie"


@pytest.mark.parametrize("text", ["a\nb", "é\nb"])
def test_a_subclass_of_str_cannot_lie_about_its_text(gs, text):
    for field in ("event", "id"):
        message = re.escape(found(field, "LF", 1, 3)[1])
        with pytest.raises(gs.errors.FrameError, match=f"^{message}$"):
            gs.encode_sse("d", **{field: Breakout(text)})
    written = f"data: {text[0]}\ndata: b\n\n".encode()
    assert gs.encode_sse(Breakout(text)) == written
    assert gs.encode_sse(comment=Breakout(text)) == written.replace(b"data:", b":")


@pytest.mark.parametrize("size", [65_535, 65_536, 81_920, 200_000])
@pytest.mark.parametrize("end", ["", "\n", "\r", "\r\n"])
def test_a_long_text_is_written_like_a_short_one_wherever_its_line_ends(gs, size, end):
    for at in (0, 8191, 8192, 65_535, size):
        text = "x" * min(at, size) + end + "y" * max(size - at, 0)
        lines = text.splitlines() if end else [text]
        if end and text.endswith(end):
            lines.append("")
        expected = b"".join(b"data: " + line.encode() + b"\n" for line in lines) + b"\n"
        assert gs.encode_sse(text) == expected
        assert gs.encode_sse(text, "name") == b"event: name\n" + expected
