"""Deep payloads never reach a library that would write past its buffer."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from json_payloads import LIBRARIES

from gaistream.core import json as _json
from gaistream.errors import EncodeError

OBJECT = pytest.param(object(), id="object")  # its repr() differs between processes


def nested(levels: int, make: Any, inside: Any) -> Any:
    for _ in range(levels):
        inside = make(inside)
    return inside


MAKERS = {
    "list": lambda inside: [inside],
    "tuple": lambda inside: (inside,),
    "dict": lambda inside: {"k": inside},
    "subclass": lambda inside: type("Mine", (dict,), {})(k=inside),
    "later in a list": lambda inside: [1, "a", inside],
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
def test_levels_are_counted_over_dicts_lists_and_tuples(gs: ModuleType, make: Any) -> None:
    deeper = gs.core.nests_deeper
    assert not deeper(nested(5, make, 1), 5)
    assert deeper(nested(6, make, 1), 5)
    assert not deeper(nested(48, make, 1))
    assert deeper(nested(49, make, 1))


@pytest.mark.parametrize("payload", [None, 1, "[[", b"", {1}, OBJECT], ids=repr)
def test_scalars_have_no_depth(gs: ModuleType, payload: Any) -> None:
    assert not gs.core.nests_deeper(payload, 0)


def test_a_circle_is_deep_and_refused_by_name(gs: ModuleType) -> None:
    circle: list[Any] = []
    circle.append({"a": (circle,)})
    assert gs.core.nests_deeper(circle)
    with pytest.raises(gs.errors.EncodeError, match="nesting at"):
        gs.encode_ndjson(circle)


def test_a_limit_beyond_the_stack_is_a_recursion_error(gs: ModuleType) -> None:
    deeper = gs.core.nests_deeper
    for make in (lambda inside: [inside], lambda inside: {"k": inside}):
        deep: Any = nested(100_000, make, 1)
        assert deeper(deep)
        for limit in (10**6, 10**30):
            with pytest.raises(RecursionError):
                deeper(deep, limit)
        assert deeper(nested(90, make, 1), 80)
        assert not deeper(nested(90, make, 1), 2**70)
        assert deeper(nested(1, make, 1), -(2**70))


def test_a_dict_may_change_while_its_depth_is_measured(gs: ModuleType) -> None:
    held: dict[str, Any] = {}

    class Meddler:
        @property
        def __class__(self) -> type:  # type: ignore[override]
            held[str(len(held))] = 1
            return object

    for index in range(5):
        held[f"m{index}"] = Meddler()
    assert not gs.core.nests_deeper(held)


@pytest.mark.parametrize("levels", [48, 49, 66, 114, 200, 250])
def test_deep_payloads_are_written_whole(gs: ModuleType, levels: int) -> None:
    payload = nested(levels, lambda inside: [inside], "\x01é\u2028")
    line = gs.encode_ndjson(payload)
    assert json.loads(line) == payload
    assert line == b"[" * levels + '"\\u0001é\\u2028"'.encode() + b"]" * levels + b"\n"
    assert gs.encode_sse(json=payload) == b"data: " + line + b"\n"


def depth(payload: Any) -> int:
    if not isinstance(payload, dict | list | tuple):
        return 0
    items = payload.values() if isinstance(payload, dict) else payload
    return 1 + max(map(depth, items), default=0)


@pytest.mark.skipif(_json.library.fragment is None, reason="the library has no fragments")
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
def test_deep_payloads_reach_the_library_in_parts_that_it_writes_right(
    gs: ModuleType, make: Any
) -> None:
    given: list[int] = []

    def counted(payload: Any, *options: Any) -> bytes:
        given.append(depth(payload))
        return _json.library.dumps(payload, *options)

    library = dataclasses.replace(_json.library, dumps=counted)
    gs.core.install_json(lambda: library)
    try:
        for levels, parts in ((48, 1), (49, 2), (96, 2), (97, 3), (254, 6)):
            payload = nested(levels, make, "\u2028")
            assert json.loads(gs.encode_ndjson(payload)) == json.loads(json.dumps(payload))
            assert len(given) == parts
            assert max(given) <= 48
            given.clear()
    finally:
        gs.core.install_json(gs.core.load_json_library)


class Pair(NamedTuple):
    first: Any
    second: Any


@pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES.keys())
def test_a_deep_payload_is_refused_as_a_flat_one_is(library: Any) -> None:
    for bad, message in (
        ({1: 2}, "dict key at .* must be str, not int"),
        (Pair(1, 2), "cannot encode Pair at"),
        (nested(250, MAKERS["list"], 1), "nesting at .* exceeds 254 levels"),
        ({1, 2}, "cannot encode set at"),
    ):
        for levels in (3, 47, 48, 49, 100):
            payload = nested(levels, MAKERS["dict"], bad)
            if "254" not in message or levels > 4:
                with pytest.raises(EncodeError, match=f"^{message}"):
                    library.dumps(payload)
    payload = nested(60, MAKERS["list"], "\ud800")
    with pytest.raises(UnicodeEncodeError):
        library.dumps(payload)
    assert "\ufffd" in library.dumps(payload, errors="replace").decode()


def test_a_level_more_costs_no_copy_of_everything(gs: ModuleType) -> None:
    if gs.backend != "native" or _json.library.fragment is None:
        pytest.skip("the compiled core writes parts without a Python call")
    calls = 0

    def count(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    payload = [nested(48, MAKERS["dict"], {"id": 1}) for _ in range(50)]
    gs.encode_ndjson(payload)  # loads the library
    sys.setprofile(count)
    try:
        gs.encode_ndjson(payload)
    finally:
        sys.setprofile(None)
    assert calls <= 1


PROGRAM = """
import gaistream, json
for levels in range(40, 254):
    for inside in ("\\x01" * 5, -1.2345678901234567e-100, 2**63, "a"):
        payload = inside
        for level in range(levels):
            payload = [payload] if level % 2 else {"\\x01k": payload}
        assert json.loads(gaistream.encode_ndjson(payload)) == payload
"""


def test_no_depth_corrupts_memory() -> None:
    environment = {**os.environ, "PYTHONMALLOC": "debug"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True,
                          timeout=60, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
