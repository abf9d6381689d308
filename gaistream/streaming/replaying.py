"""Kept records as the frames of a dialect, each with the id at which a client can resume.

`ReplayDialect` wraps the dialect of a stream. Its writer runs the dialect's own encoder over the
records, so a replay has the same bytes as the live stream: ids and times that a dialect makes up
depend only on the stream, its generation and its records.

The last frame of a record has the record's id, `<epoch>-<seq>`. If a record makes several frames,
those before are after `<epoch>-<seq - 1>`, with the number of the frame: `<epoch>-<seq - 1>.1`. In
NDJSON a line that is an object begins with the id, under the key `last_event_id`. A protocol of
plain text has no ids.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final, NamedTuple

from ..dialects import AnyDialect, create_writer, find_writable
from ..dialects.base import Dialect, DialectWriter
from ..dialects.identity import Identity
from ..events import Error
from ..replay import Position, Record
from ..writing.formats import FORMATS
from ..writing.options import NDJSONOptions, SSEOptions
from .records import End, from_record

GAP: Final = "gaistream.gap"
ID_KEY: Final = "last_event_id"  # of lines of NDJSON; the name of the query's parameter too
STATELESS: Final = ("gai", "json", "raw")  # dialects whose frames depend on no earlier event
Mark = Callable[[bytes, bytes], bytes]
_ID: Final = re.compile(r"([0-9]{1,18}-[0-9]{1,18})(?:\.([1-9][0-9]{0,5}))?", re.ASCII)


class Place(NamedTuple):
    """Where a client stands: after a record, and so many frames of the next one."""

    position: Position
    frames: int = 0

    @classmethod
    def parse(cls, id: str) -> Place | None:
        """Return the place of an id that a client sent; None if no stream has written it."""
        found = _ID.fullmatch(id)
        position = found and Position.parse(found[1])
        if found is None or position is None:
            return None
        return cls(position, int(found[2] or 0))


class Kept(NamedTuple):
    """A record of a stream, as an item."""

    epoch: int
    seq: int
    record: Record


class Gap(NamedTuple):
    """Missing records, as an item.

    Attributes:
        requested: the id that the client sent, or the position up to which records were sent.
        reason: see `gaistream.replay.Page`.
        epoch: the generation that follows.
        oldest, newest: seqs of the records that are kept.
    """

    requested: str | None
    reason: str
    epoch: int
    oldest: int
    newest: int

    @property
    def fields(self) -> dict[str, Any]:
        """The data of the event that tells the client."""
        return {
            "requested": self.requested,
            "oldest": f"{self.epoch}-{self.oldest}",
            "newest": f"{self.epoch}-{self.newest}",
            "reason": self.reason,
        }


class ReplayDialect(Dialect):
    """The dialect of a stream's records.

    Args:
        dialect: in which they are written.
        options: of the encoder.
        stream: the id of the stream.
        after: where the client stands: frames up to there are not written.
    """

    name = "replay"
    writes = ("sse", "ndjson")

    def __init__(
        self,
        dialect: AnyDialect,
        options: SSEOptions | NDJSONOptions | None,
        stream: str,
        after: Place | None = None,
    ) -> None:
        if isinstance(options, SSEOptions):
            options = replace(options, include_id=False)
        self._dialect = dialect
        self._options = options
        self._stream = stream
        self._after = after

    def writer(self, format: str, *, retry: int | None = None, **_: Any) -> DialectWriter:
        def make(epoch: int) -> tuple[Identity, Any]:
            identity = Identity(f"{self._stream}\0{epoch}")
            with identity.used():
                encoder: Any = FORMATS[format].encoder(self._options, dialect=self._dialect)
            encoder.join_halves()
            return identity, encoder

        mark: Mark = _block_with_id
        if format == "ndjson":
            spaced = isinstance(self._options, NDJSONOptions) and not self._options.compact_json
            mark = partial(_line_with_id, gap=b" " if spaced else b"")
            if (find_writable(self._dialect, format).media_type or "").startswith("text/plain"):
                mark = _without_id
        model = create_writer(self._dialect, format)
        return _ReplayWriter(make, model, mark, format == "sse", retry, self._after)


class _ReplayWriter(DialectWriter):
    """Writes records for one client."""

    def __init__(
        self,
        make: Callable[[int], tuple[Identity, Any]],
        model: DialectWriter,
        mark: Mark,
        is_sse: bool,
        retry: int | None,
        after: Place | None,
    ) -> None:
        self.default_heartbeat = model.default_heartbeat
        self.drain_is_error = model.drain_is_error
        self._make = make
        self._mark = mark
        self._is_sse = is_sse
        self._retry = retry
        self._after = after
        self._epoch: int | None = None
        self._begin(0)

    def _begin(self, epoch: int) -> None:
        self._epoch = epoch
        self._identity, self._encoder = self._make(epoch)

    def write(self, encoder: Any, item: Any) -> None:
        if type(item) is Gap:
            self._write_gap(encoder, item)
        else:
            frames = self._frames_of(*item)
            if frames:
                encoder.write_ready(frames)
            encoder.failed, encoder.ended = self._encoder.failed, self._encoder.ended

    def _write_gap(self, encoder: Any, gap: Gap) -> None:
        self._begin(0)  # what the writer knows of the records before is not true any more
        self._after = None
        id = f"{gap.epoch}-{gap.oldest - 1}"
        if self._is_sse:
            encoder.write_frame(None, GAP, id=id, json=gap.fields)
        else:
            encoder.write_line({ID_KEY: id, "type": GAP, **gap.fields})

    def _frames_of(self, epoch: int, seq: int, record: Record) -> bytes:
        if epoch != self._epoch:
            self._begin(epoch)
        identity, encoder = self._identity, self._encoder
        identity.now, item = from_record(record)
        with identity.used():
            if type(item) is not End:
                encoder.write(item)
            elif item.error is not None:
                if not encoder.ended:
                    encoder.fail(item.error)
            else:
                encoder.end()
                encoder.ended = True
        frames: bytes = encoder.take()
        skipped, after = 0, self._after
        if after is not None:
            if epoch != after.position.epoch or seq > after.position.seq + 1:
                self._after = None
            elif seq <= after.position.seq:
                return b""
            else:
                skipped = after.frames
        return self._with_ids(frames, epoch, seq, skipped) if frames else b""

    def _with_ids(self, frames: bytes, epoch: int, seq: int, skipped: int) -> bytes:
        """Return the frames of a record with their ids, without the first ones."""
        last = b"%d-%d" % (epoch, seq)
        parts = _blocks(frames) if self._is_sse else _lines(frames)
        mark = self._mark
        if len(parts) == 1:
            return mark(parts[0], last)
        before = b"%d-%d" % (epoch, seq - 1)
        count = sum(map(_takes_id, parts)) if self._is_sse else len(parts)
        number, marked = 0, []
        for part in parts:
            if not self._is_sse or _takes_id(part):
                number += 1
                part = mark(part, last if number == count else b"%b.%d" % (before, number))
            if number > min(skipped, count - 1):
                marked.append(part)
        return b"".join(marked)

    def fail(self, encoder: Any, error: Error) -> None:
        """Write the error of this response, without an id: the client may resume the stream."""
        with self._identity.used():
            self._encoder.fail(error)
        frames = self._encoder.take()
        if self._is_sse and self._retry is not None and b"retry: " not in frames:
            encoder.write_frame(retry=self._retry)
        encoder.write_ready(frames)

    def finish(self, encoder: Any) -> None:
        """Write nothing: the end is a record."""

    def heartbeat(self, encoder: Any) -> None:
        with self._identity.used():
            self._encoder.write_heartbeat()
        encoder.write_ready(self._encoder.take())


def _blocks(frames: bytes) -> list[bytes]:
    """Return the blocks of SSE, each with its blank line."""
    if b"\r" in frames:
        frames = frames.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    blocks = [block + b"\n\n" for block in frames.split(b"\n\n")]
    rest = blocks.pop()[:-2]
    return [*blocks, rest] if rest else blocks


def _lines(frames: bytes) -> list[bytes]:
    return frames.splitlines(keepends=True)


def _takes_id(block: bytes) -> bool:
    """Return True if a block is an event, not only comments and a reconnection time."""
    if block.startswith((b"data", b"event", b"id")):
        return True
    return any(
        line and not line.startswith((b":", b"retry:")) for line in block.rstrip(b"\n").split(b"\n")
    )


def _block_with_id(block: bytes, id: bytes) -> bytes:
    """Return a block with this id, in place of its own."""
    if not _takes_id(block):
        return block
    if block.startswith(b"id") or b"\nid" in block:
        lines = block.split(b"\n")
        block = b"\n".join(line for line in lines if line.partition(b":")[0] != b"id")
    return b"id: %b\n%b" % (id, block)


def _without_id(line: bytes, _: bytes) -> bytes:
    return line


def _line_with_id(line: bytes, id: bytes, gap: bytes = b"") -> bytes:
    """Return a line with this id, if it is an object; `gap` stands after each mark."""
    if not line.startswith(b"{"):
        return line
    rest = line[1:]
    comma = b"" if rest.startswith(b"}") else b"," + gap
    return b'{"%b":%b"%b"%b%b' % (ID_KEY.encode(), gap, id, comma, rest)
