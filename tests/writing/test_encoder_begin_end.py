"""How an encoder begins and ends a stream, and the reconnection time between."""

import pytest

DONE = b'event: done\ndata: {"finished":true}\n\n'
INTERNAL = (
    b"event: error\nretry: 5000\n"
    b'data: {"error":"internal error","code":"internal"}\n\n'
)


@pytest.mark.parametrize(
    ("options", "first"), [({}, b":\n\n"), ({"retry_ms": 7}, b":\n\nretry: 7\n")]
)
def test_sse_begins_with_a_comment_and_the_reconnection_time_that_was_set(gs, options, first):
    encoder = gs.SSEEncoder(gs.SSEOptions(**options))
    encoder.begin()
    assert encoder.take() == first


def test_a_reconnection_time_is_a_retry_field_in_sse_only(gs):
    encoder, lines = gs.SSEEncoder(), gs.NDJSONEncoder()
    encoder.write_reconnection_time(1500)
    assert encoder.take() == b"retry: 1500\n"
    lines.write_reconnection_time(1500)
    lines.begin()
    assert lines.pending == 0


def test_a_stream_ends_with_done_once(gs):
    encoder = gs.SSEEncoder()
    encoder.end()
    encoder.end(ValueError("too late"))
    assert encoder.take() == DONE
    assert encoder.ended


def test_a_failure_is_written_in_general_words_unless_it_is_a_stream_error(gs):
    encoder = gs.SSEEncoder()
    encoder.end(ValueError("the password is 1234"))
    encoder.end()
    assert encoder.take() == INTERNAL
    lines = gs.NDJSONEncoder()
    lines.end(gs.StreamError("try later", code="busy"))
    assert lines.take() == b'{"type":"error","error":"try later","code":"busy"}\n'


def test_a_failure_whose_text_cannot_be_written_is_written_in_general_words(gs, caplog):
    encoder = gs.SSEEncoder(gs.SSEOptions(errors="strict"))
    encoder.end(gs.StreamError("\ud800"))
    assert encoder.take() == INTERNAL
    assert len(caplog.records) == 1


@pytest.mark.parametrize("failure", [None, ValueError("second")])
def test_an_error_event_that_came_last_is_the_end(gs, failure):
    encoder = gs.SSEEncoder()
    encoder.write(gs.events.Error("first"))
    encoder.take()
    encoder.end(failure)
    assert (encoder.pending, encoder.failed) == (0, True)


@pytest.mark.parametrize("failure", [None, ValueError("second")])
def test_a_writer_adds_nothing_to_an_error_event_that_came_last(gs, failure):
    sent = []
    writer = gs.SSEWriter(sent.append)
    writer.write(gs.events.Error("first"))
    before = list(sent)
    writer.__exit__(type(failure), failure, None)
    assert sent == before
