"""What the client decides, as tables, with an injected clock and chance: no input or output."""

from __future__ import annotations

import time

import pytest

from gaistream.client import ConnectionLost, ContentTypeError, ReconnectPolicy, StatusError
from gaistream.client._plan import Plan
from gaistream.http.received import retry_after

SSE = {"content-type": "text/event-stream; charset=utf-8"}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def plan(method="GET", policy=ReconnectPolicy(), clock=None, chance=0.0, **named):
    made = Plan(
        method, "http://here/", policy, now=clock or Clock(), wall=lambda: 0.0,
        chance=lambda: chance, **named,
    )  # fmt: skip
    made.connecting()
    return made


def opened(*chunks, **named):
    made = plan(**named)
    assert made.judge(200, SSE) == "open"
    for chunk in chunks:
        made.receive(chunk)
    return made


def taken(made):
    return [event.data for event in iter(made.take, None)]


@pytest.mark.parametrize(
    ("attempt", "hint", "asked", "chance", "delay"),
    [
        (0, None, 0, 0, 1),
        (1, None, 0, 0, 2),
        (4, None, 0, 0, 16),
        (5, None, 0, 0, 30),
        (99, None, 0, 0, 30),
        (0, None, 0, 1, 1.25),
        (0, 0.0, 0, 0, 0),
        (1, 0.0, 0, 0, 0.2),
        (0, 5.0, 0, 0, 5),
        (0, 60.0, 0, 0, 60),
        (9, 60.0, 0, 0, 60),
        (0, None, 7, 0, 7),
        (0, None, 7, 1, 8.75),
        (9, 5.0, 90, 0, 90),
    ],
)
def test_a_delay_grows_to_a_ceiling_and_never_undercuts_the_server(
    attempt, hint, asked, chance, delay
):
    assert ReconnectPolicy().delay(attempt, hint, asked, chance) == delay


@pytest.mark.parametrize("value", [-1, float("inf"), float("nan")])
@pytest.mark.parametrize("name", ReconnectPolicy.__slots__)
def test_a_policy_of_impossible_numbers_is_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must be at least 0 and finite, not {value}"):
        ReconnectPolicy(**{name: value})


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        (" 0 ", 0),
        ("Thu, 01 Jan 1970 00:00:09 GMT", 9),
        ("Wed, 31 Dec 1969 00:00:00 GMT", 0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("9" * 400, 1e9),
    ],
)
def test_a_retry_after_is_seconds_or_a_time(value, seconds):
    assert retry_after(value, 0.0) == seconds


def test_a_retry_after_whose_zone_is_not_told_is_of_utc(monkeypatch):
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        assert retry_after("Thu, 01 Jan 1970 00:00:09 -0000", 0.0) == 9
    time.tzset()


@pytest.mark.parametrize(
    ("status", "headers", "error"),
    [
        (500, {}, None),
        (502, {}, None),
        (503, {}, None),
        (429, {}, None),
        (408, {}, None),
        (501, {}, StatusError),
        (505, {}, StatusError),
        (400, {}, StatusError),
        (401, {}, StatusError),
        (404, {}, StatusError),
        (206, SSE, StatusError),
        (302, {}, StatusError),
        (200, {"content-type": "text/html"}, ContentTypeError),
        (200, {"content-type": "application/json"}, ContentTypeError),
    ],
)
def test_what_follows_from_an_answer_that_is_no_stream(status, headers, error):
    made = plan()
    assert made.judge(status, headers) == "refused"
    made.refused(status, headers, b"why", 3)
    if error is None:
        assert (made.decide().delay, made.state) == (1, "waiting")
        return
    with pytest.raises(error, match=r"GET http://here/: .*'why' \(3 bytes\)") as caught:
        made.decide()
    assert (caught.value.status, caught.value.body, made.state) == (status, b"why", "closed")


def test_204_is_the_end():
    made = plan()
    assert (made.judge(204, {}), made.state) == ("over", "closed")


@pytest.mark.parametrize(
    ("method", "named", "received", "again"),
    [
        ("GET", {}, b"", True),
        ("HEAD", {}, b"", True),
        ("POST", {}, b"data: a\n\n", False),
        ("POST", {"repeatable": True}, b"", True),
        ("POST", {"last_event_id": "1"}, b"", True),
        ("POST", {}, b"id: 1\ndata: a\n\n", True),
        ("POST", {}, b"id: 1\ndata: a", False),  # an id that was not committed
        ("DELETE", {}, b"", False),
        ("GET", {"policy": None}, b"", False),
    ],
)
def test_a_cut_is_followed_by_a_new_attempt_only_where_the_request_may_be_repeated(
    method, named, received, again
):
    made = opened(received, method=method, **named)
    made.lost("cut")
    taken(made)
    if again:
        assert made.decide().reason == "cut"
    else:
        with pytest.raises(ConnectionLost, match=f"{method} http://here/: cut"):
            made.decide()


def test_an_answer_whose_last_event_was_seen_is_over_whatever_comes_then():
    for chunk in (
        b"event: done\ndata: {}\n\n",
        b"data: [DONE]\n\n",
        b"event: message_stop\ndata: {}\n\n",
    ):
        for end in ("ended", "lost"):
            made = opened(chunk)
            made.lost("cut") if end == "lost" else made.ended()
            taken(made)
            assert (made.decide(), made.state) == (None, "closed")


def test_attempts_and_time_have_ceilings_and_a_healthy_time_ends_the_row():
    clock = Clock()
    made = plan(policy=ReconnectPolicy(max_attempts=2, healthy_after=10), clock=clock)
    for attempt in (1, 2):
        made.lost("cut")
        assert made.decide().attempt == attempt
        made.connecting()
    made.judge(200, SSE)
    clock.now += 10
    made.lost("cut")
    assert made.decide().attempt == 1  # a new row
    for _ in range(1):
        made.lost("cut")
        made.decide()
    made.lost("cut")
    with pytest.raises(ConnectionLost, match="gave up after max_attempts=2"):
        made.decide()

    made = plan(policy=ReconnectPolicy(max_elapsed=5), clock=clock)
    made.lost("cut")
    made.decide()
    clock.now += 4
    made.lost("cut")
    with pytest.raises(ConnectionLost, match=r"2\.0 s more would exceed max_elapsed=5 s"):
        made.decide()


def test_a_stream_that_opens_and_is_cut_at_once_does_not_reset_the_row():
    made = plan(policy=ReconnectPolicy(max_attempts=1))
    made.judge(200, SSE)
    made.lost("cut")
    made.decide()
    made.judge(200, SSE)
    made.lost("cut")
    with pytest.raises(ConnectionLost, match="gave up"):
        made.decide()


def test_it_resumes_behind_the_last_event_that_was_given():
    made = opened(b"id: 1\ndata: a\n\nid: 2\ndata: b\n\nid: 3\ndata: cut")
    assert made.take().id == "1"
    assert made.last_event_id == "1"
    assert made.take().id == "2"
    made.lost("cut")
    assert made.decide().last_event_id == "2"
    assert made.connecting()[b"Last-Event-ID"] == b"2"
    made.judge(200, SSE)
    made.receive(b"data: c\n\n")
    assert made.take().id == "2"


def test_a_retry_of_the_server_is_honoured_also_at_later_attempts():
    made = opened(b"retry: 60000\n\n")
    for _ in range(2):
        made.lost("cut")
        assert made.decide().delay == 60
        made.connecting()


def test_an_id_that_no_header_can_carry_ends_the_resuming():
    made = opened(b"id: a\x07\ndata: a\n\n")
    made.lost("cut")
    taken(made)
    with pytest.raises(ConnectionLost, match="control character"):
        made.decide()
