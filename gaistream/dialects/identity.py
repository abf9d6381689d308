"""Ids and times that a writer makes up: random and current, or the same at each replay of a stream.

A stream that is kept is written anew for each of its readers, and must then have the same bytes.
So writers call `new_hex` and `unix_time`. Within `Identity.used()` both depend only on the identity
and on how often they were called.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Final


class Identity:
    """The ids and times of one stream that is replayed. Belongs to one task.

    Args:
        seed: names the stream and its generation.

    Attributes:
        now: Unix seconds of the item that is written.
    """

    __slots__ = ("_count", "_seed", "now")

    def __init__(self, seed: str) -> None:
        self._seed = seed.encode("utf-8", "surrogatepass")
        self._count = 0
        self.now = 0.0

    def new_hex(self) -> str:
        """Return the next id, of 32 digits. The seed cannot be found from it."""
        from hashlib import blake2b

        self._count += 1
        name = b"%d %b" % (self._count, self._seed)
        return blake2b(name, digest_size=16, person=b"gaistream").hexdigest()

    def time(self) -> float:
        """Return the time of the item that is written, in Unix seconds."""
        return self.now

    @contextlib.contextmanager
    def used(self) -> Iterator[None]:
        """Use this identity in the writers that are called in this block."""
        token = _used.set(self)
        try:
            yield
        finally:
            _used.reset(token)


_used: Final[ContextVar[Identity | None]] = ContextVar("gaistream_identity", default=None)


def new_hex() -> str:
    """Return 32 hexadecimal digits that nobody else has."""
    identity = _used.get()
    return os.urandom(16).hex() if identity is None else identity.new_hex()


def clock() -> Callable[[], float]:
    """Return what `unix_time` would call: quicker for a writer that needs the time often."""
    identity = _used.get()
    return time.time if identity is None else identity.time


def unix_time() -> float:
    """Return the time of the item that is written, in Unix seconds."""
    identity = _used.get()
    return time.time() if identity is None else identity.now
