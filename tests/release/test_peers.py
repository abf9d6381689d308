"""The tables of peers: every case runs, no wrong result counts, and what is missing says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import gaistream

pytest.importorskip("orjson")
if gaistream.backend != "native":
    pytest.skip("both twins are measured by the compiled package", allow_module_level=True)

import expressions
import other_languages
import peer_readers
import peer_writers
import peers
import reading
from expressions import Group, Row

COMMAND = Path(peers.__file__)


def test_a_quick_run_measures_every_case_and_says_what_is_not_there():
    package = str(Path(gaistream.__file__).parents[1])
    finished = subprocess.run(
        [sys.executable, str(COMMAND), "--quick"], capture_output=True, text=True, timeout=300,
        env={"PYTHONPATH": package, "PATH": str(Path(sys.executable).parent), "LANG": "C.UTF-8",
             "GAISTREAM_BACKEND": "native", "HOME": os.environ.get("HOME", "/")},
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout + finished.stderr
    titles = [title for title, *_ in (*expressions.GROUPS, *reading.groups())]
    for title in titles:
        assert f"| **{title}** | ns | × the first | |" in finished.stdout
    assert "| the Go original's WriteEvent | – | | go is not installed |" in finished.stdout
    assert "| eventsource-parser | – | | node is not installed |" in finished.stdout
    assert "right in 148 of 148 cases" in finished.stdout
    assert "| aimed at | at most | is | |" in finished.stdout


def test_what_a_writer_gets_wrong_is_told():
    assert peer_writers.faults(gaistream.encode_sse) == []
    naive = peer_writers.faults(expressions.f_string)
    assert naive == ["CR and CRLF", "a last line end", "a line end in event"]
    assert "U+2028, U+0085" in peer_writers.faults(
        lambda data, event=None: b"".join(
            f"data: {line}\n".encode() for line in data.splitlines()) + b"\n"
    )  # fmt: skip

    def refuses(data, event=None):
        raise TypeError(data)

    assert len(peer_writers.faults(refuses)) == len(peer_writers.HARD)


def test_a_wrong_result_is_no_figure():
    with pytest.raises(ValueError, match="gave b'data: other"):
        expressions.check("encode_sse", b"data: other\n\n", b"data: x\n\n")
    peer = next(iter(expressions.WRITERS), None)
    if peer is not None:  # one may frame the same event otherwise
        expressions.check(peer, b"data:x\r\n\r\n", b"data: x\n\n")
        with pytest.raises(ValueError, match="gave"):
            expressions.check(peer, b"data:y\r\n\r\n", b"data: x\n\n")
    with pytest.raises(ValueError, match="liar read something else"):
        reading.measure([("liar", lambda: ["y"])], ["x"], 1)


def test_a_reader_is_right_in_as_many_cases_as_it_is():
    _, cases = peer_readers.score(lambda _: [])
    ours = reading.gaistream_reader
    assert peer_readers.score(lambda chunks: ours(chunks, gaistream.SSEDecoder)()) == (cases, cases)
    assert peer_readers.score(lambda _: [object()]) == (0, cases)


def test_a_tool_that_fails_is_missing(tmp_path):
    with pytest.raises(other_languages.Missing, match="no-such-tool is not installed"):
        other_languages.tool("no-such-tool")
    with pytest.raises(other_languages.Missing, match=r"failed: .*broken"):
        other_languages.run([sys.executable, "-c", "import sys; sys.exit('broken')"], tmp_path)


def test_the_summary_has_the_first_ours_and_the_fastest_other():
    group = Group("a case", [Row("plain", 100), Row("encode_sse", 25), Row("the pure twin", 300),
                             Row("slow", 900), Row("fast", 50), Row("gone", None)])  # fmt: skip
    assert list(peers.summary([group]))[2] == (
        "| a case | plain 100 | `encode_sse` 25, 0.25 | 3.00 | fast 50, 0.50 |"
    )
    assert list(peers.table(group))[-2] == "| gone | – | |  |"


def test_aims_are_of_rows_that_there_are():
    names = {(title, name) for title, _, _, rows in expressions.GROUPS for name, _ in rows}
    for title, name, beside, _ in peers.AIMS:
        assert (title, name) in names
        if "Go" not in beside and beside not in ("sse-starlette", peers.SMALL):
            assert (title, beside) in names


def test_what_was_aimed_at_is_said_to_be_met_or_missed():
    def groups(twin):
        rows = [Row("f-string and encode", 100), Row("the pure twin", twin)]
        return [Group("a small frame", rows)]

    assert list(peers.aims(groups(250)))[2].endswith("| 3.00 | 2.50 | met |")
    assert list(peers.aims(groups(350)))[2].endswith("| 3.00 | 3.50 | missed |")
    assert peers.missed(groups(250)) == "No aim was missed."
    assert peers.missed(groups(350)).endswith("was to be at most 3.00, and is 3.50")
