"""A batch of records as bytes, for logs that store bytes: `batches`, `pack`, `unpack`, `take`.

    byte 0    1: no record has an id or a retry; 2: they may
    bytes 1-4 the number of records
    then      for each record the length of its data and of its event; of its id, and its retry
    then      all data, and all texts in UTF-8

Lengths of texts count characters, and -1 stands for None. Numbers are little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Final

from .log import PAGE_BYTES, Record, size_of

_HEAD: Final = struct.Struct("<BI")
_BATCH_RECORDS: Final = 128
_BATCH_BYTES: Final = 2**16


def pack(records: Sequence[Record]) -> bytes:
    """Return a batch of at least one record as bytes."""
    data, events, ids, retries = zip(*records, strict=True)
    count = len(records)
    sizes = struct.pack(f"<{count}I{count}i", *map(len, data), *_lengths(events))
    text = "".join(filter(None, events))
    kind = 1
    if ids.count(None) + retries.count(None) < 2 * count:
        kind = 2
        numbers = (-1 if retry is None else retry for retry in retries)
        sizes += struct.pack(f"<{count}i{count}q", *_lengths(ids), *numbers)
        text += "".join(filter(None, ids))
    return b"".join((_HEAD.pack(kind, count), sizes, *data, text.encode("utf-8", "surrogatepass")))


def unpack(packed: bytes) -> list[Record]:
    """Return the records of a batch.

    Raises:
        ValueError: the bytes are not a batch.
    """
    try:
        kind, count = _HEAD.unpack_from(packed)
        place = _HEAD.size
        numbers = struct.unpack_from(f"<{count}I{count}i", packed, place)
        place += 8 * count
        more: tuple[int, ...] = ()
        if kind == 2:
            more = struct.unpack_from(f"<{count}i{count}q", packed, place)
            place += 12 * count
        elif kind != 1:
            raise ValueError(f"a batch of the unknown kind {kind}")
    except struct.error as error:
        raise ValueError(f"a batch is cut: {error}") from None
    ends = list(accumulate(numbers[:count], initial=place))
    text = packed[ends[-1] :].decode("utf-8", "surrogatepass")
    event_lengths = numbers[count:]
    events = _texts(text, event_lengths)
    data = [packed[start:end] for start, end in pairwise(ends)]
    if kind == 1:
        return list(map(Record, data, events))
    start = sum(length for length in event_lengths if length > 0)
    ids = _texts(text[start:], more[:count])
    retries = [None if number < 0 else number for number in more[count:]]
    return list(map(Record, data, events, ids, retries))


def batches(
    records: Sequence[Record], sizes: list[int], max_events: int, max_bytes: int
) -> Iterator[tuple[Sequence[Record], int]]:
    """Yield the records in parts, each with its size: a trim of a bounded log drops whole parts."""
    most = max(1, min(_BATCH_RECORDS, max_events // 8))
    most_bytes = min(_BATCH_BYTES, max_bytes // 8)
    total = sum(sizes)
    if len(records) <= most and total <= most_bytes:
        yield records, total
        return
    start = size = 0
    for index, each in enumerate(sizes):
        full = index - start >= most or size + each > most_bytes
        if full and index > start:
            yield records[start:index], size
            start, size = index, 0
        size += each
    yield records[start:], size


def take(packed: Iterable[tuple[int, int, bytes]], seq: int, limit: int) -> list[Record]:
    """Return the records of a page from `seq` to a hole: at most `limit`, and about a mebibyte.

    Args:
        packed: for each batch the seq of its first record, the size that it counts, its bytes.

    Raises:
        ValueError: the bytes are not a batch.
    """
    records: list[Record] = []
    size = 0
    for first, bytes_, each in packed:
        if len(records) >= limit or first > seq + len(records):
            break
        batch = unpack(each)[max(seq + len(records) - first, 0) :][: limit - len(records)]
        if size + bytes_ <= PAGE_BYTES:
            records += batch
            size += bytes_
            continue
        for record in batch:
            size += size_of(record)
            if size > PAGE_BYTES and records:
                return records
            records.append(record)
    return records


def _lengths(texts: Iterable[str | None]) -> list[int]:
    return [-1 if text is None else len(text) for text in texts]


def _texts(text: str, lengths: Iterable[int]) -> list[str | None]:
    texts: list[str | None] = []
    place = 0
    for length in lengths:
        if length < 0:
            texts.append(None)
        else:
            texts.append(text[place : place + length])
            place += length
    return texts
