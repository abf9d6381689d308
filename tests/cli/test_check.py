"""`gaistream check` of captures and URLs: its reports in text and JSON, and its statuses."""

from __future__ import annotations

import json
import signal
import time

import pytest
from command_line import end, run, run_on_terminal, start
from scripted_http import HEAD, cut, scripted, stalled

from gaistream import encode_events
from gaistream.cli.check.rules import RULES
from gaistream.events import Done, TextDelta

GOOD = encode_events([TextDelta("a"), Done()], "sse")
GOOD_HEAD = HEAD.replace(
    b"\r\n\r\n", b"\r\nCache-Control: no-cache, no-transform\r\nX-Accel-Buffering: no\r\n\r\n"
)


def test_a_good_capture_has_no_findings(tmp_path):
    capture = tmp_path / "good.sse"
    capture.write_bytes(GOOD)
    ran = run("check", str(capture))
    assert (ran.status, ran.errors) == (0, "")
    assert ran.out == (
        f"{capture}: 0 errors, 0 warnings, 0 notes\n"
        "A browser dispatches 2 events (text_delta ×1, done ×1). "
        "Its protocol is gai; it ended with done.\n"
    )


def test_a_fault_is_reported_with_its_line_its_rule_and_its_effect_on_a_browser():
    ran = run("check", stdin=b"data: 1\n\nevent: x\nid: 7\n\n: beat\n\n")
    assert ran.status == 1
    assert ran.out == (
        "stdin:3: error: a block has an event name and no data [event-without-data]\n"
        "    no event is dispatched\n"
        "stdin:6: note: a block of only comments; httpx-sse and SDKs like it make an "
            "event of it [phantom-event]\n"
        "    no event is dispatched\n"
        "stdin: 1 error, 0 warnings, 1 note\n"
        "A browser dispatches 1 event (message ×1), resumes after the id '7'.\n"
    )


def test_json_has_a_line_a_finding_and_a_summary():
    ran = run("check", "--json", stdin=b"data:1\n\ndata:2\n\n")
    *findings, last = [json.loads(line) for line in ran.out.splitlines()]
    assert findings == [
        {
            "level": "warning", "rule": "missing-space", "line": line,
            "message": "no space after data:",
            "effect": "read as it should be; Google's SDK for Python needs the space",
        }
        for line in (1, 3)
    ]  # fmt: skip
    assert last == {
        "summary": {
            "format": "sse", "complete": True, "lines": 4, "events": 2, "names": {"message": 2},
            "protocol": None, "terminated": False, "last_event_id": None, "retry": None,
            "findings": {"missing-space": 2}, "errors": 0, "warnings": 2, "notes": 0,
        }
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "options", "status"),
    [
        (b"data:1\n\n", [], 0),
        (b"data:1\n\n", ["--strict"], 1),
        (b"id: 1\ndata: 1\n\n: beat\n\n", ["--strict"], 0),
        (b"data: 1\n", [], 1),
        (b'{"a":1}\n{"a":\n', [], 1),
        (b'{"a":1}\n', [], 0),
    ],
)
def test_the_status_is_1_for_errors_and_strictly_for_warnings(body, options, status):
    assert run("check", *options, stdin=body).status == status


def test_findings_of_one_rule_are_shown_up_to_a_limit_and_all_are_counted():
    ran = run("check", "--limit", "2", stdin=b"data:1\n\n" * 5)
    assert ran.out.count("[missing-space]") == 3
    assert "stdin: 3 more [missing-space]\n" in ran.out
    assert "stdin: 0 errors, 5 warnings, 0 notes\n" in ran.out


def test_the_rules_can_be_listed():
    listed = run("check", "--rules").out.splitlines()
    assert [line.split()[0] for line in listed] == list(RULES)
    assert [line.split()[1] for line in listed] == [level for level, _ in RULES.values()]


def test_a_good_answer_of_a_server_has_no_findings():
    with scripted(GOOD_HEAD + GOOD) as server:
        ran = run("check", server.url)
    assert ran.status == 0, ran.out
    assert ran.out.startswith(f"{server.url}: 0 errors, 0 warnings, 0 notes\n")


def test_faults_of_headers_and_of_the_end_are_reported():
    with scripted(cut(GOOD).replace(b"text/event-stream", b"text/plain")) as server:
        ran = run("check", "--json", server.url)
    *findings, last = [json.loads(line) for line in ran.out.splitlines()]
    assert [finding["rule"] for finding in findings] == [
        "content-type", "cacheable", "transformable", "buffering", "connection-cut",
    ]  # fmt: skip
    assert (ran.status, last["summary"]["terminated"]) == (1, True)


def test_a_stream_without_end_is_checked_for_a_time_and_not_at_its_end():
    event = b'data: {"object":"chat.completion.chunk"}\n\n'
    chunked = cut(event).replace(HEAD[: HEAD.index(b"Conn")], GOOD_HEAD[: GOOD_HEAD.index(b"Conn")])
    for body in (GOOD_HEAD + event, chunked):
        with scripted(stalled(body)) as server:
            ran = run("check", "--for", "0.3", server.url)
        assert ran.status == 0, ran.out
        assert "1 event (message ×1)" in ran.out
        assert ran.out.endswith("The stream went on: its end was not checked.\n")


def test_an_interrupt_shows_the_report_so_far():
    with scripted(stalled(GOOD_HEAD + b"data:1\n\n")) as server:
        process = start("check", server.url)
        assert b"[missing-space]" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        ran = end(process)
    assert ran.status == 130
    assert "0 errors, 1 warning, 0 notes" in ran.out
    assert "its end was not checked" in ran.out


def test_silence_is_a_warning_and_beyond_the_timeout_a_cut():
    with scripted(stalled(GOOD_HEAD + b"data: 1\n\n")) as server:
        ran = run("check", "--timeout", "0.3", server.url)
    assert ran.status == 1
    assert "cut: nothing came for as long as --timeout allows [connection-cut]" in ran.out


def test_a_gap_between_two_events_is_a_warning():
    def step(connection):
        connection.sendall(GOOD_HEAD + b"data: 1\n\n")
        time.sleep(0.3)  # what is tested
        connection.sendall(b"data: 2\n\n")

    with scripted(step) as server:
        ran = run("check", "--max-gap", "0.1", server.url)
    assert ran.status == 0
    assert f"{server.url}:3: warning: nothing came for 0." in ran.out
    assert "[silent-gap]" in ran.out


def test_user_query_and_fragment_of_a_url_are_not_shown():
    with scripted(GOOD_HEAD + GOOD) as server:
        ran = run("check", server.url.replace("://", "://user:word@") + "?key=secret")
    assert ran.out.startswith(f"{server.url}: 0 errors")
    assert "word" not in ran.out + ran.errors
    assert "secret" not in ran.out + ran.errors


def test_a_capture_cannot_control_the_terminal(tmp_path):
    capture = tmp_path / "hostile.sse"
    capture.write_bytes(b"\x1b[31mred: 1\nevent: \x1b]0;t\x07\ndata: 1\n\n")
    shown = run_on_terminal("check", str(capture)).out
    assert "\\x1b[31mred" in shown
    assert "\x1b[31mred" not in shown
    assert "\x07" not in shown


def test_beyond_the_limit_the_end_is_not_checked_and_memory_is_bounded():
    ran = run("check", "--json", stdin=b"data: " + b"x" * 17 * 2**20)
    finding, last = [json.loads(line) for line in ran.out.splitlines()]
    assert (finding["rule"], ran.status) == ("too-large", 1)
    assert last["summary"]["complete"] is False


def test_the_suffix_of_a_file_and_the_option_count_for_more_than_its_content(tmp_path):
    capture = tmp_path / "a.ndjson"
    capture.write_bytes(b"data: 1\n\n")
    assert "[not-json]" in run("check", str(capture)).out
    assert run("check", "--format", "sse", str(capture)).status == 0


def test_the_option_overrides_the_format_of_an_answer():
    with scripted(GOOD_HEAD + b'{"a":1}\n') as server:
        ran = run("check", "--format", "ndjson", server.url)
    assert "the content type is text/event-stream, not application/x-ndjson" in ran.out
    assert "A reader gets 1 event" in ran.out


def test_an_answer_without_content_has_status_2():
    with scripted(b"HTTP/1.1 204 No Content\r\n\r\n") as server:
        ran = run("check", server.url)
    assert ran.status == 2
    assert "HTTP 204 No Content: there is no stream to check" in ran.errors


WRONG = [
    (["/no/such/file"], "cannot read /no/such/file: No such file or directory"),
    (["/"], "cannot read /: Is a directory"),
    (["http://127.0.0.1:1/"], "cannot connect: "),
    (["--limit", "-1"], "-1 is not in the range x>=0"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_unreadable_input_has_status_2_and_a_message(arguments, message):
    ran = run("check", *arguments)
    assert (ran.status, ran.out) == (2, "")
    assert message in ran.errors
