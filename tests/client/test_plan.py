"""The decisions of the client, as tables, with an injected clock and chance. No I/O."""

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


def new_plan(method="GET", policy=ReconnectPolicy(), clock=None, chance=0.0, **named):
    plan = Plan(
        method, "http://here/", policy, now=clock or Clock(), wall=lambda: 0.0,
        chance=lambda: chance, **named,
    )  # fmt: skip
    plan.begin_attempt()
    return plan


def opened(*chunks, **named):
    plan = new_plan(**named)
    assert plan.judge(200, SSE) == "open"
    for chunk in chunks:
        plan.receive(chunk)
    return plan


def taken(plan):
    return [event.data for event in iter(plan.take, None)]


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
def test_a_delay_grows_up_to_max_delay_and_is_never_shorter_than_the_server_asks(
    attempt, hint, asked, chance, delay
):
    assert ReconnectPolicy().delay(attempt, hint, asked, chance) == delay


@pytest.mark.parametrize("value", [-1, float("inf"), float("nan")])
@pytest.mark.parametrize("name", ReconnectPolicy.__slots__)
def test_a_policy_with_impossible_numbers_is_refused(name, value):
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
def test_retry_after_is_seconds_or_a_date(value, seconds):
    assert retry_after(value, 0.0) == seconds


def test_a_retry_after_date_without_a_zone_is_utc(monkeypatch):
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
def test_a_response_that_is_not_a_stream_is_retried_or_raises(status, headers, error):
    plan = new_plan()
    assert plan.judge(status, headers) == "refused"
    plan.refused(status, headers, b"why", 3)
    if error is None:
        assert (plan.decide().delay, plan.state) == (1, "waiting")
        return
    with pytest.raises(error, match=r"GET http://here/: .*'why' \(3 bytes\)") as caught:
        plan.decide()
    assert (caught.value.status, caught.value.body, plan.state) == (status, b"why", "closed")


def test_status_204_ends_the_stream():
    plan = new_plan()
    assert (plan.judge(204, {}), plan.state) == ("over", "closed")


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
def test_a_cut_is_retried_only_if_the_request_may_be_repeated(
    method, named, received, again
):
    plan = opened(received, method=method, **named)
    plan.lost("cut")
    taken(plan)
    if again:
        assert plan.decide().reason == "cut"
    else:
        with pytest.raises(ConnectionLost, match=f"{method} http://here/: cut"):
            plan.decide()


def test_an_answer_is_complete_after_its_last_event_however_the_connection_ends():
    for chunk in (
        b"event: done\ndata: {}\n\n",
        b"data: [DONE]\n\n",
        b"event: message_stop\ndata: {}\n\n",
    ):
        for end in ("ended", "lost"):
            plan = opened(chunk)
            plan.lost("cut") if end == "lost" else plan.ended()
            taken(plan)
            assert (plan.decide(), plan.state) == (None, "closed")


def test_attempts_and_time_are_limited_and_a_healthy_connection_ends_the_row():
    clock = Clock()
    plan = new_plan(policy=ReconnectPolicy(max_attempts=2, healthy_after=10), clock=clock)
    for attempt in (1, 2):
        plan.lost("cut")
        assert plan.decide().attempt == attempt
        plan.begin_attempt()
    plan.judge(200, SSE)
    clock.now += 10
    plan.lost("cut")
    assert plan.decide().attempt == 1  # a new row
    plan.lost("cut")
    plan.decide()
    plan.lost("cut")
    with pytest.raises(ConnectionLost, match="gave up after max_attempts=2"):
        plan.decide()

    plan = new_plan(policy=ReconnectPolicy(max_elapsed=5), clock=clock)
    plan.lost("cut")
    plan.decide()
    clock.now += 4
    plan.lost("cut")
    with pytest.raises(ConnectionLost, match=r"2\.0 s more would exceed max_elapsed=5 s"):
        plan.decide()


def test_a_stream_that_opens_and_is_cut_at_once_does_not_reset_the_row():
    plan = new_plan(policy=ReconnectPolicy(max_attempts=1))
    plan.judge(200, SSE)
    plan.lost("cut")
    plan.decide()
    plan.judge(200, SSE)
    plan.lost("cut")
    with pytest.raises(ConnectionLost, match="gave up"):
        plan.decide()


def test_it_resumes_after_the_last_event_that_was_read():
    plan = opened(b"id: 1\ndata: a\n\nid: 2\ndata: b\n\nid: 3\ndata: cut")
    assert plan.take().id == "1"
    assert plan.last_event_id == "1"
    assert plan.take().id == "2"
    plan.lost("cut")
    assert plan.decide().last_event_id == "2"
    assert plan.begin_attempt()[b"Last-Event-ID"] == b"2"
    plan.judge(200, SSE)
    plan.receive(b"data: c\n\n")
    assert plan.take().id == "2"


def test_the_servers_retry_is_honoured_at_later_attempts_too():
    plan = opened(b"retry: 60000\n\n")
    for _ in range(2):
        plan.lost("cut")
        assert plan.decide().delay == 60
        plan.begin_attempt()


def test_an_id_that_a_header_cannot_carry_is_not_resumed_from():
    plan = opened(b"id: a\x07\ndata: a\n\n")
    plan.lost("cut")
    taken(plan)
    with pytest.raises(ConnectionLost, match="control character"):
        plan.decide()
