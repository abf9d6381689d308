"""The rows of the handbook's table beside httpx-sse that can be seen on the same answers."""

from __future__ import annotations

import httpx
import pytest
from required import need_package
from scripted_http import HEAD, scripted

from gaistream.client import ContentTypeError, StatusError, connect_sse


def peer(url):
    need_package("httpx_sse")
    import httpx_sse

    with httpx.Client() as client, httpx_sse.connect_sse(client, "GET", url) as source:
        return [(each.event, each.data, each.id, each.retry) for each in source.iter_sse()]


def ours(url):
    with connect_sse(url, reconnect=False) as events:
        return [(each.event, each.data, each.id or "", each.retry) for each in events]


def read_by(reader, answer):
    with scripted(answer) as server:
        result = reader(server.url)
    _, headers, _ = server.requests[0]
    return result, headers["accept"], headers["cache-control"]


@pytest.mark.parametrize(
    "body",
    [
        b"data: a\n\n",
        b"event: e\nid: 1\nretry: 5\ndata: a\ndata: b\n\ndata: c\n\n",
        b": comment\r\n\r\ndata: a\r\n\r\n",
        "data: a\u2028b\n\n".encode(),
        b"data: cut",
    ],
)
def test_frames_that_both_read_alike(body):
    assert read_by(ours, HEAD + body) == read_by(peer, HEAD + body)


@pytest.mark.parametrize(
    ("body", "theirs", "here"),
    [
        (b"event: e\n\n", [("e", "", "", None)], []),
        (b"retry: 1_0\ndata: a\n\n", [("message", "a", "", 10)], [("message", "a", "", None)]),
        (b"\xef\xbb\xbfdata: a\n\n", [], [("message", "a", "", None)]),
    ],
)
def test_frames_that_are_read_differently(body, theirs, here):
    assert read_by(peer, HEAD + body)[0] == theirs
    assert read_by(ours, HEAD + body)[0] == here


def test_a_status_and_a_content_type_are_refused():
    failed = HEAD.replace(b"200 OK", b"404 No")
    assert read_by(peer, failed)[0] == []
    with pytest.raises(StatusError):
        read_by(ours, failed)
    page = HEAD.replace(b"text/event-stream", b"text/html")
    with pytest.raises(httpx.TransportError):
        read_by(peer, page)
    with pytest.raises(ContentTypeError):
        read_by(ours, page)
