"""The characters at which some clients end a line although Server-Sent Events do not.

httpx and requests split text as `str.splitlines` does. JSON can escape these characters, so the
core does, in everything that it writes as JSON. This file imports nothing of ours.
"""

from __future__ import annotations

from typing import Final

LINE_SEPARATORS: Final = "\x85\u2028\u2029"
ESCAPES: Final = tuple((each.encode(), f"\\u{ord(each):04x}".encode()) for each in LINE_SEPARATORS)
"""Each of them in UTF-8, and its escape in JSON."""


def escape_separators(json: bytes) -> bytes:
    """Return JSON with these characters escaped; they can only be inside its strings."""
    for separator, escape in ESCAPES:
        json = json.replace(separator, escape)
    return json
