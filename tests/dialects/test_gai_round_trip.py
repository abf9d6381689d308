"""The default protocol, written and read again: every field of every event, however it is cut."""

import pytest
from event_recipes import FIELDS, assert_same, event_from, recipes_of
from every_event import EVENTS
from hypothesis import given
from hypothesis import strategies as st
from twin_input import examples

FORMATS = pytest.mark.parametrize("format", ["sse", "ndjson"])
KINDS = pytest.mark.parametrize("name", sorted(FIELDS))


@given(data=st.data())
@examples(1)
def test_there_are_recipes_of_every_field_of_every_event(gs, data):
    kinds = set(gs.events.__all__) - {"Event", "AudioFormat", "Citation", "Usage"}
    assert FIELDS.keys() == kinds - {"Done"}
    for name, fields in FIELDS.items():
        assert len(data.draw(fields)) == len(getattr(gs.events, name).__match_args__), name


@FORMATS
@KINDS
@given(data=st.data())
@examples(6)
def test_an_event_is_the_same_bytes_on_both_twins_and_read_back_at_every_split(
    both, name, format, data
):
    recipe, texts = data.draw(recipes_of(name)), set()
    for gs in both:
        written = [event_from(gs, recipe), gs.events.Done()]
        text = gs.encode_events(written, format)
        texts.add(text)
        for at in range(len(text) + 1):
            assert_same(list(gs.read_events([text[:at], text[at:]], format)), written)
    assert len(texts) == 1


@FORMATS
@KINDS
def test_an_event_with_every_field_set_is_read_back_byte_by_byte(gs, name, format):
    written = [getattr(gs.events, name)(*EVENTS[name]), gs.events.Done()]
    text = gs.encode_events(written, format)
    assert_same(list(gs.read_events([bytes([each]) for each in text], format)), written)


@pytest.mark.parametrize("compact", [True, False])
def test_a_line_with_a_timestamp_keeps_the_fields_of_its_event(gs, compact):
    options = gs.NDJSONOptions(include_timestamp=True, compact_json=compact)
    written = []
    for name in sorted(FIELDS):
        written.append(getattr(gs.events, name)(*EVENTS[name], timestamp=1700000000))
    encoder = gs.NDJSONEncoder(options)
    encoder.write_many(written)
    encoder.finish()
    *found, done = gs.read_events(encoder.take(), "ndjson")
    assert_same(found, written)
    assert done == gs.events.Done()
