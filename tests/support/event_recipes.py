"""Random events of every kind but Done, as recipes: each twin makes its own event of one."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from hypothesis import strategies as st

Recipe = tuple[str, tuple[Any, ...]]

SPLIT_AND_ESCAPED = "\r\n\0\"\\\x1f\x7f\x80\x85\u2028\u2029\ufeff😀 {}:"
letters = st.sampled_from(SPLIT_AND_ESCAPED) | st.characters(exclude_categories=["Cs"])
texts = st.text(letters, max_size=12)
whole = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | whole | floats | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
numbers = floats | st.integers(0, 9)
optional = st.none() | texts
flags = st.none() | st.booleans()
count = st.none() | whole
data = st.binary(max_size=12)

FIELDS: dict[str, st.SearchStrategy[tuple[Any, ...]]] = {
    "Start": st.tuples(optional, optional),
    "TextDelta": st.tuples(texts),
    "ReasoningDelta": st.tuples(texts),
    "ReasoningEnd": st.tuples(optional, optional, optional),
    "AudioDelta": st.tuples(data, st.none() | st.tuples(texts, whole, whole, whole)),
    "File": st.tuples(texts, texts, st.none()) | st.tuples(texts, st.none(), data),
    "ToolCallStart": st.tuples(texts, texts, flags),
    "ToolCallDelta": st.tuples(texts, texts),
    "ToolCall": st.tuples(texts, texts, values, optional, flags),
    "ToolResult": st.tuples(texts, texts, values, flags, flags),
    "ApprovalRequest": st.tuples(texts, texts, optional, optional, values, optional),
    "Citations": st.tuples(st.lists(st.tuples(texts, whole, whole, optional), max_size=3)),
    "Safety": st.tuples(texts, texts, numbers, optional),
    "Data": st.tuples(texts, values, optional, flags),
    "StepStart": st.tuples(count, optional),
    "StepReset": st.tuples(),
    "FinishStep": st.tuples(whole),
    "Finish": st.tuples(
        st.none() | st.tuples(whole, whole, whole, count, count, count), optional, optional
    ),
    "Error": st.tuples(texts, optional, st.none() | numbers),
    "Raw": st.tuples(values),
}


def recipes_of(name: str) -> st.SearchStrategy[Recipe]:
    return st.tuples(st.just(name), FIELDS[name])


recipes = st.sampled_from(sorted(FIELDS)).flatmap(recipes_of)


def event_from(gs: ModuleType, recipe: Recipe) -> Any:
    """Return the event of a recipe, on this twin."""
    name, fields = recipe
    events = gs.events
    if name == "AudioDelta":
        fields = (fields[0], fields[1] and events.AudioFormat(*fields[1]))
    elif name == "Citations":
        fields = ([events.Citation(*each) for each in fields[0]],)
    elif name == "Finish":
        fields = (fields[0] and events.Usage(*fields[0]), *fields[1:])
    return getattr(events, name)(*fields)


def assert_same(found: list[Any], written: list[Any]) -> None:
    """Assert equality also of what compares equal and is not the same: 1 and 1.0, True and 1."""
    assert found == written
    assert list(map(repr, found)) == list(map(repr, written))
