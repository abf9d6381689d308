"""Compressed bodies: their content at any chunk border, and bounded memory for a bomb."""

from __future__ import annotations

import gzip
import sys
import tracemalloc
import zlib

import pytest
from required import need_package

from gaistream.errors import ClientError, ContentEncodingError
from gaistream.http import content_coding
from gaistream.http.content_coding import BodyDecoder, unasked_coding

TEXT = b"".join(b"data: %d\n\n" % number for number in range(2000))
MOST = 2**20


def raw_deflate(data):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def brotli(data):
    need_package("brotli")
    import brotli as library

    return library.compress(data)


def zstd(data):
    if sys.version_info >= (3, 14):
        from compression.zstd import compress
    else:
        need_package("backports")
        from backports.zstd import compress

    return compress(data)


PACKERS = [
    ("gzip", gzip.compress),
    ("X-GZip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", raw_deflate),
    ("br", brotli),
    ("zstd", zstd),
    ("identity", bytes),
    ("", bytes),
]
packers = pytest.mark.parametrize(("name", "pack"), PACKERS)


def decoded(name, body, step=2**16):
    decoder, pieces = BodyDecoder(name), []
    for start in range(0, len(body), step):
        for piece in decoder.decode(body[start : start + step]):
            assert 0 < len(piece) <= MOST
            pieces.append(piece)
    decoder.close()
    return b"".join(pieces)


@packers
@pytest.mark.parametrize("step", [1, 1000, 2**30])
def test_a_body_is_decoded_whatever_its_chunks(name, pack, step):
    assert decoded(name, pack(TEXT), step) == TEXT


@packers
def test_two_codings_are_undone_in_reverse_order(name, pack):
    assert decoded(f"gzip, {name}", pack(gzip.compress(TEXT))) == TEXT
    assert decoded(f"{name} ,deflate", zlib.compress(pack(TEXT))) == TEXT


@pytest.mark.parametrize(("name", "pack"), [("gzip", gzip.compress), ("zstd", zstd)])
@pytest.mark.parametrize("step", [1, 2**30])
def test_a_body_of_several_members_is_read_to_its_end(name, pack, step):
    assert decoded(name, pack(b"a") + pack(b"b"), step) == b"ab"


def test_flushed_data_comes_out_at_once():
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    decoder = BodyDecoder("gzip")
    for part in (b"one", b"two"):
        chunk = packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH)
        assert b"".join(decoder.decode(chunk)) == part


@packers
def test_a_truncated_body_is_an_error(name, pack):
    whole = pack(TEXT)
    if whole == TEXT:
        return
    with pytest.raises(ContentEncodingError, match="ends within its compressed data"):
        decoded(name, whole[:-5])
    assert decoded(name, b"") == b""  # an empty body is not a truncated one


@packers
def test_a_body_in_another_coding_is_an_error_of_the_client(name, pack):
    if pack(TEXT) == TEXT:
        return
    for wrong in (b"\xff" * 100, pack(TEXT) + b"\xff" * 100):
        with pytest.raises(ClientError, match=r"cannot be decompressed|goes on after"):
            decoded(name, wrong)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("foo", "Content-Encoding: 'foo' cannot be decoded"),
        ("gzip, gzip, gzip", "has 3 codings, and at most 2 are decoded"),
        ("\x1b[31m" * 100, r"Content-Encoding: '\\x1b\[31m"),
    ],
)
def test_an_unknown_coding_is_refused_by_name(name, message):
    with pytest.raises(ContentEncodingError, match=message) as caught:
        BodyDecoder(name)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(("name", "package"), [("br", "brotli 1.2"), ("zstd", "backports.zstd")])
def test_a_coding_whose_package_is_missing_is_refused_by_that_name(name, package, monkeypatch):
    monkeypatch.setattr(content_coding, "_imported", lambda _: None)
    with pytest.raises(ContentEncodingError, match=f"{package} .*is not installed"):
        BodyDecoder(name)


@pytest.mark.parametrize("codings", [1, 2])
@packers
def test_a_bomb_is_decoded_in_small_pieces(name, pack, codings):
    bomb, size = pack(b":\n" * 2**24), 2**25
    if len(bomb) == size:
        return
    if codings == 2:
        bomb = pack(bomb)
    decoder, total = BodyDecoder(", ".join([name] * codings)), 0
    tracemalloc.start()
    try:
        for piece in decoder.decode(bomb):
            assert len(piece) <= MOST
            total += len(piece)
        assert tracemalloc.get_traced_memory()[1] < 4 * MOST
    finally:
        tracemalloc.stop()
    assert total == size


def test_zstandard_is_used_if_nothing_better_is_installed(monkeypatch):
    need_package("zstandard")
    imported = content_coding._imported
    monkeypatch.setattr(
        content_coding, "_imported", lambda name: imported(name) if name == "zstandard" else None
    )
    assert decoded("zstd", zstd(TEXT) + zstd(TEXT), 1000) == TEXT * 2
    assert decoded("zstd", zstd(b"\n" * 2**25)) == b"\n" * 2**25


@pytest.mark.parametrize(
    ("coding", "accept", "refused"),
    [
        ("", "identity", False),
        ("identity", "identity", False),
        ("gzip", "identity", True),
        ("gzip", "", True),
        ("gzip", "br, GZIP;q=0.5", False),
        ("x-gzip", "gzip", False),
        ("gzip", "gzip;q=0", True),
        ("gzip", "gzip;q=0.0, *", False),
        ("gzip, br", "gzip", True),
        ("gzip, gzip", "gzip", False),
    ],
)
def test_only_a_requested_coding_is_accepted(coding, accept, refused):
    assert bool(unasked_coding(coding, accept)) is refused
