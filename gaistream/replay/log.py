"""What a log of kept streams is: records, positions, pages, and the protocol `EventLog`.

A log keeps the records of streams, so that a stream outlives its connection. It knows neither HTTP
nor dialects: a record holds an event in neutral bytes, from which every format and dialect can be
written. A stream has one generation at a time, named by its epoch; a record has a position,
`<epoch>-<seq>`, with seq from 1 without holes. So a missing record shows, to the server and to the
client, and a producer whose generation was replaced is refused (fenced).

Guarantees of every log, which `gaistream.testing.logs` checks: what was acknowledged is read, in
order and once; a page never skips records without `outcome` saying so; all methods may be awaited
on asyncio and on trio.
"""

from __future__ import annotations

import re
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from typing import Final, Literal, NamedTuple, Protocol

from ..errors import FrameError, FrameTypeError

PAGE_RECORDS: Final = 500
PAGE_BYTES: Final = 2**20
LEASE: Final = 15.0
STOP_SECONDS: Final = 60.0  # that a stop waits for its stream to begin
RECORD_OVERHEAD: Final = 160  # bytes that a record counts beside its texts: Python's objects
LONGEST_ID: Final = 64  # bytes
LONGEST_STREAM: Final = 512  # bytes

ResumeOutcome = Literal["complete", "gap", "expired", "ended"]
GapReason = Literal["", "trimmed", "restarted", "future", "invalid_id"]
EndKind = Literal["completed", "failed", "stopped", "cancelled", "drained", "producer_lost"]
StopResult = Literal["stopping", "pending", "ended", "unknown"]

_POSITION = re.compile(r"(0|[1-9][0-9]{0,17})-(0|[1-9][0-9]{0,17})", re.ASCII)
_END_KINDS: Final = ("completed", "failed", "stopped", "cancelled", "drained", "producer_lost")


class Record(NamedTuple):
    """One event, neutral of its encoding. A log stores all four fields and interprets none.

    Attributes:
        data: the payload, such as the event as JSON.
        event: its type, or None.
        id: an id of the application, or None. Positions are counted by the log in any case.
        retry: milliseconds, or None.
    """

    data: bytes
    event: str | None = None
    id: str | None = None
    retry: int | None = None


class Position(NamedTuple):
    """A place in a stream: after the record `seq` of the generation `epoch`; 0 is its beginning."""

    epoch: int
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.seq}"

    @classmethod
    def parse(cls, text: str | bytes) -> Position | None:
        """Return the position that a client sent; None for anything that no log has given out."""
        if len(text) > LONGEST_ID:
            return None
        if isinstance(text, bytes):
            text = text.decode("latin-1")
        found = _POSITION.fullmatch(text)
        return found and cls(int(found[1]), int(found[2]))


class End(NamedTuple):
    """How a generation ended.

    Attributes:
        kind: "completed", "failed" (the source raised), "stopped" (by `stop`), "cancelled" or
            "drained" (by the server), "producer_lost" (its lease ran out).
        message: a text for clients, or "".
    """

    kind: EndKind
    message: str = ""


class Page(NamedTuple):
    """Consecutive records of a stream, and whether any are missing since the reader's position.

    Attributes:
        outcome: "complete"; "ended" (complete too, and the generation has ended: there will be no
            more than what is kept); "gap" (the records begin at the oldest one that is kept, see
            `reason`); "expired" (the stream is not kept, or never was).
        reason: of a gap: "trimmed", "restarted" (the position is of another generation), "future"
            (it is beyond the newest record), "invalid_id"; else "".
        epoch: the generation; 0 if the stream has expired.
        first: seq of the first record of the page, or of the next one to come.
        records: at most as many as asked for, and about 1 MiB.
        oldest: seq of the oldest record that is kept; newest + 1 if there is none.
        newest: seq of the newest record; 0 if there was none yet.
        end: how the generation ended, once the page reaches its newest record; else None.
        stopping: True if the producer was asked to stop.
        lease_left: seconds until the producer counts as lost unless it renews its lease; None if
            the generation has ended.
        version: for `wait`.
    """

    outcome: ResumeOutcome
    reason: GapReason
    epoch: int
    first: int
    records: Sequence[Record]
    oldest: int
    newest: int
    end: End | None
    stopping: bool
    lease_left: float | None
    version: int

    @property
    def position(self) -> Position:
        """Return the position after the page, at which the next one begins."""
        return Position(self.epoch, self.first + len(self.records) - 1)

    @property
    def ids(self) -> list[str]:
        """Return the ids of the records."""
        return [f"{self.epoch}-{self.first + index}" for index in range(len(self.records))]


class EventLog(Protocol):
    """A log of kept streams. Subclass it for a log of your own: `follow` is then there.

    A producer calls `begin`, `append` for each batch, and `close`. A reader calls `follow`, or
    `read` and `wait`. Anybody may call `stop` and `expire`. Times are in seconds. Every method
    raises LogError if the store cannot be used, and FrameError for an argument that is wrong.
    """

    @abstractmethod
    async def begin(self, stream: str, *, lease: float = LEASE, replace: bool = False) -> int:
        """Begin a generation, and return its epoch: milliseconds of the clock, or the last one + 1.

        The records of the generation before are dropped.

        Args:
            stream: 1 to 512 bytes. Whoever knows it can read the stream.
            lease: seconds after the last `append` at which the producer counts as lost.
            replace: True to begin although another producer is alive, which is then fenced.

        Raises:
            StreamInUse: another producer is alive.
        """

    @abstractmethod
    async def append(
        self, stream: str, epoch: int, first_seq: int, records: Sequence[Record]
    ) -> bool:
        """Append a batch and renew the lease. Return True if the producer is asked to stop.

        An empty batch only renews the lease. When the call returns, the records are kept and the
        followers are woken. If it raises LogError or is cancelled, they may be kept or not: repeat
        it with the same `first_seq`, and records that are kept already are skipped.

        Args:
            first_seq: seq of the first record: 1, then one after the last record.

        Raises:
            Fenced: the generation has ended, was replaced, or has expired.
            FrameError: there are records missing before `first_seq`, or a record is too large.
        """

    @abstractmethod
    async def close(self, stream: str, epoch: int, end: End) -> None:
        """End a generation. Its records are kept until they expire. A second call has no effect.

        Raises:
            Fenced: the generation was replaced, has expired, or its producer was counted as lost.
        """

    @abstractmethod
    async def stop(self, stream: str, epoch: int | None = None) -> StopResult:
        """Ask the producer to stop: `append` and `wait_for_stop` then return True.

        Args:
            epoch: the generation to stop, if its id has been seen. None: the one that is alive;
                if there is none, the next one that begins within 60 seconds.

        Returns:
            "stopping"; "pending" (for the next one); "ended" (it has ended or was replaced);
            "unknown" (there has been no such generation).
        """

    @abstractmethod
    async def wait_for_stop(self, stream: str, epoch: int, timeout: float | None = None) -> bool:
        """Wait until the producer is asked to stop, or its generation is over in any way.

        Return False once `timeout` seconds have passed.
        """

    @abstractmethod
    async def read(
        self, stream: str, after: Position | str | None = None, limit: int = PAGE_RECORDS
    ) -> Page:
        """Return the records after a position, without waiting for any.

        Args:
            after: a position, or an id as a client sent it, which may be anything; None: from the
                first record.
            limit: number of records, from 0.
        """

    @abstractmethod
    async def wait(self, stream: str, page: Page, timeout: float | None = None) -> bool:
        """Wait until the stream has changed since `page`. Return False after `timeout` seconds."""

    @abstractmethod
    async def expire(self, stream: str | None = None) -> int:
        """Drop a stream, or all that are old enough. Return how many were dropped."""

    async def aclose(self) -> None:
        """Release what the log holds open. Waits end, and every later call raises LogError."""

    def follow(
        self, stream: str, after: Position | str | None = None, limit: int = PAGE_RECORDS
    ) -> AsyncIterator[Page]:
        """Return an iterator over the pages after a position, until the generation ends.

        The first page comes at once, and its outcome is that of the resume. A later page has the
        outcome "gap" or "expired" if records were dropped before this reader took them. The last
        page has its `end`, or is "expired". The iterator holds nothing open.
        """
        return Follower(self, stream, after, limit)


class Follower(AsyncIterator[Page]):
    """The pages of a stream, then each batch as it is appended. Belongs to one task or thread."""

    def __init__(
        self, log: EventLog, stream: str, after: Position | str | None, limit: int
    ) -> None:
        self._log = log
        self._stream = stream
        self._after = after
        self._limit = checked_limit(limit, least=1)
        self._page: Page | None = None

    async def __anext__(self) -> Page:
        last = self._page
        if last is not None and (last.end is not None or last.outcome == "expired"):
            raise StopAsyncIteration
        while True:
            page = await self._log.read(self._stream, self._after, self._limit)
            news = page.records or page.end is not None or page.outcome in ("gap", "expired")
            if last is None or news:
                break
            await self._log.wait(self._stream, page, page.lease_left)
        self._page = page
        self._after = page.position
        return page


def resume(
    after: Position | str | None, epoch: int, oldest: int, newest: int, ended: bool
) -> tuple[ResumeOutcome, GapReason, int]:
    """Return the outcome of a resume, the reason of a gap, and the seq of the first record."""
    if after is None:
        after = Position(epoch, 0)
    elif not isinstance(after, Position):
        parsed = Position.parse(after)
        if parsed is None:
            return "gap", "invalid_id", oldest
        after = parsed
    if after.epoch != epoch:
        return "gap", "restarted", oldest
    if not 0 <= after.seq <= newest:
        return "gap", "future", oldest
    if after.seq + 1 < oldest:
        return "gap", "trimmed", oldest
    return "ended" if ended else "complete", "", after.seq + 1


def next_epoch(last: int) -> int:
    """Return the epoch of a new generation, which a clock that was set back cannot make older."""
    return max(time.time_ns() // 1_000_000, last + 1)


def checked_stream(stream: str) -> str:
    """Return the name of a stream, or raise FrameError."""
    if not isinstance(stream, str):
        raise FrameTypeError(f"stream must be str, not {type(stream).__name__}")
    size = len(stream.encode("utf-8", "replace"))
    if not 1 <= size <= LONGEST_STREAM or "\0" in stream:
        raise FrameError(f"stream must have 1 to {LONGEST_STREAM} bytes and no NUL: it has {size}")
    try:
        stream.encode()
    except UnicodeEncodeError:
        raise FrameError("stream must be text that UTF-8 can encode") from None
    return stream


def checked_seconds(name: str, value: float, least: float = 0.0) -> float:
    """Return a number of seconds above `least`, or raise FrameError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FrameTypeError(f"{name} must be seconds, not {type(value).__name__}")
    if not least < value < 2**40:
        raise FrameError(f"{name} must be more than {least:g} seconds, not {value!r}")
    return float(value)


def checked_limit(limit: int, least: int = 0, name: str = "limit") -> int:
    """Return a number of things, or raise FrameError."""
    if type(limit) is not int:
        raise FrameTypeError(f"{name} must be int, not {type(limit).__name__}")
    if not least <= limit < 2**63:
        raise FrameError(f"{name} must be an int from {least}, not {limit}")
    return limit


def checked_end(end: End) -> End:
    """Return the end of a generation, or raise FrameError."""
    if not isinstance(end, End):
        raise FrameTypeError(f"end must be End, not {type(end).__name__}")
    if end.kind not in _END_KINDS:
        raise FrameError(f"the kind of an end must be one of {_END_KINDS}, not {end.kind!r}")
    if not isinstance(end.message, str):
        raise FrameTypeError(f"the message of an end must be str, not {type(end.message).__name__}")
    return end


def size_of(record: Record) -> int:
    """Return how many bytes a record counts."""
    texts = len(record.event or "") + len(record.id or "")
    return len(record.data) + texts + RECORD_OVERHEAD


def checked_sizes(records: Sequence[Record], most: int) -> list[int]:
    """Return the size of each record, or raise FrameError if one is wrong or exceeds `most`."""
    sizes = []
    for data, event, id, retry in records:
        if type(data) is not bytes:
            raise FrameTypeError(f"the data of a record must be bytes, not {type(data).__name__}")
        size = len(data) + RECORD_OVERHEAD
        if event is not None:
            size += len(event)
        if id is not None:
            size += len(id)
        if retry is not None:
            checked_limit(retry, name="retry")
        if size > most:
            raise FrameError(f"a record has {size} bytes, more than max_bytes={most} of its log")
        sizes.append(size)
    return sizes


def new_records(first_seq: int, newest: int, records: Sequence[Record]) -> Sequence[Record]:
    """Return the records that are not kept yet; raise FrameError if some are missing before."""
    if first_seq == newest + 1:
        return records
    if not 1 <= first_seq <= newest:
        raise FrameError(f"first_seq must be {newest + 1}, one after the newest, not {first_seq}")
    return records[newest + 1 - first_seq :]
