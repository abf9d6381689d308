"""What Django's own compression does to a stream, as the pages on Django and compression say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from real_servers import SECONDS

import gaistream

pytest.importorskip("django", reason="Django is not installed")

PROGRAM = """
import asyncio, gzip, sys, zlib

from django.conf import settings
from django.http import HttpRequest, StreamingHttpResponse
from django.middleware.gzip import GZipMiddleware

from gaistream import http, sse

settings.configure()


async def answer():
    yield "one"
    await asyncio.sleep(0.01)
    yield "two"


async def main():
    headers = http.headers("sse") | dict([each.split("=") for each in sys.argv[1:]])
    response = StreamingHttpResponse(sse(answer()), headers=headers)
    request = HttpRequest()
    request.META["HTTP_ACCEPT_ENCODING"] = "gzip"
    compressed = GZipMiddleware(lambda _: response)(request)
    body = b"".join([chunk async for chunk in compressed])
    print(compressed.headers["Content-Encoding"])
    if compressed.headers["Content-Encoding"] == "gzip":
        print(gzip.decompress(body).count(b"text_delta"))
        print(zlib.decompressobj(31).decompress(body).count(b"text_delta"))
    else:
        print(body.count(b"text_delta"))


asyncio.run(main())
"""


def run(*headers: str) -> list[str]:
    """Django is configured once a process, so it gets one of its own."""
    package = Path(gaistream.__file__).parent.parent
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, *headers], text=True, capture_output=True, check=True,
        timeout=SECONDS, env={**os.environ, "PYTHONPATH": str(package)},
    )  # fmt: skip
    return ran.stdout.split()


def test_where_each_chunk_is_a_member_who_reads_one_member_sees_one_chunk() -> None:
    import django.utils.text

    # later Djangos make one member of a whole stream, flushed behind each chunk
    one_member = hasattr(django.utils.text, "acompress_sequence")
    assert run() == ["gzip", "2", "2" if one_member else "1"]


def test_a_stream_that_says_its_encoding_is_left_alone() -> None:
    assert run("Content-Encoding=identity") == ["identity", "2"]
