"""The default protocol beside the recorded bytes of the Go original for the same events.

Equal means: the same frames in the same order, the same `event:`, `retry:` and `id:` lines, and
data whose JSON value contains the original's. The original's event of an unknown type is left
out here, so that later ids differ by one; its last timestamp is the time of the recording.
"""

import json

import pytest
from golden import DATA, RECORDED, UNKNOWN, event_of


def encoded(gs, encoder):
    encoder.write_many(event_of(gs, said) for said in RECORDED if said["type"] != UNKNOWN)
    encoder.write(gs.events.Done())
    return encoder.take().decode()


def frames_of(text):
    assert text.endswith("\n\n")
    return [frame.split("\n") for frame in text[:-2].split("\n\n")]


def lines_of(text):
    assert text.endswith("\n")
    return [json.loads(line) for line in text[:-1].split("\n")]


def lines_but_data(frame):
    return [line for line in frame if not line.startswith("data: ")]


def data_of(frame):
    (data,) = [line for line in frame if line.startswith("data: ")]
    return json.loads(data[6:])


def contains(ours, golden):
    if isinstance(golden, dict):
        return isinstance(ours, dict) and all(
            key in ours and contains(ours[key], value) for key, value in golden.items()
        )
    if isinstance(golden, list):
        return (
            isinstance(ours, list)
            and len(ours) == len(golden)
            and all(map(contains, ours, golden))
        )
    return type(ours) is type(golden) and ours == golden


@pytest.mark.parametrize("name", ["sse.txt", "sse_with_id.txt"])
def test_sse_is_what_the_original_wrote(gs, name):
    options = gs.SSEOptions(include_id=name == "sse_with_id.txt")
    ours = frames_of(encoded(gs, gs.SSEEncoder(options)))
    golden = frames_of((DATA / name).read_text(encoding="utf-8"))
    left_out = [f"event: {UNKNOWN}" in frame for frame in golden].index(True)
    del golden[left_out]
    assert len(ours) == len(golden) == len(RECORDED)  # one left out, and Done
    for number, (frame, other) in enumerate(zip(ours, golden, strict=True), 1):
        wanted = [
            f"id: {number}" if line.startswith("id: ") else line for line in lines_but_data(other)
        ]
        if options.include_id:
            assert f"id: {number + (number > left_out)}" in other
        assert lines_but_data(frame) == wanted
        assert contains(data_of(frame), data_of(other))


@pytest.mark.parametrize("name", ["ndjson.txt", "ndjson_with_timestamp.txt"])
@pytest.mark.parametrize("compact", [True, False])
def test_ndjson_is_what_the_original_wrote(gs, name, compact):
    timestamps = name == "ndjson_with_timestamp.txt"
    options = gs.NDJSONOptions(include_timestamp=timestamps, compact_json=compact)
    ours = lines_of(encoded(gs, gs.NDJSONEncoder(options)))
    golden = lines_of((DATA / name).read_text(encoding="utf-8"))
    golden = [line for line in golden if line["type"] != UNKNOWN]
    if timestamps:
        assert isinstance(ours[-1]["timestamp"], int)
        del golden[-1]["timestamp"]
    assert len(ours) == len(golden) == len(RECORDED)
    for line, other in zip(ours, golden, strict=True):
        assert contains(line, other)
        assert ("timestamp" in line) is timestamps
        assert line.keys() - {"timestamp"} - other.keys() <= {"code", "retry_after"}


def test_fields_that_the_original_dropped_are_written(gs):
    text = encoded(gs, gs.SSEEncoder())
    assert '{"tool_name":"get_weather","tool_id":"call_1","result":{' in text
    assert '"code":"rate_limited","retry_after":1.5}' in text
    encoder = gs.SSEEncoder()
    encoder.write_many([gs.events.ReasoningDelta("r"), gs.events.Finish(None, "stop")])
    encoder.write(gs.events.Start("i", "m"))
    assert [data_of(frame) for frame in frames_of(encoder.take().decode())] == [
        {"text": "r"},
        {"usage": None, "finish_reason": "stop"},
        {"started": True, "id": "i", "model": "m"},
    ]


def test_a_raw_that_is_nil_has_no_key_in_ndjson_and_null_in_sse(gs):
    assert gs.encode_events([gs.events.Raw()], "ndjson") == b'{"type":"raw"}\n'
    assert gs.encode_events([gs.events.Raw()], "sse") == b'event: raw\ndata: {"raw":null}\n\n'


def test_the_comparison_can_fail():
    golden = {"a": [1, {"b": None}], "c": "x"}
    assert contains(golden | {"more": 1}, golden)
    for ours in ({"c": "x"}, golden | {"a": [1]}, golden | {"a": [1, {}]}, golden | {"c": "y"}):
        assert not contains(ours, golden)
    assert not contains({"a": 1.0}, {"a": 1})
    assert not contains({"a": True}, {"a": 1})
