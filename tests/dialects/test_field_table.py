"""The table of every field in every protocol is what the dialects do."""

from __future__ import annotations

import field_table
import pytest
import read_table

from gaistream import dialects, events

NESTED = {"AudioDelta.format": "AudioFormat", "Citations.citations": "Citation",
          "Finish.usage": "Usage"}  # fmt: skip


def test_the_page_holds_the_table():
    page = field_table.PAGE.read_text("utf-8")
    assert page == field_table.page(), "run python docs/field_table.py"


def fields() -> list[str]:
    found = []
    for name in set(events.__all__) - {"Event", *NESTED.values()}:
        kind = getattr(events, name)
        for field in kind.__match_args__ or [""]:
            path = f"{name}.{field}".rstrip(".")
            inner = getattr(events, NESTED[path]).__match_args__ if path in NESTED else [""]
            found += [f"{path}.{each}".rstrip(".") for each in inner]
    return found


@pytest.mark.parametrize("field", sorted(fields()))
def test_every_field_of_every_event_has_a_row(field):
    assert any(row.name.startswith(f"`{field}`") for row in field_table.ROWS)


def test_every_protocol_that_is_written_from_events_has_a_column():
    written = {name for name in dialects.NAMES if dialects.find(name).writes}
    assert set(field_table.columns()) == written - {"json", "raw"}


def test_a_field_that_is_not_written_or_not_read_is_noticed(monkeypatch):
    row = next(row for row in field_table.ROWS if row.name == "`ReasoningEnd.signature`")
    dialect = dialects.find("openai_chat")
    assert field_table.cell(row, dialect).kept
    reader = type(dialect.reader("sse"))
    monkeypatch.setattr(reader, "_choice", lambda self, choice: [])
    cell = field_table.cell(row, dialect)
    assert (cell.place.rpartition(".")[2], cell.kept) == ("signature", False)
    writer = type(dialect.writer("sse"))
    monkeypatch.setattr(writer, "_reasoning_end", lambda self, event: [])
    monkeypatch.setattr("gaistream.dialects.openai_chat.writer._DELTAS", {})
    assert str(field_table.cell(row, dialect)) == "–"


def test_every_protocol_that_is_only_read_has_a_sample_that_is_whole():
    read = {name for name in dialects.NAMES if not dialects.find(name).writes}
    assert set(read_table.SAMPLES) == read
    for name, (_, frames) in read_table.SAMPLES.items():
        assert isinstance(read_table._read(name, frames)[-1], events.Done)


def test_a_field_that_is_not_read_any_more_is_noticed(monkeypatch):
    assert read_table.places("ollama")["`Finish.raw_reason`"] == ["done_reason"]
    reader = type(dialects.find("ollama").reader("ndjson"))
    monkeypatch.setattr(reader, "_finish", lambda self, fields: events.Finish())
    assert "`Finish.raw_reason`" not in read_table.places("ollama")
