"""The estimate of the memory of an item, which bounds reading ahead."""

from __future__ import annotations

import enum
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NoReturn

import pytest

MOST = 256 * 1024
BIG = "x" * 10_000
OPAQUE = 16 * 1024

Pair = namedtuple("Pair", "first second")


@dataclass(slots=True, kw_only=True)
class Slots:
    """Fields without a dict."""

    text: str


class Attributes:
    """Fields in a dict, beside a slot."""

    __slots__ = ("__dict__", "slot")

    def __init__(self, text: Any, slot: str) -> None:
        self.text = text
        self.slot = slot


class Kind(enum.Enum):
    """A member refers to its class."""

    TEXT = BIG


class Hostile(dict[str, Any]):
    """A dict whose own methods must not run."""

    def _refuse(self, *_: object) -> NoReturn:
        raise AssertionError("asked")

    __iter__ = __len__ = __getitem__ = keys = values = items = __getstate__ = _refuse


@pytest.mark.parametrize("size", [0, 1, 5000])
def test_a_token_counts_a_little_more_than_its_text(gs: ModuleType, size: int) -> None:
    for item in ("x" * size, b"x" * size, gs.events.TextDelta("x" * size)):
        assert size < gs.core.estimate_size(item, MOST) < size + 200
    wide = gs.events.TextDelta("é" * size)
    assert gs.core.estimate_size(wide, MOST) >= 2 * size


@pytest.mark.parametrize(
    "make",
    [
        lambda gs: BIG,
        lambda gs: bytearray(10_000),
        lambda gs: memoryview(bytes(10_000)),
        lambda gs: {"choices": [{"delta": {"content": BIG}}]},
        lambda gs: {BIG: 1},
        lambda gs: OrderedDict(a=(BIG,)),
        lambda gs: Hostile(text=BIG),
        lambda gs: {frozenset([BIG])},
        lambda gs: Pair(1, BIG),
        lambda gs: Slots(text=BIG),
        lambda gs: Attributes(BIG, ""),
        lambda gs: Attributes("", BIG),
        lambda gs: Attributes(Attributes("", BIG), ""),
        lambda gs: gs.ServerSentEvent(BIG),
        lambda gs: gs.SSEDecoder().feed(f"data: {BIG}\n\n".encode())[0],
        lambda gs: gs.events.ToolCall("1", "name", {"query": BIG}),
        lambda gs: gs.events.AudioDelta(bytes(10_000)),
        lambda gs: gs.events.Citations([gs.events.Citation(BIG)]),
    ],
)
def test_the_values_of_an_item_are_found_in_every_container(gs: ModuleType, make: Any) -> None:
    assert 10_000 <= gs.core.estimate_size(make(gs), MOST) < 13_000


def test_a_model_is_looked_into_with_its_extra_fields(gs: ModuleType) -> None:
    pydantic = pytest.importorskip("pydantic")

    class Model(pydantic.BaseModel):
        model_config = {"extra": "allow"}
        text: str = ""

    for model in (Model(text=BIG), Model(extra=BIG)):
        assert 10_000 <= gs.core.estimate_size(model, MOST) < 13_000


@pytest.mark.parametrize("item", [object(), iter([BIG]), range(3), {"at": object()}])
def test_an_object_that_cannot_be_looked_into_counts_as_a_big_one(
    gs: ModuleType, item: Any
) -> None:
    assert OPAQUE <= gs.core.estimate_size(item, MOST) < OPAQUE + 400


@pytest.mark.parametrize("item", [None, True, 1, 2.5, int, Kind, [1, None, 2.5]], ids=repr)
def test_a_scalar_counts_little(gs: ModuleType, item: Any) -> None:
    assert 0 < gs.core.estimate_size(item, MOST) < 400


def test_a_class_that_an_item_refers_to_does_not_count(gs: ModuleType) -> None:
    assert 10_000 <= gs.core.estimate_size(Kind.TEXT, MOST) < 2 * 10_000 + 1000


def test_counting_ends_at_the_bound_whatever_the_item(gs: ModuleType) -> None:
    endless: list[Any] = []
    endless.append(endless)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    items = [endless, deep, [0] * 1_000_000, {n: n for n in range(100_000)}, "x" * MOST, "é" * MOST]
    for item in items:
        assert gs.core.estimate_size(item, MOST) == MOST
    while deep:  # or freeing it would recurse deeply
        (deep,) = deep
