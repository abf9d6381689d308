"""Frames of the default protocol as they stand on the wire, written out for tests."""

from __future__ import annotations

PRELUDE = b":\n\n"
DONE = b'event: done\ndata: {"finished":true}\n\n'
INTERNAL = b'event: error\nretry: 5000\ndata: {"error":"internal error","code":"internal"}\n\n'


def said(text: str) -> bytes:
    """Give the SSE frame of a text delta (of text that JSON does not escape)."""
    return b'event: text_delta\ndata: {"text":"%b"}\n\n' % text.encode()
