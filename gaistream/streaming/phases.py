"""The phases of a stream, and the moves between them.

    OPENING ───► OPEN ───► ENDING ───► FINISHING ───► ENDED
       │          │          │             │
       └──────────┴──────────┴─────────────┴────────► CUT

    OPENING    it was not started
    OPEN       the source's items are accepted
    ENDING     the end is written and the pending bytes are sent: the source has ended, or was
               silent for too long, or the stream is drained
    FINISHING  the server is told that the body is whole, in one message with a small last chunk
    ENDED      the server knows that the body is whole, or does not have to be told
    CUT        nothing more is sent: the client has gone, a send has stalled, the dialect could
               not write the end, a drain ran out of time, or the connection's task was cancelled

A move that is not in the table does nothing: the first end decides.
"""

from __future__ import annotations

import enum
from typing import Final


class Phase(enum.IntEnum):
    """Where a stream is in its life."""

    OPENING = 0
    OPEN = 1
    ENDING = 2
    FINISHING = 3
    ENDED = 4
    CUT = 5


OPENING, OPEN, ENDING, FINISHING, ENDED, CUT = Phase

MOVES: Final[tuple[tuple[Phase, ...], ...]] = (  # by the phase that is left
    (OPEN, CUT),
    (ENDING, CUT),
    (FINISHING, ENDED, CUT),
    (ENDED, CUT),
    (),
    (),
)
