"""The rules of `gaistream check`: each is broken by a line of the table, and no other is."""

from __future__ import annotations

import base64
import json
import random
import re
from pathlib import Path

import pytest

import gaistream
from gaistream import encode_events
from gaistream.cli._sniff import format_of_type
from gaistream.cli.check.headers import check_headers
from gaistream.cli.check.lines import MAX_BYTES
from gaistream.cli.check.ndjson import NDJSONCheck
from gaistream.cli.check.rules import LEVELS, RULES
from gaistream.cli.check.sse import SSECheck
from gaistream.events import Done, Error, Start, TextDelta

DATA = Path(__file__).parents[1] / "data"
GOOD = b'data: {"n":1}\n\n'
CHUNK = b'data: {"object":"chat.completion.chunk"}\n\n'

# what is read, and [rule, line] of all that is found
SSE = [
    (GOOD, []),
    (b": hello\n\n" + GOOD, []),
    (b":\n\nevent: a\ndata: 1\ndata: 2\nid: 7\nretry: 5\n\n", []),
    (b"data\n\n", []),
    (b"data: \xff\n\n", [["invalid-utf8", 1]]),
    (b"\xef\xbb\xbf" + GOOD, [["bom", 1]]),
    (GOOD + b"\xef\xbb\xbfdata: 1\n\n", [["bom-inside", 3]]),
    (b"data: a\xe2\x80\xa8b\n\n", [["line-separator", 1]]),
    (b"data: a\xc2\x85b\n\n", [["line-separator", 1]]),
    (b"data: " + b"x" * 2**20 + b"\n\n", [["huge-line", 1]]),
    (b"data: a\rb\n\n", [["cr-inside", 1], ["unknown-field", 2]]),
    (b"data: 1\n\ndata: a\rb\n\n", [["cr-inside", 3], ["unknown-field", 4]]),
    (GOOD.replace(b"\n", b"\r") * 2, [["cr-line-ends", 2]]),
    (GOOD.replace(b"\n", b"\r\n") * 2, [["crlf-line-ends", 1]]),
    (b"data: 1\r\n\r\n" + GOOD, [["crlf-line-ends", 1], ["mixed-line-ends", 3]]),
    (GOOD + b'{"n":2}\n\n', [["bare-data", 3]]),
    (b"Data: 1\n\n" + GOOD, [["unknown-field", 1]]),
    (b" data: 1\n\n" + GOOD, [["unknown-field", 1]]),
    (b"data:1\n\n", [["missing-space", 1]]),
    (b"id: a\0b\ndata: 1\n\n", [["id-with-nul", 1]]),
    (b"retry: 1.5\ndata: 1\n\n", [["retry-not-digits", 1]]),
    (b"retry:\ndata: 1\n\n", [["retry-not-digits", 1]]),
    (GOOD + b"event: a\n\n", [["event-without-data", 3]]),
    (GOOD + b"event: a\nid: 1\n\n", [["event-without-data", 3]]),
    (b"retry: 5\n\n" + GOOD, [["phantom-event", 1]]),
    (b"id: 5\ndata: 1\n\n: beat\n\n", [["phantom-event", 4]]),
    (GOOD + b"data: 1\n", [["incomplete-event", 3]]),
    (GOOD + b"event: a\ndata: 1", [["incomplete-event", 4]]),
    (GOOD + b": beat", [["incomplete-line", 3]]),
    (GOOD + b"data: oops\n\n", [["not-json", 3]]),
    (b"data: oops\n\n" + GOOD * 2, [["not-json", 1]]),
    (b"data: a\n\ndata: b\n\ndata: 1\n\n", []),
    (CHUNK + b"data: [DONE]\n\n", []),
    (CHUNK, [["truncated", None]]),
    (CHUNK + b"data: [DONE]\n\n" + CHUNK, [["after-end", 5]]),
    (CHUNK + b'data: {"error":{"message":"no"}}\n\n', [["server-error", None]]),
    (b'event: message_start\ndata: {"type":"message_start"}\n\n', [["truncated", None]]),
    (b'event: message_start\ndata: {}\n\nevent: message_stop\ndata: {}\n\n', []),
    (b'data: {"type":"RUN_STARTED"}\n\ndata: {"type":"RUN_ERROR"}\n\n', [["server-error", None]]),
    (b'data: {"type":"response.created"}\n\ndata: {"type":"response.completed"}\n\n', []),
    (b'data: {"type":"text-start"}\n\ndata: {"type":"finish"}\n\ndata: [DONE]\n\n', []),
    (encode_events([Start("m"), TextDelta("a"), Done()], "sse"), []),
    (encode_events([TextDelta("a"), Error("no")], "sse"), [["server-error", None]]),
    (encode_events([TextDelta("a")], "sse"), [["truncated", None]]),
    (encode_events([TextDelta("a"), Done()], dialect="openai_responses"), []),
    (encode_events([TextDelta("a"), Error("no")], dialect="openai_responses"),
     [["server-error", None]]),
    (b"", [["no-events", None]]),
    (b": beat\n\n", [["no-events", None]]),
]  # fmt: skip

NDJSON = [
    (b'{"n":1}\n{"n":2}\n', []),
    (b'{"n":1}\r\n', [["crlf-line-ends", 1]]),
    (b'\xef\xbb\xbf{"n":1}\n', [["bom", 1]]),
    (b'{"n":1}\n\n{"n":2}\n', [["blank-line", 2]]),
    (b'{"n":1}\n{"n":2}', [["no-final-newline", 2]]),
    (b'{"n":1}\n2\n', [["not-object", 2]]),
    (b"1\n2\n", []),
    (b'{"n":1}\n{"n":\n', [["not-json", 2]]),
    (b'{"n":1}\n{"n":"\xff"}\n', [["invalid-utf8", 2]]),
    (b'{"n":"\xe2\x80\xa9"}\n', [["line-separator", 1]]),
    (b'{"n":"' + b"x" * 2**20 + b'"}\n', [["huge-line", 1]]),
    (encode_events([TextDelta("a"), Done()], "ndjson"), []),
    (encode_events([TextDelta("a")], "ndjson"), [["truncated", None]]),
    (encode_events([TextDelta("a"), Done()], "ndjson") * 2, [["after-end", 3], ["after-end", 4]]),
    (b'{"model":"m","created_at":"","done":false}\n{"model":"m","created_at":"","done":true}\n',
     []),
    (b'{"model":"m","created_at":"","done":false}\n', [["truncated", None]]),
    (b"", [["no-events", None]]),
]  # fmt: skip

HEADERS = [
    ({}, []),
    ({"content-type": "text/event-stream; charset=UTF-8"}, []),
    ({"content-type": "application/json"}, ["content-type"]),
    ({"content-type": 'text/event-stream; charset="latin-1"'}, ["charset"]),
    ({"cache-control": "max-age=60, no-transform"}, ["cacheable"]),
    ({"cache-control": "no-cache"}, ["transformable"]),
    ({"x-accel-buffering": "yes"}, ["buffering"]),
    ({"content-encoding": "gzip"}, ["compressed"]),
    ({"content-length": "10"}, ["content-length"]),
]
GOOD_HEADERS = {
    "content-type": "text/event-stream",
    "cache-control": "no-cache, no-transform",
    "x-accel-buffering": "no",
}
# what no line of the tables can break: the connection's, and what takes 16 MiB
ELSEWHERE = {"connection-cut", "silent-gap", "too-large"}


def found(check, chunks):
    findings = [finding for chunk in chunks for finding in check.feed(chunk)]
    findings += check.close()
    assert all(finding.message and finding.level in LEVELS for finding in findings)
    return [[finding.rule, finding.line] for finding in findings]


def cuts(body):
    """Cut it whole, byte by byte and at random; large ones whole and in halves."""
    yield [body]
    if len(body) > 5000:
        yield [body[: len(body) // 2], body[len(body) // 2 :]]
        return
    yield [bytes([byte]) for byte in body]
    for seed in range(5):
        chance = random.Random(seed)
        parts, rest = [], body
        while rest:
            size = chance.randint(0, 9)
            parts.append(rest[:size])
            rest = rest[size:]
        yield parts


@pytest.mark.parametrize(("body", "rules"), SSE)
def test_faults_of_sse_are_found_whatever_the_chunks(body, rules):
    for chunks in cuts(body):
        assert found(SSECheck(), chunks) == rules


@pytest.mark.parametrize(("body", "rules"), NDJSON)
def test_faults_of_ndjson_are_found_whatever_the_chunks(body, rules):
    for chunks in cuts(body):
        assert found(NDJSONCheck(), chunks) == rules


@pytest.mark.parametrize(("changed", "rules"), HEADERS)
def test_faults_of_headers_are_found(changed, rules):
    findings = check_headers({**GOOD_HEADERS, **changed}, "sse")
    assert [finding.rule for finding in findings] == rules
    assert all(finding.line is None for finding in findings)


def test_missing_headers_are_found():
    findings = check_headers({}, "sse")
    assert {finding.rule for finding in findings} == {
        "content-type", "cacheable", "transformable", "buffering",
    }  # fmt: skip


def test_every_rule_is_broken_by_a_test():
    broken = {rule for _, rules in SSE + NDJSON for rule, _ in rules}
    broken |= {rule for _, rules in HEADERS for rule in rules}
    assert broken | ELSEWHERE == RULES.keys()
    assert {level for level, _ in RULES.values()} == set(LEVELS)


def test_the_memory_of_a_check_is_bounded():
    texts, objects = b"data: oops\n\n" * 30, GOOD * 31
    assert len(found(SSECheck(), [texts + objects])) == 10
    checked = SSECheck()
    found(checked, [b"event: e%d\ndata: 1\n\n" % number for number in range(70)])
    assert len(checked.events.names) == 51
    assert checked.events.names["others"] == 20


@pytest.mark.parametrize("check", [SSECheck, NDJSONCheck])
def test_a_line_beyond_the_limit_stops_the_check(check):
    checked = check()
    chunk = b"x" * (MAX_BYTES // 4)
    rules = [finding.rule for _ in range(6) for finding in checked.feed(chunk)]
    assert rules == ["too-large"]
    assert checked.stopped
    assert checked.feed(GOOD) == checked.close() == []


def test_an_event_beyond_the_limit_stops_the_check():
    checked = SSECheck()
    line = b"data: " + b"x" * (2**20 - 7) + b"\n"
    rules = [finding.rule for _ in range(20) for finding in checked.feed(line)]
    assert rules == ["too-large"]
    assert checked.stopped


@pytest.mark.parametrize("path", sorted(DATA.glob("*.txt")), ids=lambda path: path.name)
def test_the_original_streams_break_one_rule_which_ours_do_not(path):
    check = NDJSONCheck() if path.name.startswith("ndjson") else SSECheck()
    assert {rule for rule, _ in found(check, [path.read_bytes()])} == {"line-separator"}


def test_the_events_of_a_browser_are_those_of_the_standard():
    for line in (DATA / "sse_cases.jsonl").read_text().splitlines():
        case = json.loads(line)
        checked = SSECheck()
        found(checked, [base64.b64decode(case["input_b64"])])
        assert checked.events.count == len(case["events"]), case
        assert checked.last_event_id == case["last_event_id"]
        assert checked.retry == case["retry"]


@pytest.mark.parametrize(
    ("kind", "format"),
    [
        ("text/event-stream", "sse"),
        ("Text/Event-Stream; charset=utf-8", "sse"),
        ("application/x-ndjson", "ndjson"),
        ("application/jsonl", "ndjson"),
        ("application/json", None),
        ("", None),
    ],
)
def test_the_format_of_an_answer_is_that_of_its_type(kind, format):
    assert format_of_type(kind) == format
    assert format_of_type("") is None


def test_the_handbook_lists_the_rules():
    page = (Path(gaistream.__file__).parent / "handbook" / "command-line.md").read_text()
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (error|warning|note) \| (.+) \|$", page, re.MULTILINE)
    assert {name: (level, about) for name, level, about in rows} == RULES
