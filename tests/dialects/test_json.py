"""The dialect "json": each item of a source is one payload."""

from dataclasses import dataclass

import pytest


@dataclass
class Own:
    a: int


PAYLOADS = {
    "str": ("text\n", '"text\\n"'),
    "None": (None, "null"),
    "number": (1.5, "1.5"),
    "list": ([1, "\u2028"], '[1,"\\u2028"]'),
    "a dict with a type of ours": ({"type": "done"}, '{"type":"done"}'),
    "dataclass": (Own(1), '{"a":1}'),
    "surrogate": ("\ud800", '"\ufffd"'),
}


@pytest.mark.parametrize("case", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_each_item_of_the_json_dialect_is_one_payload(gs, case):
    item, payload = case
    numbered = gs.SSEEncoder(gs.SSEOptions(include_id=True), dialect="json")
    for encoder, expected in (
        (gs.SSEEncoder(dialect="json"), f"data: {payload}\n\n"),
        (numbered, f"id: 1\ndata: {payload}\n\n"),
        (gs.NDJSONEncoder(dialect="json"), f"{payload}\n"),
    ):
        encoder.write(item)
        assert encoder.take() == expected.encode()
        assert (encoder.ended, encoder.failed) == (False, False)
        encoder.finish()
        assert (encoder.ended, encoder.take()) == (True, b"")


def test_the_json_dialect_has_no_events(gs):
    for kind in (gs.SSEEncoder, gs.NDJSONEncoder):
        encoder = kind(dialect="json")
        for item in (gs.events.TextDelta("a"), gs.events.Done(), bytearray(b"a"), 1j):
            with pytest.raises(gs.errors.EncodeError, match=f"{type(item).__name__} at \\$$"):
                encoder.write(item)
            assert (encoder.pending, encoder.ended) == (0, False)


@pytest.mark.parametrize(("code", "expected"), [("c", "c"), (None, "error")])
def test_a_failure_of_the_json_dialect_is_the_error_object(gs, code, expected):
    payload = f'{{"error":{{"code":"{expected}","message":"m\\n"}}}}'.encode()
    sse = gs.SSEEncoder(dialect="json")
    quiet = gs.SSEEncoder(gs.SSEOptions(max_retries=0), dialect="json")
    ndjson = gs.NDJSONEncoder(dialect="json")
    for encoder in (sse, quiet, ndjson):
        encoder.fail(gs.events.Error("m\n", code))
        assert (encoder.ended, encoder.failed) == (True, True)
    assert sse.take() == b"event: error\nretry: 5000\ndata: " + payload + b"\n\n"
    assert quiet.take() == b"event: error\ndata: " + payload + b"\n\n"
    assert ndjson.take() == payload + b"\n"
