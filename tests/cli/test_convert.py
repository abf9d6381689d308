"""`gaistream convert`: files and pipes, in bounded memory; statuses and messages."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import DEADLINE, end, run, run_on_terminal, start

from gaistream import encode_events
from gaistream.events import Done, TextDelta

SSE = b"id: 1\nevent: e\ndata: a\n\ndata: b\n\n"
LINES = b'{"event":"e","data":"a","id":"1"}\n{"data":"b"}\n'


@pytest.mark.parametrize(("body", "converted"), [(SSE, LINES), (LINES, SSE)])
def test_the_format_of_stdin_is_known_by_its_first_bytes(body, converted):
    ran = run("convert", stdin=body)
    assert (ran.status, ran.bytes) == (0, converted)
    assert ran.errors.endswith("; nothing was lost\n")


@pytest.mark.parametrize(
    ("source", "target", "options"),
    [
        ("in.sse", "out.ndjson", []),
        ("in.sse", "out.jsonl", []),
        ("in.txt", "out.txt", ["--from", "sse"]),
        ("in.txt", "out.txt", ["--to", "ndjson"]),
    ],
)
def test_files_are_known_by_their_suffix_or_the_options(tmp_path, source, target, options):
    (tmp_path / source).write_bytes(SSE)
    ran = run("convert", "-q", *options, str(tmp_path / source), str(tmp_path / target))
    assert (ran.status, ran.out, ran.errors) == (0, "", "")
    assert (tmp_path / target).read_bytes() == LINES


def test_the_output_of_a_pipe_does_not_wait_for_more_input():
    process = start("convert")
    for number in (1, 2):
        process.stdin.write(b"data: %d\n\n" % number)
        process.stdin.flush()
        assert json.loads(process.stdout.readline()) == {"data": str(number)}
    ran = end(process)
    assert (ran.status, ran.errors) == (0, "2 events from sse; nothing was lost\n")


def test_the_dialects_and_what_they_lose():
    answer = encode_events([TextDelta("a"), Done()], "sse")
    assert run("convert", "--dialect", "gai", stdin=answer).bytes == (
        encode_events([TextDelta("a"), Done()], "ndjson")
    )
    ran = run("convert", "--dialect", "json", stdin=answer)
    assert ran.bytes == b'{"text":"a"}\n{"finished":true}\n'
    assert ran.errors == "2 events from sse; lost: event names ×2\n"


BROKEN = [
    (b"data: 1\n\ndata: 2\n", [], b'{"data":"1"}\n', "has no blank line after it"),
    (b'{"data":"1"}\n{"data":\n', [], b"data: 1\n\n", "wrong: line 2"),
    (b"data: 1\n\ndata: x\n\n", ["--dialect", "json"], b"1\n", "the data of event 2 is not JSON"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "options", "converted", "message"), BROKEN)
def test_broken_input_is_converted_as_far_as_it_goes_and_has_status_1(
    body, options, converted, message
):
    ran = run("convert", *options, stdin=body)
    assert (ran.status, ran.bytes) == (1, converted)
    assert message in ran.errors


def test_input_that_cannot_be_converted_ends_it_at_once():
    process = start("convert")
    process.stdin.write(b'{"data":\n')
    process.stdin.flush()
    assert process.wait(DEADLINE) == 1
    assert b"wrong: line 1" in end(process).errors.encode()


def test_a_wrong_call_has_status_2_and_touches_no_file(tmp_path):
    capture = tmp_path / "a.sse"
    capture.write_bytes(SSE)
    for arguments, message in [
        ([str(capture), str(capture)], "input and output are the same file"),
        ([str(capture), str(tmp_path / "b.sse")], "input and output are both sse"),
        ([str(tmp_path / "none.sse")], "none.sse: No such file or directory"),
        ([str(capture), str(tmp_path / "no" / "b.ndjson")], "b.ndjson: No such file or directory"),
        (["--dialect", "nothing"], "'nothing' is not one of"),
    ]:
        ran = run("convert", *arguments)
        assert ran.status == 2, ran.errors
        assert message in " ".join(ran.errors.split())
    assert list(tmp_path.iterdir()) == [capture]
    assert capture.read_bytes() == SSE


def test_a_full_disk_has_status_2_and_a_message():
    device = Path("/dev/full")
    if not device.exists():
        pytest.skip("there is no /dev/full")
    with device.open("wb") as full:
        process = start("convert", stdout=full)
        process.stdin.write(SSE)
        ran = end(process)
    assert (ran.status, ran.errors) == (2, "Error: No space left on device\n")
    with device.open("wb") as full:
        ran = end(start("check", "--rules", stdout=full))
    assert (ran.status, ran.errors) == (2, "Error: No space left on device\n")


def test_a_reader_that_leaves_early_ends_it_quietly():
    process = start("convert")
    process.stdin.write(SSE)
    process.stdin.flush()
    process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    process.stdin.write(SSE * 10)
    ran = end(process)
    assert (ran.status, ran.errors) == (141, "")


def test_an_interrupt_keeps_the_output_and_reports_it():
    process = start("convert")
    process.stdin.write(SSE)
    process.stdin.flush()
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.stdin.close()
    process.stdin = None
    ran = end(process)
    assert ran.status == 130
    assert ran.errors.startswith("2 events from sse")


@pytest.fixture
def large(tmp_path):
    """Make a capture of 20 MB."""
    path = tmp_path / "large.sse"
    path.write_bytes(b"id: 1\ndata: %b\n\n" % (b"x" * 2000) * 10_000)
    return path


def test_a_large_file_has_a_progress_bar_only_on_a_terminal(large, tmp_path):
    out = str(tmp_path / "out.ndjson")
    ran = run_on_terminal("convert", str(large), out)
    assert ran.status == 0
    assert "━" in ran.out
    assert "MB" in ran.out
    assert "10000 events from sse; nothing was lost" in ran.out
    assert run("convert", str(large), out).errors == "10000 events from sse; nothing was lost\n"


def test_memory_does_not_grow_with_the_file(large, tmp_path):
    small = tmp_path / "small.sse"
    small.write_bytes(SSE)
    peaks = [_peak("convert", "-q", str(path), str(tmp_path / "out")) for path in (small, large)]
    assert peaks[1] - peaks[0] < 8 * 2**20


def _peak(*arguments: str) -> int:
    """Give the most memory that the command held, in bytes."""
    program = """
import resource, sys
from gaistream.cli import main
sys.argv[0] = "gaistream"
try:
    main()
except SystemExit as ended:
    assert ended.code == 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""
    command = [sys.executable, "-c", program, *arguments]
    return int(subprocess.run(command, capture_output=True, check=True, timeout=DEADLINE).stdout)
