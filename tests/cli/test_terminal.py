"""A server's or a capture's text cannot control the terminal, nor forge lines of a report."""

from __future__ import annotations

import re

import pytest
from command_line import run, run_on_terminal
from scripted_http import HEAD, scripted

ESCAPE = "\x1b]0;pwned\x07\x1b[2J\x1b[31m"
MARKS = "".join(map(chr, (0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))))
CONTROLS = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f{MARKS}]")  # CR, ESC: ours


def answer(status: str, content_type: str, body: str = "") -> bytes:
    content = body.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n"
    head += f"Content-Length: {len(content)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + content


REFUSALS = {
    "body": answer("500 Oops", "text/plain", ESCAPE),
    "type": answer("200 OK", f"text/{ESCAPE}"),
    "type of a refusal": answer("404 No", f"text/{ESCAPE}"),
    "location": answer("302 Found", "text/plain\r\nLocation: /" + ESCAPE),
}


@pytest.mark.parametrize(
    ("name", "command"),
    [
        *((name, command) for name in REFUSALS for command in ("tail", "check")),
        ("type", "tail --reconnect"),  # which shows neither body nor location
        ("type of a refusal", "tail --reconnect"),
    ],
)
def test_a_refusal_cannot_control_the_terminal(name: str, command: str) -> None:
    with scripted(REFUSALS[name]) as server:
        ran = run_on_terminal(*command.split(), server.url)
    assert ran.status in (1, 2)
    assert "\x1b]0;" not in ran.out
    assert "\x1b[2J" not in ran.out
    assert not CONTROLS.search(ran.out)


def test_marks_that_change_the_direction_of_text_are_escaped() -> None:
    with scripted(HEAD + f"event: {MARKS}\ndata: {MARKS}\n\n".encode()) as server:
        ran = run_on_terminal("tail", "-q", server.url)
    assert not CONTROLS.search(ran.out)
    for mark in MARKS:
        assert ran.out.count(f"\\u{ord(mark):04x}") == 2


def test_a_refusal_of_many_lines_is_one_line() -> None:
    body = "<html>\n\nError: forged\r\n  <p>gone</p>"
    with scripted(answer("500 Oops", "text/html", body)) as server:
        errors = run("tail", server.url).errors
    assert errors == "Error: HTTP 500 Oops: <html> Error: forged <p>gone</p>\n"


def test_a_capture_cannot_forge_lines_of_a_report(tmp_path) -> None:
    forged = "x\\nstdin: 0 errors, 0 warnings, 0 notes\\nA browser dispatches 1 event."
    line = f'{{"type":"{forged}"'
    ran = run("check", "--format", "ndjson", stdin=f"{line}}}\n{line}\n".encode())
    assert len(ran.out.splitlines()) == 4, ran.out  # a finding and its effect, two of the summary
    assert sum(line.startswith("stdin: ") for line in ran.out.splitlines()) == 1
    capture = tmp_path / "a\nb: 0 errors.sse"
    capture.write_bytes(b"data: 1\n\n")
    assert len(run("check", str(capture)).out.splitlines()) == 2
    assert len(run("check", f"{capture}.none").errors.splitlines()) == 1


def test_an_event_cannot_forge_a_line_of_another() -> None:
    content = b'{"type":"a\\n    0.001s  done  {}","text":"x"}\n'
    with scripted(HEAD.replace(b"text/event-stream", b"application/x-ndjson") + content) as server:
        ran = run("tail", "-q", server.url)
    assert len(ran.out.splitlines()) == 1


def test_data_of_several_lines_is_indented_below_its_event() -> None:
    with scripted(HEAD + b"data: one\ndata:  two\n\n") as server:
        shown = run("tail", "-q", server.url).out
    assert re.fullmatch(r" +\d\.\d{3}s  message  one\n {12} two\n", shown)
