"""The reusable buffer: bytes are appended and taken, and never move while a view exists."""

import enum
import re

import pytest

VIEWED = "^the buffer cannot be changed while a view of it exists$"


class Size(enum.IntEnum):
    EIGHT = 8


@pytest.fixture
def make(gs):
    return gs.core.Buffer


@pytest.mark.parametrize("size", [1, Size.EIGHT, 4096, 8191, 8192, 8193, 2**20])
def test_appended_bytes_are_taken_whatever_the_first_size(make, size):
    buffer = make(size)
    for total in (0, 1, 8, 100, 8191, 8192, 8193, 70_000):
        expected = bytearray()
        while len(expected) < total:
            piece = bytes([len(expected) % 251]) * min(1 + len(expected), total - len(expected))
            buffer.append(piece)
            expected += piece
            assert len(buffer) == len(expected)
        assert bytes(buffer.view()) == expected
        assert buffer.take() == expected
        assert len(buffer) == 0
        assert buffer.take() == b""


def test_bytes_like_objects_of_any_shape_are_appended(make):
    buffer = make()
    parts = [b"ab", bytearray(b"cd"), memoryview(b"xefx")[1:3], memoryview(b"ghij").cast("H")]
    for part in [*parts, b"", memoryview(b"klmn").cast("B", [2, 2]), memoryview(b"")[::2]]:
        buffer.append(part)
    assert buffer.take() == b"abcdefghijklmn"


@pytest.mark.parametrize("length", range(6))
def test_truncate_keeps_the_first_bytes(make, length):
    buffer = make()
    buffer.append(b"abcde")
    buffer.truncate(length)
    assert (len(buffer), bytes(buffer.view())) == (length, b"abcde"[:length])
    buffer.append(b"z")
    assert buffer.take() == b"abcde"[:length] + b"z"


def test_a_view_is_read_only_bytes(make):
    buffer = make()
    buffer.append(b"abc")
    with buffer.view() as view:
        assert (view.readonly, view.format, view.shape, view.nbytes) == (True, "B", (3,), 3)
        assert (view == b"abc", view[1:] == b"bc") == (True, True)
        with pytest.raises(TypeError):
            view[0] = 0
    with make().view() as empty:
        assert bytes(empty) == b""


CHANGES = {
    "append": lambda buffer: buffer.append(b"d"),
    "truncate": lambda buffer: buffer.truncate(1),
    "truncate to nothing": lambda buffer: buffer.truncate(0),
    "take": lambda buffer: buffer.take(),
    "take_into": lambda buffer: buffer.take_into(bytearray(9), 1),
    "append its own view": lambda buffer: buffer.append(buffer.view()),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_while_a_view_exists_every_change_is_refused(make, change):
    buffer = make()
    buffer.append(b"abc")
    view = buffer.view()
    part = view[1:]
    for existing in (view, part):
        with pytest.raises(BufferError, match=VIEWED):
            change(buffer)
        assert (len(buffer), bytes(part)) == (3, b"bc")
        existing.release()
    if change is not CHANGES["append its own view"]:
        change(buffer)  # all views are released


def test_while_a_view_exists_calls_that_change_nothing_are_allowed(make):
    buffer = make()
    with buffer.view():
        assert (buffer.take(), buffer.take_into(bytearray(3), 2)) == (b"", 2)
        with pytest.raises(BufferError, match=VIEWED):
            buffer.append(b"a")
    buffer.append(b"abc")
    with buffer.view() as view:
        buffer.append(b"")
        buffer.truncate(3)
        assert bytes(view) == b"abc"


def test_take_into_leaves_its_target_alone_while_a_view_exists(make):
    buffer = make()
    buffer.append(b"abc")
    room = bytearray(b"####")
    with buffer.view(), pytest.raises(BufferError, match=VIEWED):
        buffer.take_into(room, 1)
    assert room == b"####"


def test_a_view_outlives_its_buffer(make):
    buffer = make(8)
    buffer.append(b"abc" * 5000)
    view = buffer.view()
    del buffer
    for _ in range(20):
        make(8).append(b"overwritten" * 700)
    assert bytes(view) == b"abc" * 5000


def test_take_into_moves_all_or_nothing(gs, make):
    buffer = make()
    assert buffer.take_into(bytearray()) == 0
    for offset in (0, 1, 5):
        for size in range(12):
            buffer.append(b"abcd")
            room = bytearray(b"#" * size)
            if offset > size:
                message = f"^offset must be from 0 to {size}, not {offset}$"
                with pytest.raises(gs.errors.FrameError, match=message):
                    buffer.take_into(room, offset)
            elif offset + 4 > size:
                with pytest.raises(gs.errors.BufferTooSmall) as caught:
                    buffer.take_into(room, offset)
                assert (caught.value.needed, caught.value.available) == (4, size - offset)
            else:
                assert buffer.take_into(room, offset) == offset + 4
                assert (len(buffer), room[offset : offset + 4]) == (0, b"abcd")
                continue
            assert (room, buffer.take()) == (b"#" * size, b"abcd")


def test_a_traceback_holds_no_views(gs, make):
    buffer = make()
    buffer.append(b"abc")
    room = bytearray(2)
    data = bytearray(b"d")
    try:
        buffer.take_into(room)
    except gs.errors.BufferTooSmall as error:
        room.extend(bytes(error.needed))
    with buffer.view():
        try:
            buffer.append(data)
        except BufferError:
            data.append(0)


DATA = "data must be bytes, bytearray or memoryview, not"
WRONG = {
    "append text": (lambda b: b.append("x"), "FrameTypeError", f"{DATA} str"),
    "append None": (lambda b: b.append(None), "FrameTypeError", f"{DATA} NoneType"),
    "append gaps": (
        lambda b: b.append(memoryview(b"abc")[::2]),
        "FrameError",
        "data must be contiguous, not a memoryview with gaps",
    ),
    "beyond": (lambda b: b.truncate(4), "FrameError", "offset must be from 0 to 3, not 4"),
    "below": (lambda b: b.truncate(-1), "FrameError", "offset must be from 0 to 3, not -1"),
    "bool": (lambda b: b.truncate(True), "FrameTypeError", "offset must be int, not bool"),
    "into text": (
        lambda b: b.take_into("x"),
        "FrameTypeError",
        "buffer must be a writable, contiguous bytes-like object, not str",
    ),
    "size 0": (lambda b: type(b)(0), "FrameError", f"size must be from 1 to {2**30} bytes, not 0"),
    "size": (lambda b: type(b)(1.5), "FrameTypeError", "size must be int, not float"),
    "a switch": (lambda b: type(b)(True), "FrameTypeError", "size must be int, not bool"),
    "large": (
        lambda b: type(b)(2**30 + 1),
        "FrameError",
        f"size must be from 1 to {2**30} bytes, not {2**30 + 1}",
    ),
    "huge": (
        lambda b: type(b)(2**5000),
        "FrameError",
        f"size must be from 1 to {2**30} bytes, not an int of 5001 bits",
    ),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_argument_is_named_and_changes_nothing(gs, make, case):
    use, kind, message = case
    buffer = make()
    buffer.append(b"abc")
    with pytest.raises(getattr(gs.errors, kind), match=f"^{re.escape(message)}$"):
        use(buffer)
    assert buffer.take() == b"abc"


@pytest.mark.parametrize("size", [2**25 - 1, 2**25, 2**25 + 1])
def test_a_very_large_block_becomes_the_bytes_that_are_taken(gs, size):
    buffer = gs.core.Buffer()
    piece = bytes(range(256)) * 1024
    for _ in range(size // len(piece)):
        buffer.append(piece)
    buffer.append(b"x" * (size - len(buffer)))
    view = buffer.view()
    with pytest.raises(BufferError):
        buffer.take()
    view.release()
    taken = buffer.take()
    expected = piece * (size // len(piece)) + b"x" * (size % len(piece))
    assert (type(taken), len(taken), taken == expected) == (bytes, size, True)
    assert hash(taken) == hash(expected)
    assert taken.__sizeof__() == expected.__sizeof__()
    assert (len(buffer), buffer.take()) == (0, b"")
    buffer.append(b"and on")
    assert (buffer.take(), taken == expected) == (b"and on", True)
