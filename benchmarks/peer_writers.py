"""The peers that write Server-Sent Events, each as `write(data, event=None) -> bytes`.

A peer is called by what its own response calls for an event. `faults` tells what one gets wrong:
it writes a few texts that are hard to write, and a decoder by the HTML standard reads them back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from gaistream.core.pure import SSEDecoder

Write = Callable[..., bytes]
# what must be read back of what was written: (what is wrong where it is not, data, event, read)
HARD: list[tuple[str, str, str | None, list[tuple[str, str]]]] = [
    ("CR and CRLF", "a\r\nb\rc", None, [("message", "a\nb\nc")]),
    ("an empty text", "", None, [("message", "")]),
    ("a last line end", "a\n", None, [("message", "a\n")]),
    ("U+2028, U+0085", "a\u2028b\x85c", None, [("message", "a\u2028b\x85c")]),
]


def peers() -> dict[str, tuple[str, Write]]:
    """Give each peer that is installed: its distribution, and how it writes."""
    found: dict[str, tuple[str, Write]] = {}
    for add in (_fastapi, _sse_starlette, _litestar, _django_eventstream, _datastar):
        with contextlib.suppress(ImportError):
            add(found)
    return found


def _fastapi(found: dict[str, tuple[str, Write]]) -> None:
    from fastapi.sse import format_sse_event

    def write(data: str, event: str | None = None) -> bytes:
        return format_sse_event(data_str=data, event=event)

    found["fastapi.sse"] = "fastapi", write


def _sse_starlette(found: dict[str, tuple[str, Write]]) -> None:
    from sse_starlette import ServerSentEvent

    def write(data: str, event: str | None = None) -> bytes:
        return ServerSentEvent(data, event=event, sep="\n").encode()

    found["sse-starlette"] = "sse-starlette", write


def _litestar(found: dict[str, tuple[str, Write]]) -> None:
    from litestar.response.sse import ServerSentEventMessage

    def write(data: str, event: str | None = None) -> bytes:
        return ServerSentEventMessage(data, event=event, sep="\n").encode()

    found["litestar"] = "litestar", write


def _django_eventstream(found: dict[str, tuple[str, Write]]) -> None:
    if find_spec("django_eventstream") is None:
        raise ImportError("django_eventstream is not installed")
    from django.conf import settings
    from django.utils.functional import empty

    configured = settings.configured
    if not configured:
        settings.configure()
    from django_eventstream.utils import sse_encode_event

    if not configured:  # the process may configure Django in its own way afterwards
        settings._wrapped = empty

    def write(data: str, event: str | None = None) -> bytes:
        encoded: str = sse_encode_event(event or "message", data)
        return encoded.encode()

    found["django-eventstream"] = "django-eventstream", write


def _datastar(found: dict[str, tuple[str, Write]]) -> None:
    from datastar_py import ServerSentEventGenerator

    def write(data: str, event: str | None = None) -> bytes:
        return ServerSentEventGenerator._send(event or "message", data.split("\n")).encode()

    found["datastar-py"] = "datastar-py", write


def read_back(frame: bytes) -> list[tuple[str, str]]:
    """Give the events of a frame, by the HTML standard."""
    return [(event.event, event.data) for event in SSEDecoder().feed(frame)]


def faults(write: Write) -> list[str]:
    """Tell what a writer gets wrong; nothing where it writes every hard text as it is."""
    wrong = []
    for what, data, event, expected in HARD:
        try:
            right = read_back(write(data, event)) == expected
        except Exception:
            right = False
        if not right:
            wrong.append(what)
    return [*wrong, *(["a line end in event"] if injects(write) else [])]


def injects(write: Write) -> bool:
    """Tell whether an event's name can bring a field of its own."""
    try:
        frame = write("x", "a\ndata: injected")
    except Exception:
        return False
    return any("injected" in data.split("\n") for _, data in read_back(frame))


def describe(wrong: list[str]) -> str:
    return f"wrong: {', '.join(wrong)}" if wrong else ""


def matches(found: Any, expected: bytes) -> bool:
    """Tell whether a frame says the same as the expected one; it may be framed otherwise."""
    if found == expected:
        return True
    return read_back(found) == read_back(expected)
