"""The peers that read Server-Sent Events, each as `read(chunks) -> the texts of the events`.

A peer is called by what its own client calls for the bytes of a response. `score` tells how many
of the cases of tests/data/sse_cases.jsonl, by the HTML standard, it reads rightly.
"""

from __future__ import annotations

import base64
import codecs
import contextlib
import io
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

Read = Callable[[list[bytes]], list[Any]]
CASES = Path(__file__).resolve().parent.parent / "tests" / "data" / "sse_cases.jsonl"


def peers() -> dict[str, tuple[str, Read]]:
    """Give each peer that is installed: its distribution, and how it reads."""
    found: dict[str, tuple[str, Read]] = {}
    for add in (_httpx_sse, _httpx2, _launchdarkly, _sseclient, _openai, _anthropic):
        with contextlib.suppress(ImportError):
            add(found)
    return found


def _httpx_sse(found: dict[str, tuple[str, Read]]) -> None:
    from httpx_sse._decoders import SSEDecoder, SSELineDecoder

    def events(chunks: Iterable[bytes]) -> Iterator[Any]:  # as its EventSource, over iter_text()
        text = codecs.getincrementaldecoder("utf-8")("replace")
        lines, decoder = SSELineDecoder(), SSEDecoder()
        for chunk in chunks:
            for line in lines.decode(text.decode(chunk)):
                event = decoder.decode(line.rstrip("\n"))
                if event is not None:
                    yield event

    found["httpx-sse"] = "httpx-sse", lambda chunks: [event.data for event in events(chunks)]


def _httpx2(found: dict[str, tuple[str, Read]]) -> None:
    from httpx2._sse import _SSEParser

    def events(chunks: Iterable[bytes]) -> Iterator[Any]:  # as its EventSource, over iter_text()
        text, parser = codecs.getincrementaldecoder("utf-8")("replace"), _SSEParser()
        for chunk in chunks:
            yield from parser.decode(text.decode(chunk))
        yield from parser.flush()

    found["httpx2"] = "httpx2", lambda chunks: [event.data for event in events(chunks)]


def _launchdarkly(found: dict[str, tuple[str, Read]]) -> None:
    from ld_eventsource.reader import _BufferedLineReader, _SSEReader

    def read(chunks: list[bytes]) -> list[str]:
        lines = _BufferedLineReader.lines_from(chunks)
        said = _SSEReader(lines).events_and_comments()
        return [event.data for event in said if hasattr(event, "data")]

    found["launchdarkly-eventsource"] = "launchdarkly-eventsource", read


def _sseclient(found: dict[str, tuple[str, Read]]) -> None:
    from sseclient import SSEClient

    found["sseclient-py"] = "sseclient-py", lambda chunks: [
        event.data for event in SSEClient(chunks).events()
    ]


def _openai(found: dict[str, tuple[str, Read]]) -> None:
    from openai._streaming import SSEDecoder

    found["openai"] = "openai", lambda chunks: [
        event.data for event in SSEDecoder().iter_bytes(iter(chunks))
    ]


def _anthropic(found: dict[str, tuple[str, Read]]) -> None:
    from anthropic._streaming import SSEDecoder

    found["anthropic"] = "anthropic", lambda chunks: [
        event.data for event in SSEDecoder().iter_bytes(iter(chunks))
    ]


def line_peers() -> dict[str, tuple[str, Read]]:
    """Give the peers that read lines of JSON, as `read(chunks) -> the values`."""
    found: dict[str, tuple[str, Read]] = {}
    with contextlib.suppress(ImportError):
        import msgspec

        decoder = msgspec.json.Decoder()
        found["msgspec"] = "msgspec", lambda chunks: decoder.decode_lines(b"".join(chunks))
    with contextlib.suppress(ImportError):
        import jsonlines

        found["jsonlines"] = "jsonlines", lambda chunks: list(
            jsonlines.Reader(io.BytesIO(b"".join(chunks)))
        )
    with contextlib.suppress(ImportError):
        import ijson

        def read(chunks: list[bytes]) -> list[Any]:
            whole = io.BytesIO(b"".join(chunks))
            return list(ijson.items(whole, "", multiple_values=True, use_float=True))

        found["ijson"] = "ijson", read
    return found


def cases() -> list[tuple[list[bytes], list[str]]]:
    """Give each case in two chunks, and the texts of its events."""
    found = []
    for line in CASES.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        text = base64.b64decode(case["input_b64"])
        half = len(text) // 2
        found.append(([text[:half], text[half:]], [event["data"] for event in case["events"]]))
    return found


def score(read: Read) -> tuple[int, int]:
    """Give how many cases are read rightly, and how many there are."""
    right, all_cases = 0, cases()
    for chunks, expected in all_cases:
        with contextlib.suppress(Exception):
            right += read(chunks) == expected
    return right, len(all_cases)
