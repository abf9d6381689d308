"""The choice between Server-Sent Events and NDJSON, by path and `Accept`."""

from __future__ import annotations

from typing import Final

from ..writing.formats import FORMATS, NDJSON, SSE

_BY_NAME: Final = 2  # how specific a range of `Accept` is that names a media type


def negotiate(path: str, accept: str | None) -> str:
    """Return "sse" or "ndjson" for a request.

    A path that ends in `sse` or `ndjson` (`/chat/sse`, `/chat.ndjson`) decides. Otherwise the
    greater quality in `Accept` does, and between equal ones the type that is named, before `*/*`.
    SSE wins ties, and serves clients that accept neither.
    """
    last = path.rstrip("/").rpartition("/")[2].rpartition(".")[2].lower()
    if last in FORMATS:
        return last
    ndjson, sse = _quality(accept, NDJSON.media_types), _quality(accept, SSE.media_types)
    return NDJSON.name if ndjson > sse else SSE.name


def accepts_event_stream_by_name(accept: str | None) -> bool:
    """Return True if `Accept` names text/event-stream, as an EventSource's does."""
    quality, precision = _quality(accept, SSE.media_types)
    return quality > 0 and precision == _BY_NAME


def _quality(accept: str | None, types: tuple[str, ...]) -> tuple[float, int]:
    """Return the quality of the most specific range that covers `types`, and how specific it is."""
    best = (-1, 0.0) if accept else (0, 1.0)
    for part in (accept or "").lower().split(","):
        name, *parameters = [each.strip() for each in part.split(";")]
        if name in types:
            precision = _BY_NAME
        elif name in {f"{each.partition('/')[0]}/*" for each in types}:
            precision = 1
        elif name == "*/*":
            precision = 0
        else:
            continue
        weight = next((each[2:] for each in parameters if each.startswith("q=")), "1")
        try:
            best = max(best, (precision, min(1.0, max(0.0, float(weight)))))
        except ValueError:
            continue
    return best[1], best[0]
