"""Events, values and frames pickled by one twin are read by the other as its own."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys

import pytest

import gaistream

SCRIPT = """
import pickle, sys
import gaistream
from gaistream import events as e

class Named(gaistream.ServerSentEvent):
    __slots__ = ("slot", "__dict__")

def named():
    made = Named("d", id=1)
    made.slot, made.own = 5, [6]
    return made

(read,) = gaistream.SSEDecoder().feed(b"id: 7\\nretry: 3\\ndata: \\xff\\n\\n")
things = [
    e.Start("i", "m"), e.TextDelta("t", timestamp=1.5), e.ReasoningDelta("r"),
    e.AudioDelta(b"a", e.AudioFormat("audio/wav", 1, 2, 3)), e.ToolCall("i", "n", {"a": [1]}),
    e.ToolResult("i", "n", [2], timestamp=0), e.Citations([e.Citation("u", 1, 2, "t")]),
    e.Safety("c", "a", 0.5, "n"), e.FinishStep(1), e.Finish(e.Usage(1, 2, 3, 4, 5, 6), "stop"),
    e.ReasoningEnd("i", "s", "r"), e.ToolCallStart("i", "n", True), e.ToolCallDelta("i", "{"),
    e.ToolCall("i", "n", [1], "s", False), e.ToolResult("i", "n", [2], True, True),
    e.ApprovalRequest("i", "c", "m", "r", {"type": "null"}, "s"), e.StepStart(1, "n"),
    e.StepReset(timestamp=2), e.Data("n", [1], "i", True), e.File("m", "u"),
    e.File("m", None, b"data"), e.Finish(None, "stop", "end_turn"),
    e.Error("m", "c", 2.5), e.Done(), e.Raw({"raw": [1]}), read, named(),
    gaistream.ServerSentEvent(b"data", "name", id="i", retry=4, comment="c"),
    gaistream.FrameTemplate(b"a", b"b"),
]
if sys.argv[1] == "write":
    pickles = [pickle.dumps(things, protocol) for protocol in range(6)]
    sys.stdout.buffer.write(pickle.dumps(pickles))
else:
    for pickled in pickle.loads(sys.stdin.buffer.read()):
        for ours, theirs in zip(things, pickle.loads(pickled), strict=True):
            assert type(ours) is type(theirs), theirs
            assert repr(ours) == repr(theirs)
            if isinstance(ours, e.Event):
                assert ours == theirs and ours.timestamp == theirs.timestamp
                assert b"internal error" not in b"".join(gaistream.sse(iter([theirs])))
            elif isinstance(ours, Named):
                assert (theirs.slot, theirs.own) == (5, [6])
            elif isinstance(ours, gaistream.ServerSentEvent):
                assert ours == theirs and bytes(ours) == bytes(theirs)
                assert ours.data_bytes == theirs.data_bytes
            else:
                assert ours == theirs or ours.render("x") == theirs.render("x")
    print(gaistream.backend)
"""


def child(backend, mode, data=b""):
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, mode], input=data, capture_output=True, timeout=60,
        env={**os.environ, "GAISTREAM_BACKEND": backend}, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr.decode()
    return ran.stdout


@pytest.mark.skipif(gaistream.backend != "native", reason="only one twin is in this run")
def test_each_twin_reads_the_pickles_of_both():
    for writer in ("native", "pure"):
        pickles = child(writer, "write")
        for reader in ("native", "pure"):
            assert child(reader, "read", pickles).decode().strip() == reader


def test_a_pickle_names_no_twin():
    for thing in (gaistream.events.TextDelta("t"), gaistream.ServerSentEvent("d")):
        for protocol in range(6):
            pickled = pickle.dumps(thing, protocol)
            assert b"gaistream.core._core" not in pickled
            assert b"gaistream.core.pure" not in pickled


def test_a_subclass_of_an_event_that_was_read_is_copied_with_what_it_holds(gs):
    class Named(gs.ServerSentEvent):
        __slots__ = ("slot",)

        def __init__(self, slot):
            super().__init__("d", id=3)
            self.slot = slot

    for again in (copy.copy, copy.deepcopy):
        made = again(Named([1]))
        assert (type(made), made.slot, bytes(made)) == (Named, [1], b"id: 3\ndata: d\n\n")
