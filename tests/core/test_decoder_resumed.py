"""A decoder that continues after a reconnect: the last event id stays in force."""

from __future__ import annotations

import pytest


def test_the_last_event_id_stays_in_force_until_another_is_committed(gs):
    decoder = gs.SSEDecoder(last_event_id="7")
    assert decoder.last_event_id == "7"
    one, two = decoder.feed(b"\xef\xbb\xbfdata: a\n\nid: 8\ndata: b\n\n")
    assert (one.id, two.id, decoder.last_event_id) == ("7", "8", "8")
    assert bytes(one) == b"data: a\n\n"  # an inherited id is not the event's own


def test_an_id_that_was_not_committed_changes_nothing(gs):
    decoder = gs.SSEDecoder(last_event_id="7")
    decoder.feed(b"id: 8\ndata: cut")
    decoder.close()
    assert decoder.last_event_id == "7"


@pytest.mark.parametrize("value", [None, 7, b"7"])
def test_a_last_event_id_of_another_type_is_refused(gs, value):
    kind = type(value).__name__
    with pytest.raises(gs.errors.FrameTypeError, match=f"last_event_id must be str, not {kind}"):
        gs.SSEDecoder(last_event_id=value)
