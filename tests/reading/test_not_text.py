"""What is no stream of UTF-8 is named, with the mend: UTF-16, gzip, text, JSON on several lines."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import subprocess

import pytest
from command_line import COMMAND, PLAIN, run

from gaistream.cli._sniff import format_of_start

LINES = b'{"type":"text_delta","text":"a"}\n{"type":"done"}\n'
SSE = b'event: text_delta\ndata: {"text":"a"}\n\nevent: done\ndata: {}\n\n'
FOREIGN = {
    "gzip": (gzip.compress, "compressed with gzip: decompress it first"),
    "UTF-16": (lambda data: data.decode().encode("utf-16"), "UTF-16, not UTF-8: convert it first"),
    "UTF-16, big": (lambda data: b"\xfe\xff" + data.decode().encode("utf-16-be"), "UTF-16, not"),
    "UTF-16, no mark": (lambda data: data.decode().encode("utf-16-le"), "UTF-16, not UTF-8"),
    "UTF-16, big, no mark": (lambda data: data.decode().encode("utf-16-be"), "UTF-16, not UTF-8"),
}
EACH = pytest.mark.parametrize("name", FOREIGN)


async def one_by_one(data):
    for byte in data:
        yield bytes([byte])


@EACH
def test_a_reader_names_an_encoding_that_is_not_utf8(gs, name):
    change, problem = FOREIGN[name]
    for data, format in ((change(LINES), "ndjson"), (change(SSE), "sse")):
        pieces = [data[at : at + 1] for at in range(len(data))]
        for source in (data, io.BytesIO(data), pieces, memoryview(data)):
            with pytest.raises(gs.errors.FrameError, match=f"^the source is {problem}"):
                list(gs.read_events(source, format))
    with pytest.raises(gs.errors.FrameError, match=problem):
        list(gs.NDJSONReader(change(LINES)))

    async def read():
        return [event async for event in gs.read_events(one_by_one(change(SSE)))]

    with pytest.raises(gs.errors.FrameError, match=problem):
        asyncio.run(read())


def test_a_byte_order_mark_of_utf8_and_short_sources_are_text(gs):
    mark = b"\xef\xbb\xbf"
    assert list(gs.NDJSONReader(mark + b"1")) == [1]
    for data in (b"", b"1", b"12", b"[]\n", b"\n\n\n\n1", b'"\xc3\xa9"'):
        assert len(list(gs.NDJSONReader([data[:1], data[1:]]))) == bool(data)
    assert list(gs.read_events(mark + SSE)) == list(gs.read_events(SSE))


def test_str_is_refused_with_a_remedy(gs, tmp_path):
    path = tmp_path / "capture.sse"
    path.write_bytes(SSE)
    mend = r'\(open files in binary mode, "rb", and encode text\), not str$'
    with path.open() as file:
        for source in (file, io.StringIO(SSE.decode()), [SSE.decode()], iter([""])):
            with pytest.raises(gs.errors.FrameTypeError, match=mend):
                list(gs.read_events(source))
    path.write_bytes(b"")
    with path.open() as file, pytest.raises(gs.errors.FrameTypeError, match=mend):
        gs.NDJSONReader(file)


@pytest.mark.parametrize("value", [{"a": 1, "b": [2]}, [1, 2], [{"a": 1}]])
def test_the_error_names_json_over_several_lines(gs, value):
    text = json.dumps(value, indent=2).encode() + b"\n"
    with pytest.raises(gs.errors.NDJSONError, match=r"\(JSON over several lines: write a value on"):
        list(gs.NDJSONReader(text))
    (*_, error) = gs.read_events(text, "ndjson")
    assert "JSON over several lines" in error.message
    for bad in (b"{]\n", b"1\n[\n", b'{"a"\n', b"\n{\n"):
        with pytest.raises(gs.errors.NDJSONError) as caught:
            list(gs.NDJSONReader(bad))
        assert "several" not in str(caught.value)


# ---- the commands ----


@EACH
@pytest.mark.parametrize("command", ["check", "convert"])
def test_a_command_names_an_encoding_that_is_not_utf8(tmp_path, command, name):
    change, problem = FOREIGN[name]
    path = tmp_path / "capture.sse"
    path.write_bytes(change(SSE))
    ran = run(command, str(path))
    assert (ran.status, ran.out) == (2, "")
    assert problem in " ".join(ran.errors.split())
    ran = run(command, "-", stdin=change(LINES))
    assert ran.status == 2
    assert f"stdin is {problem}" in " ".join(ran.errors.split())


def test_check_names_json_over_several_lines():
    ran = run("check", stdin=json.dumps({"a": 1}, indent=2).encode())
    assert ran.status == 1
    assert "JSON over several lines" in " ".join(ran.out.split())


class Pieces(io.BytesIO):
    """A file that gives the same pieces, one a read."""

    def __init__(self, pieces):
        super().__init__()
        self.pieces = list(pieces)

    def read1(self, _size=-1):
        return self.pieces.pop(0) if self.pieces else b""


@pytest.mark.parametrize(("content", "format"), [(LINES, "ndjson"), (SSE, "sse"), (b"", "sse")])
def test_leading_white_space_is_scanned_once(content, format):
    blank = [b" " * number + b"\r\n\t" for number in range(4, 200)]
    found, chunks = format_of_start(Pieces([b"\xef\xbb\xbf ", *blank, content]), "-")
    assert found == format
    for before, after in zip([b"\xef\xbb\xbf ", *blank], chunks, strict=False):
        assert after is before or after == before[:4]  # it was neither joined nor copied
    assert b"".join(chunks) == content


@pytest.mark.parametrize(
    ("arguments", "reads", "writes"),
    [
        (["convert", "-", "f"], True, False),
        (["convert", "f", "-"], False, True),
        (["convert", "-", "-"], True, True),
        (["convert"], True, True),
        (["convert", "f", "./f"], False, False),
        (["convert", "-", "link"], True, False),
    ],
)
def test_a_file_is_not_converted_into_itself(tmp_path, arguments, reads, writes):
    (tmp_path / "f").write_bytes(SSE)
    (tmp_path / "link").hardlink_to(tmp_path / "f")
    with (tmp_path / "f").open("rb") as came, (tmp_path / "f").open("ab") as goes:
        ran = subprocess.run(
            [*COMMAND, *arguments], cwd=tmp_path, stdin=came if reads else subprocess.DEVNULL,
            stdout=goes if writes else subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
            env=PLAIN, check=False,
        )  # fmt: skip
    assert ran.returncode == 2
    assert b"input and output are the same file" in ran.stderr
    assert (tmp_path / "f").read_bytes() == SSE
