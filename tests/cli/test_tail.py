"""`gaistream tail` over real servers: its output, when it comes, and its status."""

from __future__ import annotations

import gzip
import json
import re
import signal

import pytest
from command_line import end, run, run_on_terminal, start
from scripted_http import HEAD, cut, reset, scripted, stalled

from gaistream import encode_events
from gaistream.events import Done, Error, Start, TextDelta

LINES = HEAD.replace(b"text/event-stream", b"application/x-ndjson")
ANSWER = [Start(model="m"), TextDelta("Hel"), TextDelta("lo"), Done()]
WHOLE = HEAD + encode_events(ANSWER, "sse")
ONE = b"id: 1\ndata: one\n\n"


def status(body):
    return b"HTTP/1.1 " + body + b"\r\nContent-Length: 4\r\nConnection: close\r\n\r\noops"


def test_events_are_shown_a_line_each_with_their_time_and_summed_up():
    with scripted(WHOLE) as server:
        ran = run("tail", server.url)
    assert ran.status == 0
    shown = [re.sub(r"^ +\d+\.\d{3}s  ", "", line) for line in ran.out.splitlines()]
    assert shown == [
        'start  {"started":true,"model":"m"}',
        'text_delta  {"text":"Hel"}',
        'text_delta  {"text":"lo"}',
        'done  {"finished":true}',
    ]
    number = r"[\d.,]+"
    assert re.fullmatch(
        rf"4 events in {number} m?s, first after {number} m?s, {number} events/s, "
        rf"longest gap {number} m?s, ended with done\n|"
        rf"4 events in {number} m?s, first after {number} m?s, ended with done\n",  # one instant
        ran.errors,
    )


def test_events_come_as_they_are_sent_not_at_the_end():
    with scripted(stalled(HEAD + ONE)) as server:
        process = start("tail", server.url)
        assert process.stdout.readline().endswith(b"s  message  #1  one\n")
        process.send_signal(signal.SIGINT)
        ran = end(process)
    assert ran.status == 130
    assert ran.errors.startswith("1 event in ")


def test_json_of_server_sent_events_is_an_envelope_a_line():
    body = b": hi\n\nevent: a\nid: 7\nretry: 9\ndata: x\ndata: y\n\ndata: z\n\n"
    with scripted(HEAD + body) as server:
        ran = run("tail", "--json", "-q", server.url)
    assert [json.loads(line) for line in ran.out.splitlines()] == [
        {"event": "a", "data": "x\ny", "id": "7", "retry": 9},
        {"data": "z"},
    ]
    assert (ran.status, ran.errors) == (0, "")


def test_ndjson_is_known_by_its_type_and_its_lines_are_unchanged():
    first = '{ "type": "text_delta", "text": "a" }'
    body = first.encode() + b'\n{"type":"done","finished":true}\n'
    with scripted(LINES + body, LINES + body) as server:
        ran = run("tail", "--json", "-q", server.url)
        shown = run("tail", server.url)
    assert (ran.status, ran.bytes) == (0, body)
    assert shown.out.splitlines()[0].endswith(f"s  text_delta  {first}")


def test_a_request_is_what_the_options_say(tmp_path):
    body = tmp_path / "body.json"
    body.write_bytes(b'{"q": 1}')
    with scripted(*[WHOLE] * 4) as server:
        run("tail", "-q", "-H", "X-Key: a b", "--last-event-id", "7", server.url)
        run("tail", "-q", "-d", '{"q": 2}', server.url)
        run("tail", "-q", "-d", f"@{body}", "-H", "content-type: text/plain", server.url)
        run("tail", "-q", "-d", "@-", server.url, stdin=b"from stdin")
    (get, asked, nothing), (post, json_type, sent), (_, own_type, filed), (_, _, piped) = (
        server.requests
    )
    assert (get, nothing) == ("GET / HTTP/1.1", b"")
    assert (asked["x-key"], asked["last-event-id"]) == ("a b", "7")
    assert asked["accept"].startswith("text/event-stream, application/x-ndjson")
    assert asked["accept-encoding"] == "identity"
    assert asked["user-agent"].startswith("gaistream/")
    assert (post, json_type["content-type"], sent) == (
        "POST / HTTP/1.1", "application/json", b'{"q": 2}',
    )  # fmt: skip
    assert (own_type["content-type"], filed, piped) == ("text/plain", b'{"q": 1}', b"from stdin")


ENDS = [  # what the server does, the status, and its message
    (cut(ONE), 1, "wrong: the connection was cut: "),
    (HEAD + b"data: one\n\ndata: tw", 1, "wrong: the stream ends within an event, which is lost"),
    (HEAD + encode_events([TextDelta("a")], "sse"), 1,
     "wrong: the stream was cut: gai ends with done, which did not come"),
    (HEAD + encode_events([TextDelta("a"), Error("no")], "sse"), 1,
     "wrong: the stream ended with an error of the server"),
    (LINES + b'{"a":1}\n{"a":\n', 1, "wrong: line 2"),
    (HEAD + ONE, 0, "1 event in "),
    (b"HTTP/1.1 204 No Content\r\n\r\n", 0, "0 events in "),
    (status(b"404 Not Found"), 2, "Error: HTTP 404 Not Found: oops"),
    (b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", 2,
     "Error: HTTP 302 Found, to /x, which is not followed"),
    (HEAD.replace(b"text/event-stream", b"text/html") + ONE, 2,
     "Error: 'text/html' is not the content type of a stream; --format sse or ndjson reads it"),
]  # fmt: skip


@pytest.mark.parametrize(("step", "expected", "message"), ENDS)
def test_the_status_and_a_message_tell_how_the_stream_ended(step, expected, message):
    with scripted(step) as server:
        ran = run("tail", server.url)
    assert ran.status == expected
    assert message in ran.errors
    if "line 2" in message:
        assert '{"a":1}' in ran.out
    if b"one" in (step if isinstance(step, bytes) else b""):
        assert ("one" in ran.out) == (expected != 2)


@pytest.mark.parametrize(
    ("kind", "options"),
    [(b"text/html", ["--format", "sse"]), (b"text/plain", []), (b"a/b, text/event-stream", [])],
)
def test_a_stream_of_another_type_is_read_by_option_or_custom(kind, options):
    with scripted(HEAD.replace(b"text/event-stream", kind) + ONE) as server:
        assert "#1  one" in run("tail", *options, server.url).out


def test_a_compressed_body_is_read_if_it_was_asked_for():
    packed = HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n") + gzip.compress(ONE)
    asked = ("-H", "Accept-Encoding: gzip")
    with scripted(packed, packed, packed[:-9], packed) as server:
        assert "#1  one" in run("tail", *asked, server.url).out
        ran = run("tail", server.url)
        cut = run("tail", *asked, server.url)
        checked = run("check", *asked, server.url)
    assert (ran.status, ran.out) == (2, "")
    assert "Error: the body has Content-Encoding: 'gzip', which was not asked for" in ran.errors
    assert (cut.status, "#1  one" in cut.out) == (1, True)
    assert "the body ends within its compressed data: it was cut" in cut.errors
    assert "1 event (message ×1)" in checked.out
    assert "Content-Encoding is gzip [compressed]" in checked.out


def test_silence_beyond_the_timeout_is_a_cut_after_the_events_before_it():
    with scripted(stalled(HEAD + ONE)) as server:
        ran = run("tail", "--timeout", "0.2", server.url)
    assert (ran.status, "one" in ran.out) == (1, True)
    assert "nothing came for as long as --timeout allows" in ran.errors


def test_with_the_option_it_reconnects_and_resumes():
    first = HEAD + b"retry: 1\nid: 1\ndata: one\n\n"
    rest = HEAD + b"id: 2\ndata: two\n\nevent: done\ndata: {}\n\n"
    with scripted(reset(first), rest) as server:
        ran = run("tail", "--reconnect", "--json", server.url)
    assert ran.status == 0, ran.errors
    assert [json.loads(line)["data"] for line in ran.out.splitlines()] == ["one", "two", "{}"]
    assert server.ids == [None, "1"]
    assert re.search(r"reconnecting in .* \(attempt 1\), after #1: ", ran.errors)


def test_reconnecting_has_limits_that_are_named():
    timed = ("--timeout", "0.2")
    first = HEAD + b"retry: 1\nid: 1\ndata: one\n\n"
    with scripted(stalled(first), status(b"404 Not Found")) as server:
        ran = run("tail", "--reconnect", *timed, server.url)
    assert (ran.status, "one" in ran.out) == (1, True)
    assert "404" in ran.errors
    moved = b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"
    for step, message in ((status(b"403 Forbidden"), "403"), (moved, "302")):
        with scripted(step) as server:
            ran = run("tail", "--reconnect", server.url)
        assert ran.status == 2
        assert message in ran.errors


def test_a_refusal_that_does_not_end_is_shown_without_waiting_for_more():
    def refused(body):
        return stalled(b"HTTP/1.1 500 Oh\r\nContent-Length: 9999\r\n\r\n" + body)

    with scripted(refused(b"x" * 300)) as server:
        assert run("tail", server.url).errors == f"Error: HTTP 500 Oh: {'x' * 300}\n"
    with scripted(refused(b"short")) as server:
        ran = run("tail", "--timeout", "0.2", server.url)
    assert ran.errors == "Error: HTTP 500 Oh: short\n"


def test_a_reader_that_leaves_early_ends_it_quietly():
    with scripted(HEAD + b"data: a\n\n" * 50_000) as server:
        process = start("tail", server.url)
        process.stdout.readline()
        process.stdout.close()
        process.stdout = None
        ran = end(process)
    assert (ran.status, ran.errors) == (141, "")


HOSTILE = 'event: \x1b[31mred\ndata: a\x1b]0;title\x07 \x9b2J \u202egnp\n\n'


def test_a_terminal_gets_colour_and_no_control_characters_of_the_server():
    with scripted(HEAD + HOSTILE.encode(), HEAD + HOSTILE.encode()) as server:
        ran = run_on_terminal("tail", server.url)
        raw = run_on_terminal("tail", "--json", "-q", server.url)
    assert "\x1b[1;36m" in ran.out  # ours: the name, bold and cyan
    for body in ("\\x1b[31mred", "a\\x1b]0;title\\x07 \\x9b2J \\u202egnp"):
        assert body in ran.out
    line = raw.out
    assert not re.search("[\x1b\x07\x9b\u202e]", line)
    assert json.loads(line) == {"event": "\x1b[31mred", "data": HOSTILE.partition("data: ")[2][:-2]}


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_there_is_no_colour_where_it_is_not_wanted(environment):
    with scripted(WHOLE) as server:
        ran = run_on_terminal("tail", server.url, **environment)
    assert "text_delta" in ran.out
    assert "\x1b[1;36m" not in ran.out
    assert not re.search("\x1b\\[[0-9;]*3[0-9]", ran.out)


WRONG = [
    (["http://127.0.0.1:1/"], "Error: cannot connect: "),
    (["ftp://me:secret@here/"], "the URL must be an http or https URL with a host, not 'ftp://here/'"),
    (["http://"], "the URL must be an http or https URL with a host, not 'http://'"),
    (["-H", "nonsense", "http://127.0.0.1:1/"], "--header needs NAME: VALUE, not 'nonsense'"),
    (["-d", "@/no/such/file", "http://127.0.0.1:1/"], "cannot read /no/such/file: No such file"),
    (["--reconnect", "--format", "ndjson", "http://127.0.0.1:1/"], "NDJSON has no ids"),
    ([], "Missing argument 'URL'"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_a_wrong_call_has_status_2_and_a_message(arguments, message):
    ran = run("tail", *arguments)
    assert ran.status == 2
    assert message in ran.errors
    assert ran.out == ""
