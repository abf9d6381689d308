"""Gemini's two protocols and Ollama's: the readers on the vectors of tests/data/dialects."""

from __future__ import annotations

import pytest
from dialect_vectors import compare, load

FORMATS = {"gemini": "sse", "gemini_interactions": "sse", "ollama": "ndjson"}
VECTORS = {(dialect, name): vector for dialect in FORMATS for name, vector in load(dialect).items()}


@pytest.mark.parametrize(("dialect", "name"), VECTORS)
def test_a_vector_is_read_as_its_events_however_it_is_cut(gs, dialect, name):
    vector = VECTORS[dialect, name]
    body = vector["input"].encode()

    def read(*chunks):
        return list(gs.read_events(chunks, FORMATS[dialect], dialect))

    whole = read(body)
    compare(whole, vector["events"])
    assert read(*(body[at : at + 1] for at in range(len(body)))) == whole
    for at in range(1, len(body)):
        assert read(body[:at], body[at:]) == whole
