"""The records of a kept stream as a source: first those that are kept, then new ones.

A stream that a follower's response reads has no other source: whoever began it follows it too. So
the live stream and a replay are one way, and nothing is sent that is not kept.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Final

from .._log import log as logger
from ..dialects.base import error_event
from ..errors import LogError, StreamError
from ..events import Error
from ..replay import End as LogEnd
from ..replay import EventLog, Position, Record
from .receiver import interrupted
from .recorder import KeptProducer
from .records import End, to_record
from .replaying import Gap, Kept

TERMINAL: Final = ("end", "done")  # kinds of the last record of a source
_ENDS: Final = {
    "producer_lost": "its producer was lost",
    "drained": "the server was stopped",
    "cancelled": "the server cancelled it",
    "stopped": "it was stopped",
}


async def follow(
    log: EventLog,
    stream: str,
    start: Position | None = None,
    gap: Gap | None = None,
    producer: KeptProducer | None = None,
) -> AsyncGenerator[Any, None]:
    """Yield the records of a stream after a position, and gaps, until the generation ends.

    Args:
        log: the log.
        stream: its id.
        start: the position; None: the first record that is kept.
        gap: yielded first.
        producer: of this stream, if it was begun for this follower.

    Raises:
        StreamError: the log cannot be read, or the stream expired meanwhile.
    """
    if producer is not None and producer.failed_unsaid:
        assert producer.failure is not None
        raise producer.failure  # which gets a status
    said = gap is not None
    if gap is not None:
        yield gap
    requested: Position | None = start
    last: Record | None = None
    try:
        async for page in log.follow(stream, start):
            if page.outcome == "expired":
                raise StreamError("the stream has expired", code="expired", status=410)
            if page.outcome == "gap" and not said:
                at = None if requested is None else str(requested)
                yield Gap(at, page.reason, page.epoch, page.oldest, page.newest)
                last = None
            said = False
            seq = page.first
            for last in page.records:
                if seq == 1 and producer is not None:
                    _raise_first(last, producer)
                yield Kept(page.epoch, seq, last)
                seq += 1
            requested = page.position
            if page.end is not None and (last is None or last.event not in TERMINAL):
                yield Kept(page.epoch, seq, end_record(page.end, last))
    except LogError as error:
        raise unavailable(error) from error


def _raise_first(record: Record, producer: KeptProducer) -> None:
    """Raise the failure of a source that has yielded nothing: it may still get a status."""
    failure = producer.failure
    if record.event == "end" and failure is not None:
        error = error_event(failure)
        status = failure.status if isinstance(failure, StreamError) else 500
        raise StreamError(
            error.message, code=error.code or "error", status=status, retry_after=error.retry_after
        )


def end_record(end: LogEnd, last: Record | None) -> Record:
    """Return the last record of a generation whose producer has not written it.

    Args:
        end: how it ended.
        last: the last record, whose time is taken.
    """
    if end.kind == "completed":
        made = to_record(End())
    else:
        failure = interrupted(_ENDS.get(end.kind, end.message or "it failed"))
        made = to_record(End(Error(failure.message, failure.code)))
    if last is None:
        return made
    time = last.data.partition(b" ")[0]
    return made._replace(data=time + b" " + made.data.partition(b" ")[2])


def unavailable(error: LogError) -> StreamError:
    """Return, and log, the error of a response whose log cannot be used."""
    logger.warning("a kept stream cannot be served: %s", error)
    return StreamError(
        "the stream cannot be read now", code="log_unavailable", status=503, retry_after=1
    )
