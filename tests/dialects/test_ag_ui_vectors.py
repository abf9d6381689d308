"""AG-UI: the reader on the vectors of tests/data/dialects."""

from __future__ import annotations

import pytest
from dialect_vectors import compare, load

VECTORS = load("ag_ui")


@pytest.mark.parametrize("name", VECTORS)
def test_a_vector_is_read_as_its_events_however_it_is_cut(gs, name):
    body = VECTORS[name]["input"].encode()

    def read(*chunks):
        return list(gs.read_events(chunks, dialect="ag_ui"))

    whole = read(body)
    compare(whole, VECTORS[name]["events"])
    assert read(*(body[at : at + 1] for at in range(len(body)))) == whole
    for at in range(1, len(body)):
        assert read(body[:at], body[at:]) == whole
