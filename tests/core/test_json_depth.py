"""Deep payloads never reach a library that would write past its buffer."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest
from json_payloads import Installed

from gaistream.core import json as _json

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


def test_deep_payloads_never_reach_the_fast_library() -> None:
    given: list[Any] = []

    def fast(payload: Any, *_: Any) -> bytes:
        given.append(payload)
        return b"fast"

    library = Installed(dataclasses.replace(_json.library, dumps=fast))
    assert library.dumps(nested(48, MAKERS["list"], 1)) == b"fast"
    assert library.dumps(nested(49, MAKERS["list"], 1)) == b"[" * 49 + b"1" + b"]" * 49
    assert len(given) == 1


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
