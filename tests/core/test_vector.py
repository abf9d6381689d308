"""The C of src/vector.h, as vectors and as words: each place of each byte that matters."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from required import need_program, once_a_check

INCLUDE = Path(__file__).parents[2] / "src"

once_a_check()
if not (INCLUDE / "vector.h").exists():
    pytest.skip("the sources of the core are not beside the tests", allow_module_level=True)

SOURCE = """
#include "vector.h"
ptrdiff_t plain(char *out, const char *text, ptrdiff_t size)
{ return copy_plain(out, (const unsigned char *)text, size); }
ptrdiff_t run(const char *text, ptrdiff_t size)
{ return copy_plain(NULL, (const unsigned char *)text, size); }
int ascii(const char *text, ptrdiff_t size) { return all_ascii(text, size); }
int line(char *out, const char *text, ptrdiff_t size) { return copy_line(out, text, size); }
"""
FORMS = {"vectors": [], "words": ["-DGAISTREAM_PORTABLE"], "without optimisation": ["-O0"]}
ESCAPED = frozenset([*range(0x20), 0x22, 0x5C, *range(0x80, 0x100)])
EDGE = 32  # bytes around the output, which must stay as they are


@pytest.fixture(scope="module", params=FORMS)
def vector(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    compiler = need_program("cc")
    folder = tmp_path_factory.mktemp("vector")
    (folder / "vector.c").write_text(SOURCE)
    flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-I{INCLUDE}"]
    command = [compiler, *flags, *FORMS[request.param], "-o", "vector.so", "vector.c"]
    subprocess.run(command, cwd=folder, check=True)
    library = ctypes.CDLL(str(folder / "vector.so"))
    library.plain.restype = library.run.restype = ctypes.c_ssize_t
    return library


def called(function: Any, text: bytes) -> tuple[int, bytes]:
    """Call a copying function, hold its edges, and return its result and its output."""
    out = ctypes.create_string_buffer(b"~" * (len(text) + 2 * EDGE), len(text) + 2 * EDGE)
    found = function(ctypes.byref(out, EDGE), text, ctypes.c_ssize_t(len(text)))
    assert out.raw[:EDGE] == out.raw[-EDGE:] == b"~" * EDGE
    return found, out.raw[EDGE:-EDGE]


def check(vector: Any, text: bytes) -> None:
    plain = next((at for at, code in enumerate(text) if code in ESCAPED), len(text))
    found, out = called(vector.plain, text)
    assert (found, out[:plain]) == (plain, text[:plain])
    assert vector.run(text, ctypes.c_ssize_t(len(text))) == plain
    assert bool(vector.ascii(text, ctypes.c_ssize_t(len(text)))) == text.isascii()
    found, out = called(vector.line, text)
    assert found or not {0x0A, 0x0D} & {*text}  # VT and FF may be found too
    assert not found or {0x0A, 0x0B, 0x0C, 0x0D} & {*text}
    assert out == text


@pytest.mark.parametrize("size", [*range(36), 63, 64, 65, 130])
def test_each_byte_is_found_at_each_place(vector, size):
    plain = bytes(0x23 + at % 0x39 for at in range(size))
    check(vector, plain)
    for at in range(size):
        for code in (0x00, 0x0A, 0x0D, 0x1F, 0x22, 0x5C, 0x80, 0xFF):
            check(vector, plain[:at] + bytes([code]) + plain[at + 1 :])


@pytest.mark.parametrize("code", range(256))
def test_every_byte_is_judged_alike_in_every_loop(vector, code):
    for size, at in ((1, 0), (8, 3), (16, 9), (100, 77)):
        check(vector, b"x" * at + bytes([code]) + b"x" * (size - at - 1))
    if code < 0x80:  # long text is ASCII
        check(vector, b"x" * 4500 + bytes([code]) + b"x" * 500)


@given(size=st.integers(4000, 9000), at=st.integers(0, 9000), code=st.sampled_from(b'\n\r"\\\x1f '))
def test_long_text_stops_where_it_must(vector, size, at, code):
    text = bytearray(b"~" * size)
    text[at % size] = code
    check(vector, bytes(text))
