"""Streams kept in Redis or Valkey, by several machines: `RedisLog`.

Each call is one step of Redis, so what one machine was told is what every other one reads. All
calls of a process go over one connection, in a thread, and followers share another one: neither
grows with the number of streams. Records are Redis Streams with our own ids, so that Redis itself
refuses a producer whose generation is over. Leases and ages are counted by the clock of Redis.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any
from weakref import WeakSet

from ..errors import Fenced, FrameError, FrameTypeError, LogError, StreamInUse
from ..loops.waiting import Waiter
from .log import (
    LEASE,
    PAGE_RECORDS,
    RECORD_OVERHEAD,
    End,
    EventLog,
    Page,
    Position,
    Record,
    StopResult,
    checked_end,
    checked_limit,
    checked_seconds,
    checked_sizes,
    checked_stream,
    new_records,
    resume,
)
from .packing import batches, pack, take

try:
    import redis
    from redis.backoff import ExponentialBackoff
    from redis.retry import Retry
except ImportError as error:
    raise ImportError("RedisLog needs redis-py: pip install 'gaistream[redis]'") from error

from .redis_follow import FollowThread
from .redis_scripts import BEGIN, CLOSE, EXPIRE, READ, STOP, WAKE, Script
from .redis_thread import CONNECTING, Append, Batch, Call, CallThread

_EXPIRED = Page("expired", "", 0, 1, (), 1, 0, None, False, None, 0)
_MOST_KEYS = 10_000
_MOST_SEQ = 2**53 - 1  # that Lua's numbers hold


class RedisLog(EventLog):
    """A log in Redis 5 or newer, or Valkey, for any number of machines. It survives a fork.

    What was acknowledged survives the end of any process but Redis; that and a fail-over are
    survived as Redis is configured (`appendfsync`, replicas). What is lost then is reported: as a
    gap or as expired to readers, by Fenced to the producer.

    Args:
        server: a URL (`redis://`, `rediss://`, `unix://`), or a client of redis-py (not of
            `redis.asyncio`): `redis.Redis`, `redis.RedisCluster`, or `Sentinel.master_for(…)`.
        prefix: of all keys and channels.
        max_events: records that a stream keeps; the oldest are trimmed, in batches.
        max_bytes: bytes that a stream keeps, with 160 bytes a record beside its texts.
        max_age: seconds that a stream is kept after its end. Redis itself drops it then.
        timeout: seconds to wait for a connection and for replies, if `server` is a URL.

    Raises:
        FrameError: a bound is not positive, or the client decodes its replies.
        LogError: (by every call) Redis cannot be used: `reason` says why.
    """

    def __init__(
        self,
        server: str | redis.Redis | redis.RedisCluster,
        *,
        prefix: str = "gaistream:",
        max_events: int = 100_000,
        max_bytes: int = 16 * 2**20,
        max_age: float = 3600.0,
        timeout: float = 5.0,
    ) -> None:
        if not isinstance(prefix, str):
            raise FrameTypeError(f"prefix must be str, not {type(prefix).__name__}")
        if "{" in prefix:
            raise FrameError(f"prefix must have no brace, which begins a hash tag: {prefix!r}")
        self._prefix = prefix
        self._max_events = checked_limit(max_events, 1, "max_events")
        self._max_bytes = checked_limit(max_bytes, RECORD_OVERHEAD, "max_bytes")
        self._max_age = b"%d" % max(1, checked_seconds("max_age", max_age) * 1000)
        self._bounds = (self._max_age, b"%d" % max_events, b"%d" % max_bytes)
        self._known_keys: dict[str, tuple[bytes, bytes, bytes]] = {}
        self._own = isinstance(server, str)
        self._client = _client(server, checked_seconds("timeout", timeout))
        plain = isinstance(self._client, redis.RedisCluster)
        self._calls = CallThread(self._client, plain=plain)
        self._follows = FollowThread(self._client, prefix=prefix, wake=self._wake)
        _all.add(self)

    async def begin(self, stream: str, *, lease: float = LEASE, replace: bool = False) -> int:
        milliseconds = checked_seconds("lease", lease) * 1000
        reply = await self._run(
            BEGIN,
            stream,
            b"%.0f" % max(milliseconds, 1),
            b"%d" % bool(replace),
            b"%d" % (time.time_ns() // 1_000_000),
        )
        if reply[0] == -1:
            raise StreamInUse(f"the stream {stream!r} has a producer that is alive")
        return int(reply[0])

    async def append(
        self, stream: str, epoch: int, first_seq: int, records: Sequence[Record]
    ) -> bool:
        sizes = checked_sizes(records, self._max_bytes)
        keys = self._keys(stream)
        while True:
            packed: list[Batch] = []
            if records:
                parts = batches(records, sizes, self._max_events, self._max_bytes)
                packed = [(len(part), size, pack(part)) for part, size in parts]
            reply = await self._reply(Append(keys, self._bounds, b"%d" % epoch, first_seq, packed))
            if reply[0] != -4:
                break
            records = new_records(first_seq, reply[1], records)  # Redis has the others
            sizes = sizes[len(sizes) - len(records) :]
            first_seq = reply[1] + 1
        _check_alive(reply, stream, epoch)
        if not packed:
            new_records(first_seq, reply[0], records)
        return bool(reply[1])

    async def close(self, stream: str, epoch: int, end: End) -> None:
        kind, message = checked_end(end)
        text = message.encode("utf-8", "surrogatepass")
        reply = await self._run(CLOSE, stream, b"%d" % epoch, kind.encode(), text)
        _check_alive(reply, stream, epoch)

    async def stop(self, stream: str, epoch: int | None = None) -> StopResult:
        reply = await self._run(STOP, stream, b"" if epoch is None else b"%d" % epoch)
        result: StopResult = reply.decode()
        return result

    async def wait_for_stop(self, stream: str, epoch: int, timeout: float | None = None) -> bool:
        _, _, orders = self._keys(stream)
        ends = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._follows.waiting(orders) as waiter:
                page = await self.read(stream, limit=0)
                if page.epoch != epoch or page.stopping or page.lease_left is None:
                    return True
                left = None if ends is None else ends - time.monotonic()
                if left is not None and left <= 0:
                    return False
                await waiter.wait(page.lease_left if left is None else min(left, page.lease_left))

    async def read(
        self, stream: str, after: Position | str | None = None, limit: int = PAGE_RECORDS
    ) -> Page:
        place = Position.parse(after) if isinstance(after, str) else after
        epoch, seq = (b"", 0) if place is None else (b"%d" % place.epoch, place.seq)
        if place is None and after is not None:
            epoch = b"-"  # an invalid id: of no generation
        seq_sent = b"%d" % (seq if 0 <= seq < _MOST_SEQ else _MOST_SEQ)
        size = b"%d" % min(checked_limit(limit), _MOST_SEQ)
        reply = await self._run(READ, stream, epoch, seq_sent, size)
        return _page(reply, after, limit) if reply else _EXPIRED

    async def wait(self, stream: str, page: Page, timeout: float | None = None) -> bool:
        records, _, _ = self._keys(stream)
        ends = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._follows.waiting(records) as waiter:
                if (await self.read(stream, limit=0)).version != page.version:
                    return True
                left = None if ends is None else ends - time.monotonic()
                if left is not None and left <= 0:
                    return False
                await waiter.wait(left)

    async def expire(self, stream: str | None = None) -> int:
        """Drop a stream, and return 1 if there was one. Redis drops the old ones by itself."""
        if stream is None:
            return 0
        return int(await self._run(EXPIRE, stream))

    async def aclose(self) -> None:
        for thread in (self._follows, self._calls):
            waiter = Waiter()
            thread.close(waiter)
            await waiter.wait()
        if self._own:
            self._client.close()

    def _keys(self, stream: str) -> tuple[bytes, bytes, bytes]:
        try:
            return self._known_keys[stream]
        except (KeyError, TypeError):
            keys = _keys(self._prefix, checked_stream(stream))
        if len(self._known_keys) >= _MOST_KEYS:
            self._known_keys.clear()
        self._known_keys[stream] = keys
        return keys

    async def _run(self, script: Script, stream: str, *arguments: bytes) -> Any:
        return await self._reply(Call(script, self._keys(stream), (self._max_age, *arguments)))

    async def _reply(self, call: Call) -> Any:
        self._calls.submit(call)
        await call.waiter.wait()
        if call.error is not None:
            raise call.error
        return call.reply

    def _wake(self, channel: bytes) -> None:
        self._calls.submit(Call(WAKE, (channel, channel, channel), ()))

    def _reset(self) -> None:
        self._calls.reset()
        self._follows.reset()


def _keys(prefix: str, stream: str) -> tuple[bytes, bytes, bytes]:
    """Return the keys of a stream. A hash tag ends at the first brace, so names have none."""
    name = stream.replace("%", "%25").replace("}", "%7D")
    key = f"{prefix}{{{name}}}:".encode()
    return key + b"s", key + b"m", key + b"o"


def _client(server: Any, timeout: float) -> Any:
    if isinstance(server, str):
        try:
            return redis.Redis.from_url(
                server,
                socket_timeout=timeout,
                socket_connect_timeout=timeout,
                health_check_interval=10,
                retry=Retry(ExponentialBackoff(cap=0.2, base=0.05), 2),
            )
        except ValueError as error:
            raise FrameError(f"server must be a URL of Redis: {error}") from None
    if not isinstance(server, redis.Redis | redis.RedisCluster):
        raise FrameTypeError(
            "server must be a URL or a client of redis-py (redis.Redis, redis.RedisCluster), "
            f"not {type(server).__module__}.{type(server).__name__}"
        )
    if server.get_encoder().decode_responses:
        raise FrameError("server must be a client with decode_responses=False: records are bytes")
    return server


def _check_alive(reply: list[Any], stream: str, epoch: int) -> None:
    """Raise Fenced if a generation is over."""
    if reply[0] == -2:
        reason = f"was begun anew as {reply[1].decode()}" if reply[1] else "has expired"
    elif reply[0] == -3:
        reason = f"has ended: {reply[1].decode()}"
    elif reply[0] == -5:
        reason = f"has lost records after {reply[1]}, which Redis had acknowledged"
    else:
        return
    raise Fenced(f"the stream {stream!r} of {epoch} {reason}")


def _page(reply: list[Any], after: Position | str | None, limit: int) -> Page:
    """Return a page from what the script of `read` has replied."""
    epoch, newest, oldest, kind, message, stopping, left, *entries = reply
    epoch = int(epoch)
    end = End(kind.decode(), message.decode("utf-8", "surrogatepass")) if kind else None
    outcome, reason, seq = resume(after, epoch, oldest, newest, end is not None)
    firsts, packed = entries[::2], entries[1::2]
    if firsts and firsts[0] > seq:  # a batch was deleted by somebody else
        outcome, reason, seq = "gap", "trimmed", firsts[0]
    try:
        records = take([(f, len(p), p) for f, p in zip(firsts, packed, strict=True)], seq, limit)
    except ValueError as error:
        raise LogError(f"the log in Redis: {error}", "corrupt") from None
    return Page(
        outcome,
        reason,
        epoch,
        seq,
        records,
        oldest,
        newest,
        end if seq + len(records) > newest else None,
        bool(stopping),
        None if end is not None else left / 1000,
        (epoch << 64) + (newest << 2) + (stopping << 1) + (end is not None),
    )


_all: WeakSet[RedisLog] = WeakSet()


def _in_child() -> None:
    CONNECTING.release()
    for log in list(_all):
        log._reset()


if hasattr(os, "register_at_fork"):  # a thread within redis-py's pool would leave it locked
    os.register_at_fork(
        before=CONNECTING.acquire, after_in_parent=CONNECTING.release, after_in_child=_in_child
    )
