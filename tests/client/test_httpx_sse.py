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


def asked(reader, answer):
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
def test_what_is_the_same(body):
    assert asked(ours, HEAD + body) == asked(peer, HEAD + body)


@pytest.mark.parametrize(
    ("body", "theirs", "here"),
    [
        (b"event: e\n\n", [("e", "", "", None)], []),
        (b"retry: 1_0\ndata: a\n\n", [("message", "a", "", 10)], [("message", "a", "", None)]),
        (b"\xef\xbb\xbfdata: a\n\n", [], [("message", "a", "", None)]),
    ],
)
def test_what_is_different(body, theirs, here):
    assert asked(peer, HEAD + body)[0] == theirs
    assert asked(ours, HEAD + body)[0] == here


def test_a_status_and_a_content_type_are_refused():
    failed = HEAD.replace(b"200 OK", b"404 No")
    assert asked(peer, failed)[0] == []
    with pytest.raises(StatusError):
        asked(ours, failed)
    page = HEAD.replace(b"text/event-stream", b"text/html")
    with pytest.raises(httpx.TransportError):
        asked(peer, page)
    with pytest.raises(ContentTypeError):
        asked(ours, page)
