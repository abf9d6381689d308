"""The line splitter: the same lines wherever the chunks were cut, a limit, and linear growth."""

import random
import re

import pytest

# The input, the complete lines, and the result of close().
CASES = {
    "nothing": (b"", [], []),
    "no end": (b"abc", [], [b"abc"]),
    "LF": (b"a\n", [b"a"], []),
    "CR": (b"a\r", [b"a"], []),
    "CRLF": (b"a\r\n", [b"a"], []),
    "LF CR": (b"a\n\rb", [b"a", b""], [b"b"]),
    "CR CRLF": (b"a\r\r\nb", [b"a", b""], [b"b"]),
    "CRLF LF": (b"a\r\n\nb\n", [b"a", b"", b"b"], []),
    "CR CR": (b"\r\r", [b"", b""], []),
    "empty lines": (b"\n\n\r\n\r", [b"", b"", b"", b""], []),
    "mixed": (b"a\rb\nc\r\nd\r\r\n\ne", [b"a", b"b", b"c", b"d", b"", b""], [b"e"]),
    "CRs far from an LF": (b"a\rbc\rdef\rghij\n\rk", [b"a", b"bc", b"def", b"ghij", b""], [b"k"]),
    "other separators": (b"a\x1c\xc2\x85\xe2\x80\xa8\n", [b"a\x1c\xc2\x85\xe2\x80\xa8"], []),
    "any byte": (bytes(range(256)), [bytes(range(10)), b"\x0b\x0c"], [bytes(range(14, 256))]),
}
TABLE = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def split(splitter, chunks):
    lines = []
    for chunk in chunks:
        lines += splitter.feed(chunk)
    return lines, splitter.close()


@TABLE
def test_lines_are_the_same_wherever_they_are_cut(gs, case):
    text, *expected = case
    assert split(gs.LineSplitter(), [text]) == tuple(expected)
    bytewise = [text[at : at + 1] for at in range(len(text))]
    assert split(gs.LineSplitter(), bytewise) == tuple(expected)
    for first in range(len(text) + 1):
        chunks = [text[:first], b"", text[first:]]
        assert split(gs.LineSplitter(), chunks) == tuple(expected)
        for second in range(first, len(text) + 1) if len(text) < 40 else ():
            chunks = [text[:first], text[first:second], text[second:]]
            assert split(gs.LineSplitter(), chunks) == tuple(expected)


@TABLE
def test_lines_come_as_soon_as_their_end_is_seen(gs, case):
    text, expected, _ = case
    splitter = gs.LineSplitter()
    seen = []
    for at in range(len(text)):
        seen += splitter.feed(text[at : at + 1])
        done = re.split(rb"\r\n|\r|\n", text[: at + 1])[:-1]
        assert seen == done
    assert seen == expected


def test_long_random_input_cut_at_random(gs):
    source = random.Random(7)
    for _ in range(50):
        text = bytes(source.choices(b"ab\r\n", k=source.randrange(3000)))
        splitter = gs.LineSplitter()
        lines, at = [], 0
        while at < len(text):
            step = source.choice((1, 2, 3, 50, 1000))
            lines += splitter.feed(text[at : at + step])
            at += step
        *whole, rest = re.split(rb"\r\n|\r|\n", text)
        assert (lines, splitter.close()) == (whole, [rest] if rest else [])


def test_chunks_may_be_any_bytes(gs):
    splitter = gs.LineSplitter()
    held = bytearray(b"ab\nc")
    assert splitter.feed(held) == [b"ab"]
    held[:] = b"overwritten"  # no view is held, and the text was copied
    assert splitter.feed(memoryview(b"xd\rex")[1:-1]) == [b"cd"]
    assert splitter.feed(memoryview(b"f\ng\n").cast("H")) == [b"ef", b"g"]
    assert splitter.feed(memoryview(b"")[::2]) == []
    assert [type(line) for line in splitter.feed(bytearray(b"x\n"))] == [bytes]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_the_limit_is_of_a_line_without_its_end(gs, end):
    for cut in range(6):
        line = b"x" * 5 + end
        splitter = gs.LineSplitter(max_line_bytes=5)
        assert splitter.feed(line[:cut]) + splitter.feed(line[cut:]) == [b"x" * 5]
        assert splitter.feed(b"y" * 5 + end + b"z" * 5) == [b"y" * 5]
        assert splitter.close() == [b"z" * 5]


@pytest.mark.parametrize(
    ("chunks", "size"),
    [
        ([b"x" * 6], 6),
        ([b"x" * 6 + b"\n"], 6),
        ([b"ok\n" + b"x" * 9 + b"\n"], 9),
        ([b"xxx", b"xxx"], 6),
        ([b"xxx", b"xxxx\r"], 7),
        ([b"x", b"xxxxx\n\n"], 6),
    ],
    ids=str,
)
def test_a_line_beyond_the_limit_ends_the_splitter(gs, chunks, size):
    splitter = gs.LineSplitter(max_line_bytes=5)
    for chunk in chunks[:-1]:
        splitter.feed(chunk)
    message = f"^a line exceeds max_line_bytes=5: it has at least {size} bytes$"
    with pytest.raises(gs.errors.EventTooLarge, match=message):
        splitter.feed(chunks[-1])
    with pytest.raises(gs.errors.ClosedError, match=r"^the line splitter is closed$"):
        splitter.feed(b"a\n")
    assert splitter.close() == []


def test_a_closed_splitter_refuses_chunks(gs):
    splitter = gs.LineSplitter()
    splitter.feed(b"abc")
    assert (splitter.close(), splitter.close()) == ([b"abc"], [])
    for chunk in (b"a\n", b"", "text"):
        with pytest.raises(gs.errors.ClosedError, match=r"^the line splitter is closed$"):
            splitter.feed(chunk)


def test_other_types_are_refused_and_change_nothing(gs):
    splitter = gs.LineSplitter()
    splitter.feed(b"ab\r")
    for chunk, name in (("x", "str"), (None, "NoneType"), ([1], "list")):
        message = f"^data must be bytes, bytearray or memoryview, not {name}$"
        with pytest.raises(gs.errors.FrameTypeError, match=message):
            splitter.feed(chunk)
    with pytest.raises(gs.errors.FrameError, match=r"^data must be contiguous"):
        splitter.feed(memoryview(b"abc")[::2])
    assert splitter.feed(b"\ncd\n") == [b"cd"]


@pytest.mark.parametrize(
    ("limit", "kind", "message"),
    [
        (0, "FrameError", f"must be from 1 to {2**62} bytes, not 0"),
        (2**62 + 1, "FrameError", f"must be from 1 to {2**62} bytes, not {2**62 + 1}"),
        (2**99, "FrameError", f"must be from 1 to {2**62} bytes, not an int of 100 bits"),
        (True, "FrameTypeError", "must be int, not bool"),
        (None, "FrameTypeError", "must be int, not NoneType"),
    ],
    ids=str,
)
def test_an_invalid_limit_is_refused(gs, limit, kind, message):
    for make, name in ((gs.LineSplitter, "max_line_bytes"), (gs.SSEDecoder, "max_event_bytes")):
        with pytest.raises(getattr(gs.errors, kind), match=f"^{name} {message}$"):
            make(**{name: limit})


@pytest.mark.parametrize("kind", ["LineSplitter", "SSEDecoder"])
def test_the_work_on_an_unfinished_line_is_linear(gs, kind, monkeypatch):
    reader = getattr(gs, kind)()
    looked_at = []
    if gs.backend == "native":
        before = gs.core._core.allocations()[0]
    else:
        lines_of = gs.core.pure.lines.lines_of
        monkeypatch.setattr(
            gs.core.pure.lines,
            "lines_of",
            lambda data: looked_at.append(len(data)) or lines_of(data),
        )
    for _ in range(100_000):
        reader.feed(b"data:56789")
    if gs.backend == "native":
        assert gs.core._core.allocations()[0] - before <= 8  # it doubles, from 8 KiB to 1 MiB
    else:
        assert sum(looked_at) == 1_000_000  # no byte is searched twice
    lines = reader.feed(b"\n\n")
    text = b"data:56789" * 100_000
    assert lines == [text, b""] if kind == "LineSplitter" else lines[0].data.encode() == text[5:]
