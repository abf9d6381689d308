"""The benchmark of servers runs, and counts no figure of a server that sent something else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import gaistream

pytest.importorskip("orjson", reason="the peers that are measured beside need orjson")

from load import WrongBytes, body, data_of, events
from payloads import TOKEN_FRAME
from rounds import check
from served import DONE

COMMAND = Path(__file__).parents[2] / "benchmarks" / "server.py"
HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
DONE_FRAME = b"event: done\ndata: " + DONE + b"\n\n"
WHOLE = [b":\n\n" + TOKEN_FRAME * 3, DONE_FRAME]


class Received:
    """What one client received, in pieces."""

    def __init__(self, *pieces):
        self._body = b"".join(pieces)

    def bodies(self):
        yield self._body


def test_a_quick_run_measures_every_case_and_finds_every_event():
    root = Path(gaistream.__file__).parent.parent
    finished = subprocess.run(
        [sys.executable, str(COMMAND), "--quick"],
        env={"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    titles = [line for line in finished.stdout.splitlines() if line.startswith("## ")]
    assert [title.split(":")[0].split(" (")[0] for title in titles] == [
        "## Burst", "## Paced by an engine",
        "## FastAPI, 30 events that are ready", "## FastAPI, a token each at a tick of 1 ms",
        "## Whole answers",
        "## 32 streams of 50 events a second, random in time",
        "## 32 streams of 50 events a second, even in time",
        "## A channel", "## A channel", "## A channel",
        "## Sync burst", "## Sync sources that block for each event",
        "## Latency", "## Idle", "## Idle",
    ]  # fmt: skip
    assert finished.stdout.count("Every client received every event, whole and in its place.") == 12
    assert "left out" not in finished.stdout
    assert finished.stderr == ""


def test_an_unknown_case_is_refused():
    finished = subprocess.run(
        [sys.executable, str(COMMAND), "burts"], capture_output=True, text=True, timeout=60
    )
    assert finished.returncode == 2
    assert "no such case: burts" in finished.stderr


def test_what_should_come_is_accepted():
    check("gaistream asgi", Received(*WHOLE), 3, stamped=False)
    check("raw ASGI", Received(TOKEN_FRAME * 3), 3, stamped=False)
    check("litestar", Received(TOKEN_FRAME.replace(b"\n", b"\r\n") * 3), 3, stamped=False)


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ([TOKEN_FRAME * 2, DONE_FRAME], "2 events came of 3"),
        ([TOKEN_FRAME * 4, DONE_FRAME], "4 events came of 3"),
        ([TOKEN_FRAME * 3], "the last event is not"),
        ([DONE_FRAME, TOKEN_FRAME * 3], "the last event is not"),
        ([*WHOLE[:1], DONE_FRAME[:-1]], "the last frame is cut"),
        ([TOKEN_FRAME * 2, TOKEN_FRAME.replace(b"mark", b"mask"), DONE_FRAME], "sent b"),
        ([TOKEN_FRAME * 2, b"date: x\n", TOKEN_FRAME, DONE_FRAME], "no field: b'date: x'"),
    ],
)
def test_anything_else_is_not(pieces, said):
    with pytest.raises(WrongBytes, match=said):
        check("gaistream asgi", Received(*pieces), 3, stamped=False)


def test_chunks_are_taken_off_and_a_response_that_is_cut_is_refused():
    chunks = b"3\r\n:\n\n\r\n2\r\n\r\n\r\n0\r\n\r\n"
    assert body(HEAD + chunks) == b":\n\n\r\n"
    for end in range(len(chunks) - 2):
        with pytest.raises(WrongBytes, match="cut short"):
            body(HEAD + chunks[:end])
    with pytest.raises(WrongBytes, match="no stream"):
        body(b"HTTP/1.1 500 Internal Server Error\r\n\r\n0\r\n\r\n")


def test_events_are_what_has_data():
    assert data_of(b"event: a\ndata: b") == b"b"
    assert data_of(b": ping") is None
    assert events(b": ping\n\ndata:c\n\n: x\ndata: d\n\n") == [b"c", b"d"]
