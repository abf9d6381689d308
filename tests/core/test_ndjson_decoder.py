"""Newline-delimited JSON in: every case of the vectors, cut anywhere; bad lines, limits."""

import base64
import copy
import json
import pickle
import random
from itertools import pairwise
from pathlib import Path

import pytest

VECTORS = Path(__file__).parents[1] / "data" / "ndjson_cases.jsonl"
CASES = [json.loads(line) for line in VECTORS.read_text(encoding="utf-8").splitlines()]
EVERY_CUT_UP_TO = 2000  # bytes; of longer inputs some cuts are taken


def chunks_at(text, cuts):
    return [text[first:last] for first, last in pairwise([0, *sorted(cuts), len(text)])]


def read(gs, chunks, **named):
    """Return the values up to the first bad line, and its number."""
    decoder, values = gs.NDJSONDecoder(**named), []
    try:
        for chunk in chunks:
            values += decoder.feed(chunk)
        values += decoder.close()
    except gs.errors.NDJSONError as error:
        return values + error.values, error.line_number
    return values, None


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_case_holds_wherever_it_is_cut(gs, case, strict):
    text = base64.b64decode(case["input_b64"])
    said = case.get("strict", case) if strict else case
    expected = [(said["values"], said["error_line"])]
    if case["name"] == "lone-surrogate-escape":
        expected = [(["\ufffd"], None)]
    elif "note" in case:
        expected.append((said["values"][:-1], 1))
    assert read(gs, [text], strict=strict) in expected
    assert read(gs, [bytes([byte]) for byte in text], strict=strict) in expected
    source = random.Random(case["name"])
    places = range(len(text) + 1)
    if len(text) > EVERY_CUT_UP_TO:
        places = [*range(40), *source.sample(places, 40), *range(len(text) - 40, len(text))]
    for place in places:
        assert read(gs, chunks_at(text, [place]), strict=strict) in expected
    for _ in range(20):
        cuts = source.choices(range(len(text) + 1), k=source.randrange(12))
        assert read(gs, chunks_at(text, cuts), strict=strict) in expected


def test_the_vectors_are_all_there():
    assert len({case["name"] for case in CASES}) == len(CASES) == 43


def test_a_value_comes_as_soon_as_its_line_ends(gs):
    decoder = gs.NDJSONDecoder()
    assert decoder.feed(b'{"a"') == decoder.feed(b":1}\r") == []
    assert decoder.feed(b"\n2\n3") == [{"a": 1}, 2]
    assert decoder.close() == [3]
    assert decoder.close() == []
    with pytest.raises(gs.errors.ClosedError, match=r"^the decoder is closed$"):
        decoder.feed(b"")


def test_chunks_may_be_any_bytes(gs):
    decoder = gs.NDJSONDecoder()
    held = bytearray(b"12\n3")
    assert decoder.feed(held) == [12]
    held[:] = b"overwritten"  # no view is held, and the text was copied
    assert decoder.feed(memoryview(b"x4\n[]x")[1:-1]) == [34]
    for chunk, name in (("x", "str"), (None, "NoneType"), ([1], "list")):
        message = f"^data must be bytes, bytearray or memoryview, not {name}$"
        with pytest.raises(gs.errors.FrameTypeError, match=message):
            decoder.feed(chunk)
    assert decoder.close() == [[]]


# ---- bad lines ----

BAD = b'1\n{"a":x}\r\n\n2\nNaN\n"\xff"\n3'


def test_a_bad_line_is_reported_with_its_place_and_reading_continues_after_it(gs):
    decoder, seen, texts, values = gs.NDJSONDecoder(), [], [], []
    data = BAD
    while True:
        try:
            values += decoder.feed(data)
            break
        except gs.errors.NDJSONError as error:
            seen.append((error.values, error.line_number, error.column, error.line))
            texts.append((str(error), error.column, error.reason, type(error.__cause__)))
            data = b""
    columns = [column for _, _, column, _ in seen]
    assert seen == [
        ([1], 2, columns[0], b'{"a":x}'),
        ([2], 5, columns[1], b"NaN"),
        ([], 6, columns[2], b'"\xff"'),
    ]
    assert columns[0] == 6
    for (text, column, reason, cause), number in zip(texts, (2, 5, 6), strict=True):
        assert text == f"line {number}, column {column}: {reason}"
        assert issubclass(cause, ValueError)
    assert (values, decoder.close()) == ([], [3])


def test_chunks_fed_while_lines_are_left_are_read_in_order(gs):
    decoder = gs.NDJSONDecoder()
    for data, values in ((b"1\nx\n2\ny\n3\n", [1]), (b"4\nz", [2])):
        with pytest.raises(gs.errors.NDJSONError) as caught:
            decoder.feed(data)
        assert caught.value.values == values
    assert decoder.feed(b"") == [3, 4]
    with pytest.raises(gs.errors.NDJSONError, match=r"^line 7, column 1: "):
        decoder.close()
    assert decoder.close() == []


def test_a_close_that_raises_is_called_again_for_the_rest(gs):
    decoder = gs.NDJSONDecoder()
    with pytest.raises(gs.errors.NDJSONError):
        decoder.feed(b"x\n1\ny\n2")
    with pytest.raises(gs.errors.NDJSONError) as caught:
        decoder.close()
    assert caught.value.values == [1]
    with pytest.raises(gs.errors.ClosedError):
        decoder.feed(b"")
    assert decoder.close() == [2]


def test_bad_lines_are_skipped_or_passed_to_a_callable(gs):
    skipping = gs.NDJSONDecoder(on_error="skip")
    assert skipping.feed(BAD) + skipping.close() == [1, 2, 3]
    told = []
    telling = gs.NDJSONDecoder(on_error=told.append)
    assert telling.feed(BAD) + telling.close() == [1, 2, 3]
    assert [(each.line_number, each.line, each.values) for each in told] == [
        (2, b'{"a":x}', []),
        (5, b"NaN", []),
        (6, b'"\xff"', []),
    ]


def test_strict_refuses_a_blank_line_and_a_byte_order_mark(gs):
    told = []
    decoder = gs.NDJSONDecoder(strict=True, on_error=told.append)
    assert decoder.feed(b"\xef\xbb\xbf1\n \t\r\n2\n") == [2]
    assert [str(each) for each in told] == ["line 1: a byte order mark", "line 2: a blank line"]
    assert told[1].column is told[1].__cause__ is None


def test_a_callable_that_raises_stops_the_call_and_loses_nothing(gs):
    def refuse(error):
        raise LookupError(str(error.line))

    decoder = gs.NDJSONDecoder(on_error=refuse)
    with pytest.raises(LookupError):
        decoder.feed(b"1\nx\n2\n")
    assert decoder.feed(b"3\n") == [1, 2, 3]


def test_an_interrupted_call_loses_nothing_but_its_line(gs):
    def loads(line):
        if line == b"stop":
            raise KeyboardInterrupt
        return line

    decoder = gs.NDJSONDecoder(loads=loads)
    with pytest.raises(KeyboardInterrupt):
        decoder.feed(b"1\nstop\n2\n")
    assert decoder.feed(b"3\n") == [b"1", b"2", b"3"]


def test_the_decoder_is_not_used_from_within_itself(gs):
    messages = []

    def again(error):
        for use in (lambda: decoder.feed(b"2\n"), decoder.close, decoder.__init__):
            with pytest.raises(gs.errors.ClosedError) as caught:
                use()
            messages.append(str(caught.value))

    decoder = gs.NDJSONDecoder(on_error=again)
    assert decoder.feed(b"x\n1\n") == [1]
    assert messages == ["the decoder is at work: it cannot be used from within itself"] * 3


def test_an_error_is_pickled_and_copied(both):
    for gs in both:
        decoder = gs.NDJSONDecoder()
        with pytest.raises(gs.errors.NDJSONError) as caught:
            decoder.feed(b"1\nx\n")
        again = [copy.copy(caught.value)]
        if gs is both[0]:
            again.append(pickle.loads(pickle.dumps(caught.value)))
        for each in again:
            assert vars(each) == vars(caught.value)
            assert str(each) == str(caught.value)


# ---- loads ----


def test_lines_are_returned_as_bytes(gs):
    decoder = gs.NDJSONDecoder(loads=None)
    assert decoder.feed(b"\xef\xbb\xbfa\r\n\n \xff\n\rb\r") == [b"a", b" \xff"]
    assert decoder.close() == [b"\rb"]


def test_a_callable_reads_the_bytes_of_a_line(gs):
    kept = []
    decoder = gs.NDJSONDecoder(loads=lambda line: kept.append(line) or json.loads(line))
    assert decoder.feed(b"1\r\nNaN\n")[0] == 1
    with pytest.raises(gs.errors.NDJSONError) as caught:
        decoder.feed(b"[1,\n")
    assert (caught.value.line_number, caught.value.column) == (3, 4)
    assert isinstance(caught.value.__cause__, json.JSONDecodeError)
    assert kept == [b"1", b"NaN", b"[1,"]
    assert {type(line) for line in kept} == {bytes}


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KeyError("a"), "line 1: 'a'"),
        (TypeError(), "line 1: TypeError"),
        (ValueError("no\nlines"), "line 1: no\nlines"),
    ],
)
def test_any_exception_of_loads_makes_a_bad_line(gs, error, message):
    def loads(_):
        raise error

    with pytest.raises(gs.errors.NDJSONError) as caught:
        gs.NDJSONDecoder(loads=loads).feed(b"1\n")
    assert (str(caught.value), caught.value.column) == (message, None)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    ("named", "kind", "message"),
    [
        ({"loads": 5}, "FrameTypeError", "loads must be callable or None, not int"),
        ({"on_error": "stop"}, "FrameError", "on_error must be 'raise', 'skip' or callable, not "),
        ({"on_error": None}, "FrameError", "on_error must be 'raise', 'skip' or callable, not N"),
        ({"max_line_bytes": 0}, "FrameError", "max_line_bytes must be from 1 to "),
        ({"max_line_bytes": "9"}, "FrameTypeError", "max_line_bytes must be int, not str"),
    ],
    ids=str,
)
def test_an_invalid_argument_is_refused(gs, named, kind, message):
    with pytest.raises(getattr(gs.errors, kind), match=f"^{message}"):
        gs.NDJSONDecoder(**named)


# ---- the limit ----


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_the_limit_is_of_a_line_without_its_end(gs, end):
    line = b"12345" + end
    for cut in range(len(line) + 1):
        decoder = gs.NDJSONDecoder(max_line_bytes=5)
        assert decoder.feed(line[:cut]) + decoder.feed(line[cut:]) == [12345]
        assert decoder.feed(b"67890") == []
        assert decoder.close() == [67890]


@pytest.mark.parametrize(
    ("chunks", "size", "number", "values"),
    [
        ([b"123456"], 6, 1, []),
        ([b"1\n2\n123456789\n3\n"], 9, 3, [1, 2]),
        ([b"1\n12", b"34\n5\n", b"123456"], 6, 4, []),
        ([b"123", b"4567\n8\n"], 7, 1, []),
        ([b"12345\r", b"\r\n"], 6, 1, []),
        ([b"1\n12345\r6"], 7, 2, [1]),
    ],
    ids=str,
)
def test_a_line_beyond_the_limit_ends_the_decoder(gs, chunks, size, number, values):
    decoder = gs.NDJSONDecoder(max_line_bytes=5, on_error="skip")
    for chunk in chunks[:-1]:
        decoder.feed(chunk)
    with pytest.raises(gs.errors.EventTooLarge) as caught:
        decoder.feed(chunks[-1])
    said = f"line {number} exceeds max_line_bytes=5: it has at least {size} bytes"
    assert str(caught.value) == said
    assert (caught.value.values, caught.value.limit, caught.value.size) == (values, 5, size)
    with pytest.raises(gs.errors.ClosedError, match=r"^the decoder is closed$"):
        decoder.feed(b"1\n")
    assert decoder.close() == []


def test_the_work_on_an_unfinished_line_is_linear(gs):
    touched = []

    class Counted(bytearray):
        def __iadd__(self, more):
            touched.append(len(more))
            return super().__iadd__(more)

        def __bytes__(self):
            touched.append(len(self))
            return bytes(memoryview(self))

    decoder = gs.NDJSONDecoder(loads=None)
    if gs.backend == "native":
        before = gs.core._core.allocations()[0]
    else:
        decoder._pending = Counted()
    for _ in range(100_000):
        assert decoder.feed(b"1234567890") == []
    if gs.backend == "native":
        assert gs.core._core.allocations()[0] - before <= 8  # it doubles, from 8 KiB to 1 MiB
    else:
        assert sum(touched) == 1_000_000  # each byte is kept once, and never searched again
    assert decoder.feed(b"\n") == [b"1234567890" * 100_000]
