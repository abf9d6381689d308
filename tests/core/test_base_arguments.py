"""The bases Event and DeltaCollector take the same arguments and values in both twins."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twin_input import examples

pytestmark = pytest.mark.hypothesis_twins


class Own(list):
    pass


VALUES = (None, 5, "text", (), {"a": 1}, ["piece"], Own(["piece"]))
values = st.integers(0, len(VALUES) - 1)
arguments = st.tuples(
    st.lists(values, max_size=2), st.dictionaries(st.sampled_from(["timestamp", "text"]), values)
)
BASES = {
    "Event": lambda gs: gs.core.Event,
    "a subclass of Event": lambda gs: type("Own", (gs.core.Event,), {}),
    "DeltaCollector": lambda gs: gs.core.DeltaCollector,
    "a subclass of DeltaCollector": lambda gs: type("Own", (gs.core.DeltaCollector,), {}),
    "a subclass with __init__": lambda gs: type(
        "Own", (gs.core.DeltaCollector,), {"__init__": lambda self, *args, **named: None}
    ),
    "Message": lambda gs: gs.Message,
}


def kind_of_outcome(call, *args, **named):
    """Return the type of the error that a call raises, or of its result."""
    try:
        return type(call(*args, **named)).__name__
    except (TypeError, AttributeError) as error:
        return type(error).__name__


@pytest.mark.parametrize("base", BASES)
@examples(60)
@given(given=arguments)
def test_they_are_made_of_the_same_arguments(both, base, given):
    positional, named = given
    seen = []
    for gs in both:
        kind = BASES[base](gs)
        args = [VALUES[each] for each in positional]
        fields = {name: VALUES[each] for name, each in named.items()}
        seen.append([
            kind_of_outcome(kind, *args, **fields), kind_of_outcome(kind.__new__, kind, *args)
        ])  # fmt: skip
    assert all(each == seen[0] for each in seen)
    if base in ("Event", "DeltaCollector", "Message") and (positional or named):
        assert seen[0][0] == "TypeError"


@examples(100)
@given(steps=st.lists(st.tuples(
    st.sampled_from(["text_pieces", "reasoning_pieces", "other"]),
    st.sampled_from(["set", "get", "delete", "text", "reasoning"]), values), max_size=8))
def test_a_collector_holds_the_same_pieces(both, steps):
    def states(gs):
        collector = gs.core.DeltaCollector()
        for name, action, value in steps:
            if action == "set":
                yield kind_of_outcome(setattr, collector, name, copy.copy(VALUES[value]))
            elif action == "delete":
                yield kind_of_outcome(delattr, collector, name)
            elif action == "get":
                yield kind_of_outcome(getattr, collector, name)
            else:
                event = {"text": gs.events.TextDelta, "reasoning": gs.events.ReasoningDelta}
                try:
                    collector.add(event[action]("delta"))
                except NotImplementedError:
                    yield "the subclass is asked"
            yield collector.text_pieces, collector.reasoning_pieces

    first, *others = [list(states(gs)) for gs in both]
    assert all(each == first for each in others)


def test_the_bases_are_still_copied_and_pickled(gs):
    assert copy.copy(gs.core.Event()) == gs.core.Event()
    collector = gs.Message()
    collector.add("a")
    again = copy.deepcopy(collector)
    assert again.text_pieces == ["a"]
    assert again.text_pieces is not collector.text_pieces


def test_a_base_event_is_pickled():
    import gaistream

    assert pickle.loads(pickle.dumps(gaistream.core.Event())) == gaistream.core.Event()
