"""Options: the defaults of the original, refused values, and values that the user has set."""

import copy
import dataclasses
import enum
import pickle
import re

import pytest

KINDS = ["SSEOptions", "NDJSONOptions"]
COMMON = {"flush_after_write": True, "errors": "replace", "flush_interval": 0.1, "default": None}
DEFAULTS = {
    "SSEOptions": COMMON
    | {
        "heartbeat_interval": 15.0,
        "heartbeat": "comment",
        "max_retries": 3,
        "retry_ms": 5000,
        "buffer_size": 4096,
        "include_id": False,
    },
    "NDJSONOptions": COMMON
    | {
        "heartbeat_interval": None,
        "buffer_size": 8192,
        "compact_json": True,
        "include_timestamp": False,
    },
}


class Level(enum.IntEnum):
    LOW = 3


@pytest.mark.parametrize("kind", KINDS)
def test_the_defaults_are_those_of_the_original(gs, kind):
    assert dataclasses.asdict(getattr(gs, kind)()) == DEFAULTS[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_options_are_frozen_comparable_and_keyword_only(gs, kind):
    make = getattr(gs, kind)
    options = make(buffer_size=9)
    assert options == make(buffer_size=9) != make()
    assert hash(options) == hash(make(buffer_size=9))
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.buffer_size = 5
    with pytest.raises(TypeError):
        make(9)
    with pytest.raises(TypeError):
        make(no_such_option=1)
    assert eval(repr(options), {kind: make}) == options


GOOD = [
    {"heartbeat_interval": None},
    {"heartbeat_interval": 0},
    {"heartbeat_interval": 0.001},
    {"heartbeat_interval": Level.LOW},
    {"flush_interval": 1},
    {"buffer_size": 1},
    {"buffer_size": 2**30},
    {"errors": "strict"},
    {"flush_after_write": False},
    {"default": str},
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fields", GOOD, ids=str)
def test_values_that_both_kinds_take(gs, kind, fields):
    options = getattr(gs, kind)(**fields)
    assert dataclasses.asdict(options) == DEFAULTS[kind] | fields


BAD = {
    "default": ("default", "str", "must be callable or None, not str"),
    "heartbeat of text": ("heartbeat_interval", "15", "must be seconds or None, not str"),
    "heartbeat of bool": ("heartbeat_interval", True, "must be seconds or None, not bool"),
    "negative heartbeat": ("heartbeat_interval", -1, "must be at least 0 and finite, not -1"),
    "heartbeat of NaN": (
        "heartbeat_interval", float("nan"), "must be at least 0 and finite, not nan"
    ),
    "endless heartbeat": (
        "heartbeat_interval", float("inf"), "must be at least 0 and finite, not inf"
    ),
    "huge heartbeat": (
        "heartbeat_interval", 10**400, "must be at most 1000000000 seconds, not an int of 1329 bits"
    ),
    "lowest heartbeat": (
        "heartbeat_interval",
        -(10**5000),
        "must be at least 0 and finite, not an int of 16610 bits",
    ),
    "a heartbeat beyond all timers": (
        "heartbeat_interval", 2e9, "must be at most 1000000000 seconds, not 2000000000.0"
    ),
    "no interval": ("flush_interval", None, "must be seconds, not NoneType"),
    "kind of heartbeat": ("heartbeat", "ping", "must be 'comment' or 'native', not 'ping'"),
    "no kind of heartbeat": ("heartbeat", None, "must be 'comment' or 'native', not None"),
    "interval 0": ("flush_interval", 0, "must be more than 0 and finite, not 0"),
    "interval of complex": ("flush_interval", 1j, "must be seconds, not complex"),
    "huge interval": (
        "flush_interval", 10**400, "must be at most 1000000000 seconds, not an int of 1329 bits"
    ),
    "size 0": ("buffer_size", 0, "must be from 1 to 1073741824 bytes, not 0"),
    "size of float": ("buffer_size", 1.0, "must be int, not float"),
    "size of bool": ("buffer_size", True, "must be int, not bool"),
    "large size": ("buffer_size", 2**30 + 1, "must be from 1 to 1073741824 bytes, not 1073741825"),
    "huge size": (
        "buffer_size", 10**5000, "must be from 1 to 1073741824 bytes, not an int of 16610 bits"
    ),
    "errors": ("errors", "ignore", "must be 'strict' or 'replace', not 'ignore'"),
    "no errors": ("errors", None, "must be 'strict' or 'replace', not None"),
    "unhashable errors": ("errors", [], "must be 'strict' or 'replace', not []"),
    "flush": ("flush_after_write", 1, "must be bool, not int"),
    "retries": ("max_retries", -1, "must be from 0 to 2147483648, not -1"),
    "retries of text": ("max_retries", "3", "must be int, not str"),
    "retry": ("retry_ms", 2**63, f"must be from 0 to {2**63 - 1} milliseconds, not {2**63}"),
    "no retry": ("retry_ms", None, "must be int, not NoneType"),
    "id": ("include_id", None, "must be bool, not NoneType"),
    "compact": ("compact_json", "yes", "must be bool, not str"),
    "timestamp": ("include_timestamp", 0, "must be bool, not int"),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_a_refused_value_is_named(gs, case):
    field, value, message = case
    kinds = [kind for kind in KINDS if field in DEFAULTS[kind]]
    assert kinds
    wrong_type = message.startswith(("must be seconds", "must be int", "must be bool"))
    error = gs.errors.FrameTypeError if wrong_type else gs.errors.FrameError
    for kind in kinds:
        with pytest.raises(error, match=f"^{field} {re.escape(message)}$"):
            getattr(gs, kind)(**{field: value})


def test_a_retry_is_sent_first_only_if_it_was_set(gs):
    make = gs.SSEOptions
    assert (make().first_retry, make().error_retry) == (None, 5000)
    assert (make(retry_ms=5000).first_retry, make(retry_ms=5000).error_retry) == (5000, 5000)
    assert (make(retry_ms=0).first_retry, make(retry_ms=0).error_retry) == (0, 0)
    assert make(max_retries=0).error_retry is None
    assert make(max_retries=0, retry_ms=7).first_retry == 7
    assert make() == make(retry_ms=5000)
    assert type(make().error_retry) is int


def test_handlers_write_ids_unless_they_are_switched_off(gs):
    make = gs.SSEOptions
    assert (make().include_id, make().with_ids.include_id) == (False, True)
    for given in (False, True):
        assert make(include_id=given).with_ids.include_id is given
    assert make() == make(include_id=False)
    assert make(buffer_size=9).with_ids == make(buffer_size=9, include_id=True)
    assert "include_id=False" in repr(make())


def test_the_dialect_chooses_the_heartbeat_unless_it_was_set(gs):
    make = gs.SSEOptions
    assert make() == make(heartbeat="comment") != make(heartbeat="native")
    assert make().chosen_heartbeat is None
    for options in (*copies(make(heartbeat="comment")), make(heartbeat="comment").with_ids):
        assert options.chosen_heartbeat == "comment"
    for options in copies(make()):
        assert options.chosen_heartbeat is None


def copies(options):
    yield copy.copy(options)
    yield copy.deepcopy(options)
    yield dataclasses.replace(options, buffer_size=9)
    yield dataclasses.replace(copy.deepcopy(options), max_retries=1)


def test_a_copy_remembers_what_was_set(gs):
    make = gs.SSEOptions
    for options in (make(), make(retry_ms=5000, include_id=False), make(retry_ms=7)):
        for other in copies(options):
            assert (other.first_retry, other.retry_ms) == (options.first_retry, options.retry_ms)
            assert other.with_ids.include_id is options.with_ids.include_id


def test_options_are_pickled(both):
    make = both[0].SSEOptions
    for options in (make(), make(retry_ms=5000), make(include_id=False)):
        other = pickle.loads(pickle.dumps(options))
        assert (other, other.first_retry) == (options, options.first_retry)
        assert other.with_ids == options.with_ids
        assert other.chosen_heartbeat is None
    options = both[0].NDJSONOptions(compact_json=False)
    assert pickle.loads(pickle.dumps(options)) == options
