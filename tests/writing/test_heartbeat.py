"""The heartbeat of a stream: a comment, or the dialect's own."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

COMMENT = b": keep-alive\n\n"
NATIVE = b"event: beat\ndata: {}\n\n"


def beating(gs: ModuleType, default: str, *, native: bool = True) -> Any:
    """Return a dialect with this default, with or without its own heartbeat."""

    class Writer(gs.dialects.EventWriter):
        default_heartbeat = default

        def write_event(self, encoder: Any, event: Any) -> None:
            encoder.write_frame(type(event).__name__)

    class Beating(Writer):
        def heartbeat(self, encoder: Any) -> None:
            encoder.write_ready(NATIVE)

    class Dialect(gs.dialects.Dialect):
        name = "beating"
        writes = ("sse",)

        def writer(self, format: str, **_: Any) -> Any:
            return Beating() if native else Writer()

    return Dialect()


@pytest.mark.parametrize(
    ("chosen", "default", "expected"),
    [
        (None, "comment", COMMENT),
        (None, "native", NATIVE),
        ("comment", "native", COMMENT),
        ("native", "comment", NATIVE),
    ],
)
def test_the_options_choose_before_the_dialect(
    gs: ModuleType, chosen: str | None, default: str, expected: bytes
) -> None:
    options = gs.SSEOptions() if chosen is None else gs.SSEOptions(heartbeat=chosen)
    encoder = gs.SSEEncoder(options, dialect=beating(gs, default))
    encoder.write_heartbeat()
    assert encoder.take() == expected


def test_a_dialect_without_its_own_heartbeat_writes_a_comment(gs: ModuleType) -> None:
    options = gs.SSEOptions(heartbeat="native")
    for dialect in ("gai", beating(gs, "native", native=False)):
        encoder = gs.SSEEncoder(options, dialect=dialect)
        encoder.write_heartbeat()
        assert encoder.take() == COMMENT


def test_a_native_heartbeat_takes_no_id_and_leaves_the_stream_failed(gs: ModuleType) -> None:
    encoder = gs.SSEEncoder(gs.SSEOptions(include_id=True), dialect=beating(gs, "native"))
    encoder.write(gs.events.Error("no"))
    encoder.write_heartbeat()
    assert encoder.take() == b"id: 1\ndata: Error\n\n" + NATIVE
    assert (encoder.last_id, encoder.failed) == (1, True)
