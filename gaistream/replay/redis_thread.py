"""The thread of a `RedisLog`: all calls of a process in groups, over one connection.

In each turn the thread sends all pending calls together and takes their replies; calls that come
meanwhile wait for the next turn. So many producers share a round trip, and none waits for a timer.
The first append of a generation is a script, which tells how long and how much may be appended
without it: until then a batch is a plain XADD, which Redis refuses if the generation is over or
is to stop, and a PUBLISH for followers. Their bytes are made here; redis-py
connects, sends, and parses the replies. On a Cluster all calls are scripts in redis-py's pipeline.

The thread starts with the first call. It ends when the log is closed, and after ten idle seconds.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

import redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from ..errors import LogError
from ..loops.waiting import Waiter, wake_all
from .redis_scripts import APPEND, LEASE_SLACK, Script

IDLE: Final = 10.0  # seconds without calls after which the thread ends
THREAD_NAME: Final = "gaistream-log"
_CHECK: Final = 1.0  # idle seconds after which the connection is checked
_MOST_CALLS: Final = 10_000  # of a turn
_REASONS: Final = {  # by a word in the reply of Redis
    "OOM ": "full",
    "READONLY ": "read_only",
    "WRONGTYPE ": "corrupt",
    "NOAUTH ": "denied",
    "NOPERM ": "denied",
    "permission": "denied",  # these two are within a script
    "can't": "denied",
    "script": "corrupt",  # a script failed at what it has read
}
_TYPES: Final = (  # of redis-py, whose texts have no such word
    (redis.OutOfMemoryError, "full"),
    (redis.ReadOnlyError, "read_only"),
    (redis.AuthenticationError, "denied"),
    (redis.exceptions.NoPermissionError, "denied"),
    (redis.ConnectionError, "unavailable"),
    (redis.TimeoutError, "unavailable"),
)

CONNECTING: Final = threading.Lock()  # held while a pool is used, and over a fork

Batch = tuple[int, int, bytes]  # number of records, size that they count, packed records


def log_error(error: Exception) -> LogError:
    """Return the LogError for an error of redis-py or of Redis."""
    text = f"{error}"
    reasons = [reason for kind, reason in _TYPES if isinstance(error, kind)]
    reasons += [reason for word, reason in _REASONS.items() if word in text]
    return LogError(
        f"the log in Redis: {text or type(error).__name__}", [*reasons, "unavailable"][0]
    )


class Call:
    """One call of a script, and its reply or error once its waiter is woken."""

    __slots__ = ("arguments", "error", "keys", "reply", "script", "waiter")

    def __init__(
        self, script: Script, keys: tuple[bytes, bytes, bytes], arguments: Sequence[bytes]
    ) -> None:
        self.script = script
        self.keys = keys
        self.arguments = arguments
        self.waiter = Waiter()
        self.reply: Any = None
        self.error: BaseException | None = None

    def command(self, *, whole: bool = False) -> tuple[Any, ...]:
        name, script = ("EVAL", self.script.text) if whole else ("EVALSHA", self.script.digest)
        return (name, script, 3, *self.keys, *self.arguments)


class Append(Call):
    """An append, of which no script may be needed."""

    __slots__ = ("batches", "epoch", "first_seq")

    def __init__(
        self,
        keys: tuple[bytes, bytes, bytes],
        bounds: Sequence[bytes],
        epoch: bytes,
        first_seq: int,
        batches: list[Batch],
    ) -> None:
        super().__init__(APPEND, keys, bounds)
        self.epoch = epoch
        self.first_seq = first_seq
        self.batches = batches

    def command(self, *, whole: bool = False) -> tuple[Any, ...]:
        command = [*super().command(whole=whole), self.epoch, self.first_seq]
        for batch in self.batches:
            command += batch
        return tuple(command)


class _Producing:
    """What may be appended to a generation without a script."""

    __slots__ = ("bytes", "epoch", "head", "lost", "newest", "room", "room_bytes", "tail", "until")

    def __init__(self, epoch: bytes, keys: tuple[bytes, bytes, bytes]) -> None:
        self.epoch = epoch
        self.newest = 0
        self.until = 0.0
        self.lost = 0.0
        key = b"$%d\r\n%b\r\n" % (len(keys[0]), keys[0])
        self.head = b"*6\r\n$4\r\nXADD\r\n" + key + b"$10\r\nNOMKSTREAM\r\n"
        self.tail = b"\r\n*3\r\n$7\r\nPUBLISH\r\n" + key + b"$0\r\n\r\n"

    def takes(self, call: Append, now: float) -> bool:
        """Return True if an append needs no script."""
        if now >= self.until or call.first_seq != self.newest + 1 or len(call.batches) != 1:
            return False
        count, size, _ = call.batches[0]
        return call.epoch == self.epoch and count <= self.room and size <= self.room_bytes

    def commands(self, call: Append) -> tuple[bytes, bytes, bytes]:
        """Return the bytes of an append without a script: two commands."""
        count, size, packed = call.batches[0]
        id = b"%b-%d" % (self.epoch, self.newest + count)
        total = b"%d" % (self.bytes + size)
        head = b"%b$%d\r\n%b\r\n$%d\r\n%b\r\n$%d\r\n" % (
            self.head, len(id), id, len(total), total, len(packed)
        )  # fmt: skip
        return head, packed, self.tail

    def kept(self, call: Append) -> None:
        """Note that Redis has kept an append."""
        count, size, _ = call.batches[0]
        self.newest += count
        self.bytes += size
        self.room -= count
        self.room_bytes -= size
        call.reply = [self.newest, 0]

    def grant(self, reply: list[int], started: float) -> None:
        """Note what the script has answered to an append that was sent at `started`."""
        self.newest, stopping, lease, self.bytes, self.room, self.room_bytes = reply
        self.lost = started + lease / 1000 * 2
        self.until = started + lease / 1000 / LEASE_SLACK if not stopping else 0.0


class CallThread:
    """Runs the calls of one log. Thread-safe; a forked process starts its own."""

    def __init__(self, client: Any, *, plain: bool) -> None:
        self._client = client
        self._plain = plain  # a Cluster: scripts only, in redis-py's pipeline
        self._closed = False
        self.reset()

    def reset(self) -> None:
        """Forget all calls, as in a forked process."""
        self._ready = threading.Condition(threading.Lock())
        self._thread: threading.Thread | None = None
        self._calls: list[Call] = []
        self._connection: Any = None
        self._used = 0.0  # when the connection was
        self._scripts_only = self._plain
        self._producing: dict[bytes, _Producing] = {}
        self._most_producing = 1024
        self._closing: list[Waiter] = []

    def submit(self, call: Call) -> None:
        """Run a call, in its turn."""
        with self._ready:
            if self._closed:
                raise LogError("the log in Redis is closed", "closed")
            self._calls.append(call)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=THREAD_NAME, daemon=True)
                self._thread.start()
            elif len(self._calls) == 1:
                self._ready.notify()

    def close(self, waiter: Waiter) -> None:
        """Refuse further calls, and wake `waiter` once the pending ones are done."""
        with self._ready:
            self._closed = True
            if self._thread is None:
                waiter.wake()
                return
            self._closing.append(waiter)
            self._ready.notify()

    # ---- in the thread ----

    def _run(self) -> None:
        try:
            while calls := self._next():
                try:
                    self._turn(calls)
                except (RedisError, OSError) as error:
                    self._fail(calls, log_error(error))
                except BaseException as error:
                    self._fail(calls, error)
                    raise
        finally:
            self._release()
            with self._ready:
                if self._thread is threading.current_thread():
                    self._thread = None
                closing, self._closing = self._closing, []
            wake_all(closing)

    def _next(self) -> list[Call]:
        """Return the pending calls; none if the thread has to end."""
        with self._ready:
            while not self._calls and not self._closed:
                if not self._ready.wait(IDLE) and not self._calls:
                    break
            calls, self._calls = self._calls[:_MOST_CALLS], self._calls[_MOST_CALLS:]
            if not calls and not self._closed:
                self._thread = None
            return calls

    def _turn(self, calls: list[Call]) -> None:
        """Send the calls together; those that need a script after all, a second time."""
        started = time.monotonic()
        with self._connected():
            group = calls if self._scripts_only else self._add_all(calls, started)
            if group:
                replies = self._exchange([call.command() for call in group])
                unknown = [i for i, each in enumerate(replies) if isinstance(each, NoScriptError)]
                if unknown:  # to a server that was just started
                    whole = self._exchange([group[index].command(whole=True) for index in unknown])
                    for index, reply in zip(unknown, whole, strict=True):
                        replies[index] = reply
                for call, reply in zip(group, replies, strict=True):
                    self._answer(call, reply, started)
        wake_all(call.waiter for call in calls)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[None]:
        """Take the connection. What was granted over another one is void: so is its server."""
        if self._plain:
            yield
            return
        now = time.monotonic()
        if now - self._used > _CHECK:  # the server may have closed it meanwhile
            self._release()
        try:
            if self._connection is None:
                with CONNECTING:
                    self._connection = self._client.connection_pool.get_connection()
                self._revoke()
            self._used = now
            yield
        except BaseException:
            if self._connection is not None:
                self._connection.disconnect()
            self._release()
            raise

    def _release(self) -> None:
        """Return the connection to its pool."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with CONNECTING:
                self._client.connection_pool.release(connection)

    def _revoke(self) -> None:
        """Send the next append of each generation by a script, which knows what was kept."""
        for state in self._producing.values():
            state.until = 0.0

    def _answer(self, call: Call, reply: Any, started: float) -> None:
        call.reply = reply
        if isinstance(reply, Exception):
            call.error = log_error(reply)
        elif type(call) is Append:
            key = call.keys[0]
            state = self._producing.get(key)
            if state is None or state.epoch != call.epoch:
                self._forget_lost()
                state = self._producing[key] = _Producing(call.epoch, call.keys)
            if len(reply) == 6:
                state.grant(reply, started)
            elif reply[0] == -4 and reply[1] < state.newest:
                call.reply = [-5, reply[1]]
            elif reply[0] in (-2, -3):
                del self._producing[key]

    def _add_all(self, calls: list[Call], now: float) -> list[Call]:
        """Append what needs no script, with plain commands. Return the other calls."""
        others: list[Call] = []
        added: list[tuple[Append, _Producing]] = []
        parts: list[bytes] = []
        seen: set[bytes] = set()  # two appends of a stream: the first may fail
        for call in calls:
            key = call.keys[0]
            state = self._producing.get(key)
            if (
                state is not None
                and type(call) is Append
                and key not in seen
                and state.takes(call, now)
            ):
                parts += state.commands(call)
                added.append((call, state))
            else:
                others.append(call)
            seen.add(key)
        if not added:
            return others
        replies = self._send(b"".join(parts), 2 * len(added))
        refused: list[Call] = []
        for (call, state), reply in zip(added, replies[::2], strict=True):
            if type(reply) is bytes:
                state.kept(call)
            else:
                if isinstance(reply, Exception) and "Invalid stream ID" in str(reply):
                    self._scripts_only = True  # before Redis 6.2, which knows no NOMKSTREAM
                state.until = 0.0
                refused.append(call)
        return refused + others  # a script tells why

    def _exchange(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        """Return the replies of commands; errors that Redis has replied are among them."""
        if not self._plain:
            return self._send(b"".join(pack_command(*each) for each in commands), len(commands))
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        replies: list[Any] = pipeline.execute(raise_on_error=False)
        for reply in replies:
            if isinstance(reply, redis.ConnectionError | redis.TimeoutError):
                raise reply
        return replies

    def _send(self, packed: bytes, count: int) -> list[Any]:
        self._connection.send_packed_command([packed], check_health=False)
        read = self._connection.read_response
        replies: list[Any] = []
        for _ in range(count):
            try:
                replies.append(read(disable_decoding=True))
            except ResponseError as error:
                replies.append(error)
        return replies

    def _forget_lost(self) -> None:
        """Drop what is known of generations whose leases have run out, once there are many."""
        if len(self._producing) < self._most_producing:
            return
        now = time.monotonic()
        alive = {key: state for key, state in self._producing.items() if state.lost > now}
        self._producing = alive
        self._most_producing = max(1024, 2 * len(alive))

    def _fail(self, calls: list[Call], error: BaseException) -> None:
        self._revoke()
        for call in calls:
            call.error = call.error or error
        wake_all(call.waiter for call in calls)


def pack_command(*words: bytes | int | str) -> bytes:
    """Return a command in Redis's protocol."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode()
        parts += (b"$%d\r\n" % len(data), data, b"\r\n")
    return b"".join(parts)
