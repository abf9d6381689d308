"""Buffers at both ends: bytes-like data read in place, frames in the caller's buffer."""

import ctypes
import enum
import mmap
import pickle
import subprocess
import sys
from array import array

import numpy as np
import pytest

TARGET = "^buffer must be a writable, contiguous bytes-like object, not {}$"


class Octets(bytes):
    pass


class Place(enum.IntEnum):
    SECOND = 1


READABLE = {
    "bytes": bytes,
    "a subclass of bytes": Octets,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "of a bytearray": lambda text: memoryview(bytearray(text)),
    "sliced": lambda text: memoryview(b"xx" + text + b"yy")[2:-2],
    "signed": lambda text: memoryview(text).cast("b"),
    "characters": lambda text: memoryview(text).cast("c"),
    "of two bytes each": lambda text: memoryview(array("H", text)),
    "big-endian": lambda text: memoryview(np.frombuffer(text, ">u2")),
    "two-dimensional": lambda text: memoryview(text).cast("B", [2, len(text) // 2]),
    "of no dimension": lambda text: memoryview(text[:1]).cast("B", []),
    "of ctypes": lambda text: memoryview(ctypes.create_string_buffer(text, len(text))),
}


@pytest.mark.parametrize("make", READABLE.values(), ids=READABLE.keys())
@pytest.mark.parametrize("text", [b"ab\r\ncd\xc3\xa9\n\n", b"plain text"], ids=["lines", "plain"])
def test_bytes_are_read_whatever_their_shape(gs, make, text):
    data = make(text)
    expected = gs.encode_sse(bytes(data).decode())
    assert gs.encode_sse(data) == expected
    assert bytes(gs.ServerSentEvent(data)) == expected
    room = bytearray(len(expected))
    assert gs.encode_sse_into(room, 0, data) == len(room)
    assert room == expected


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytearray(),
        memoryview(b""),
        memoryview(b"")[::2],
        memoryview(b"abc")[1:1:-2],
        memoryview(np.zeros((0, 3), "u1")),
        memoryview(np.zeros((3, 0), "u2")),
    ],
    ids=["bytes", "bytearray", "view", "stride", "reversed", "no rows", "no columns"],
)
def test_nothing_is_empty_data_whatever_its_shape(gs, data):
    assert gs.encode_sse(data) == b"data: \n\n"


@pytest.mark.parametrize(
    "data",
    [
        memoryview(b"abcd")[::2],
        memoryview(b"abcd")[::-1],
        memoryview(np.zeros((3, 3), "u1"))[::2],
        memoryview(np.zeros((3, 3), "u1", "F")),
    ],
    ids=["stride", "reversed", "rows", "Fortran"],
)
def test_a_view_with_gaps_is_refused(gs, data):
    with pytest.raises(
        gs.errors.FrameError, match=r"^data must be contiguous, not a memoryview with gaps$"
    ):
        gs.encode_sse(data)


def test_a_released_view_is_a_value_error(gs):
    view = memoryview(bytearray(9))
    view.release()
    with pytest.raises(ValueError, match="released memoryview"):
        gs.encode_sse(view)
    with pytest.raises(ValueError, match="released memoryview"):
        gs.encode_sse_into(view, 0, "a")


def resize(*held):
    for each in held:
        each += b"!"  # BufferError while an export lives
        del each[-1]


@pytest.mark.parametrize("fields", [{}, {"id": 2.5}, {"retry": -1}, {"errors": "x"}], ids=str)
@pytest.mark.parametrize("text", [b"abc\n", b"\xff"], ids=["text", "not text"])
@pytest.mark.parametrize("size", [3, 99])
def test_no_buffer_is_held_afterwards(gs, size, text, fields):
    data, room = bytearray(text), bytearray(size)
    for given in ((data,), (room, 0, data), (room, -1, data), (room, True, data)):
        for encode in (gs.encode_sse, gs.encode_sse_into):
            try:
                encode(*given, **fields)
            except (TypeError, ValueError, BufferError):
                resize(data, room)  # nor while the error is alive
            resize(data, room)


def shared_memory():
    return mmap.mmap(-1, 64)


WRITABLE = {
    "bytearray": lambda: bytearray(64),
    "memoryview": lambda: memoryview(bytearray(64)),
    "of four bytes each": lambda: array("I", bytes(64)),
    "two-dimensional": lambda: memoryview(bytearray(64)).cast("B", [8, 8]),
    "numpy": lambda: np.zeros((4, 8), "<u2"),
    "ctypes": lambda: ctypes.create_string_buffer(64),
    "mmap": shared_memory,
}


@pytest.mark.parametrize("make", WRITABLE.values(), ids=WRITABLE.keys())
@pytest.mark.parametrize("offset", [0, 1, 7, Place.SECOND])
def test_a_frame_goes_into_any_writable_buffer(gs, make, offset):
    room = make()
    after = gs.encode_sse_into(room, offset, "a\nb", "e")
    assert type(after) is int
    held = bytes(memoryview(room).cast("B"))
    frame = b"event: e\ndata: a\ndata: b\n\n"
    assert after == offset + len(frame)
    assert held == bytes(offset) + frame + bytes(64 - after)


def test_frames_follow_one_another_by_the_offset_that_is_returned(gs):
    room = bytearray(100)
    offset = 0
    for number in range(1, 5):
        offset = gs.encode_sse_into(room, offset, str(number), id=number)
    assert bytes(room[:offset]) == b"".join(gs.encode_sse(str(n), id=n) for n in range(1, 5))


def test_an_exact_fit_fits_and_one_byte_less_writes_nothing(gs):
    fields = {"data": "a\r\nb", "event": "e", "id": 12, "retry": 3, "comment": "c"}
    frame = gs.encode_sse(**fields)
    for offset in (0, 5):
        room = bytearray(offset + len(frame))
        assert gs.encode_sse_into(room, offset, **fields) == len(room)
        for short in range(1, len(frame) + 1):
            room = bytearray(b"#" * (offset + len(frame) - short))
            with pytest.raises(gs.errors.BufferTooSmall) as caught:
                gs.encode_sse_into(room, offset, **fields)
            assert (caught.value.needed, caught.value.available) == (len(frame), len(frame) - short)
            assert str(caught.value) == (
                f"the frame needs {len(frame)} bytes, the buffer has {len(frame) - short} left"
            )
            assert room == b"#" * len(room)


def test_a_buffer_that_was_too_small_can_be_grown_at_once(gs):
    room = bytearray()
    try:
        gs.encode_sse_into(room, 0, "abc")
    except gs.errors.BufferTooSmall as error:
        room.extend(bytes(error.needed))
    assert gs.encode_sse_into(room, 0, "abc") == len(room)


def test_the_refusal_survives_pickling(both):
    error = both[0].errors.BufferTooSmall(9, 4)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.needed, again.available, str(again)) == (
        type(error), 9, 4, str(error)
    )


@pytest.mark.parametrize("size", [1, 12, 40])
def test_data_may_lie_where_the_frame_goes(gs, size):
    content = b"0\r1\n2\r\n3456789abcdefghijklmnopqrstuvwxyz\nABC"
    for start in range(0, 60 - size, 3):
        for offset in range(60):
            room = bytearray((b"-" * start + content)[: start + size].ljust(200, b"+"))
            data = memoryview(room)[start : start + size]
            frame = gs.encode_sse(bytes(data))
            assert gs.encode_sse_into(room, offset, data) == offset + len(frame)
            assert room[offset : offset + len(frame)] == frame
            assert room[offset + len(frame) :] == b"+" * (200 - offset - len(frame)) or (
                start + size > offset + len(frame)
            )


@pytest.mark.parametrize(
    ("room", "name"),
    [
        (b"bytes", "bytes"),
        ("text", "str"),
        (None, "NoneType"),
        ([0], "list"),
        (memoryview(b"read-only"), "memoryview"),
        (memoryview(bytearray(9))[::2], "memoryview"),
        (memoryview(bytearray(9)).toreadonly(), "memoryview"),
        (np.zeros((9, 9), "u1", "F"), "ndarray"),
    ],
    ids=["bytes", "str", "None", "list", "view of bytes", "stride", "read-only", "Fortran"],
)
def test_a_buffer_that_is_not_writable_is_refused(gs, room, name):
    with pytest.raises(gs.errors.FrameTypeError, match=TARGET.format(name)):
        gs.encode_sse_into(room, 0, "a")


@pytest.mark.parametrize(
    ("offset", "kind", "message"),
    [
        (True, "FrameTypeError", "offset must be int, not bool"),
        (1.0, "FrameTypeError", "offset must be int, not float"),
        (None, "FrameTypeError", "offset must be int, not NoneType"),
        (-1, "FrameError", "offset must be from 0 to 9, not -1"),
        (10, "FrameError", "offset must be from 0 to 9, not 10"),
        (2**63, "FrameError", f"offset must be from 0 to 9, not {2**63}"),
        (2**99, "FrameError", "offset must be from 0 to 9, not an int of 100 bits"),
    ],
    ids=str,
)
def test_an_invalid_offset_is_refused(gs, offset, kind, message):
    room = bytearray(9)
    with pytest.raises(getattr(gs.errors, kind), match=f"^{message}$"):
        gs.encode_sse_into(room, offset, "")
    assert room == bytes(9)


def test_an_empty_buffer_of_two_dimensions_is_too_small(gs):
    with pytest.raises(gs.errors.BufferTooSmall):
        gs.encode_sse_into(np.zeros((0, 3), "u1"), 0, "a")


LYING_OFFSET = """
import gaistream
data = bytearray(b"\\r" + b"a" * 100_000)
room = bytearray(300_000)
class Offset(int):
    def __ge__(self, other):
        data[:] = b"\\n" * len(data)
        return True
    __le__ = __lt__ = __gt__ = __ge__
for offset in (0, -100_000_000, 2**70):
    try:
        gaistream.encode_sse_into(room, Offset(offset), data)
    except (ValueError, BufferError):
        pass
"""
LYING_ROOM = """
import gaistream
data = bytearray(b"\\r" + b"a" * 100_000)
held = bytearray(300_000)
class Room:  # a buffer from Python 3.12 on
    def __buffer__(self, flags):
        data[:] = b"\\n" * len(data)
        return memoryview(held)
try:
    gaistream.encode_sse_into(Room(), 0, data)
except (ValueError, BufferError):
    pass
"""
FORGOTTEN_INIT = """
import logging
import gaistream
logging.disable()  # `end` logs a failure that it cannot write
for kind in (gaistream.SSEEncoder, gaistream.NDJSONEncoder):
    class Encoder(kind):
        def __init__(self):
            pass
    encoder = Encoder()
    for name in dir(kind):
        if name.startswith("_"):
            continue
        for given in ((), ("x",), (b"x",), (bytearray(9),)):
            try:
                getattr(encoder, name)(*given)
            except Exception:
                pass
"""


PROGRAMS = {"offset": LYING_OFFSET, "room": LYING_ROOM, "init": FORGOTTEN_INIT}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_hostile_python_does_not_crash_the_interpreter(program):
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
