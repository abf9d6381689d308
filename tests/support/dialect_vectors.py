"""The reader vectors of tests/data/dialects, compared as the README there says."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "data" / "dialects"


def load(dialect: str) -> dict[str, dict[str, Any]]:
    """Return the vectors of a dialect by their names."""
    text = (FOLDER / f"{dialect}.jsonl").read_text(encoding="utf-8")
    lines = text.rstrip("\n").split("\n")  # the texts have U+2028
    return {vector["name"]: vector for vector in map(json.loads, lines)}


def compare(events: list[Any], expected: list[dict[str, Any]]) -> None:
    """Compare events with those of a vector, field by field."""
    kinds = [re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(each).__name__).lower() for each in events]
    assert kinds == [each["type"] for each in expected]
    made: dict[str, str] = {}
    for event, fields in zip(events, expected, strict=True):
        for name, wanted in fields.items():
            if name != "type" and not (name == "format" and fields["type"] == "audio_delta"):
                _compare(getattr(event, name), wanted, made)
    assert len(set(made.values())) == len(made)


def _compare(found: Any, wanted: Any, made: dict[str, str]) -> None:
    if isinstance(wanted, str) and re.fullmatch(r"@\d+", wanted):
        assert found
        assert found == made.setdefault(wanted, found)
    elif wanted == "*":
        assert isinstance(found, str)
    elif isinstance(found, bytes):
        assert base64.b64encode(found).decode() == wanted
    elif hasattr(found, "__match_args__"):
        for name, value in wanted.items():
            _compare(getattr(found, name), value, made)
    elif isinstance(found, tuple) and isinstance(wanted, list):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            _compare(one, other, made)
    else:
        assert found == wanted or (found in (None, False) and wanted in (None, False))
