"""The thread of a `RedisLog`: all calls of a process in groups, over one connection.

In each turn the thread sends all pending calls together and takes their replies; calls that come
meanwhile wait for the next turn. So many producers share a round trip, and none waits for a timer.
The first append of a generation is a script, which tells how long and how much may be appended
without it: until then a batch is a plain XADD, which Redis refuses if the generation is over, an
EXISTS of an order to stop, and a PUBLISH for followers. Their bytes are made here; redis-py
connects, sends, and parses the replies. On a Cluster all calls are scripts in redis-py's pipeline.

The thread starts with the first call. It ends when the log is closed, and after ten idle seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any, Final

import redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from ..errors import LogError
from ..loops.waiting import Waiter, wake_all
from .redis_scripts import LEASE_SLACK, Script

IDLE: Final = 10.0  # seconds without calls after which the thread ends
THREAD_NAME: Final = "gaistream-log"
_MOST_CALLS: Final = 10_000  # of a turn
_MOST_BYTES: Final = 8 * 2**20
_REASONS: Final = {
    "OOM": "full",
    "READONLY": "read_only",
    "WRONGTYPE": "corrupt",
    "NOAUTH": "denied",
    "WRONGPASS": "denied",
    "NOPERM": "denied",
}

Batch = tuple[int, int, bytes]  # number of records, size that they count, packed records


def log_error(error: BaseException) -> LogError:
    """Return the LogError for an error of redis-py or of Redis."""
    if isinstance(error, LogError):
        return error
    text = str(error) or type(error).__name__
    words = f"{type(error).__name__} {text}"
    reason = next((_REASONS[each] for each in _REASONS if each in words), None)
    by_type = {
        redis.exceptions.OutOfMemoryError: "full",
        redis.exceptions.ReadOnlyError: "read_only",
        redis.exceptions.AuthenticationError: "denied",
        redis.exceptions.NoPermissionError: "denied",
    }
    for kind, its_reason in by_type.items():
        if isinstance(error, kind):
            reason = its_reason
    return LogError(f"the log in Redis: {text}", reason or "unavailable")


class Call:
    """One call of a script, and its reply or error once its waiter is woken."""

    __slots__ = ("append", "arguments", "error", "keys", "reply", "script", "waiter")

    def __init__(
        self,
        script: Script,
        keys: tuple[bytes, bytes, bytes],
        arguments: Sequence[bytes],
        append: tuple[bytes, int, list[Batch]] | None = None,
    ) -> None:
        self.script = script
        self.keys = keys
        self.arguments = arguments
        self.append = append  # epoch, first seq, batches
        self.waiter = Waiter()
        self.reply: Any = None
        self.error: BaseException | None = None

    def command(self, *, whole: bool = False) -> tuple[Any, ...]:
        name, script = ("EVAL", self.script.text) if whole else ("EVALSHA", self.script.digest)
        return (name, script, 3, *self.keys, *self.arguments)


class _Producing:
    """What may be appended to a generation without a script."""

    __slots__ = ("bytes", "epoch", "lease", "lost", "newest", "room", "room_bytes", "tail", "until")

    def __init__(self, epoch: bytes, keys: tuple[bytes, bytes, bytes]) -> None:
        self.epoch = epoch
        self.newest = 0
        self.until = 0.0
        self.tail = pack_command(b"EXISTS", keys[2]) + pack_command(b"PUBLISH", keys[0], b"")

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
        again = self._add_all(calls, started) if not self._plain else calls
        while again:
            group, again = again, []
            replies = self._exchange([call.command() for call in group])
            missing = [
                index for index, reply in enumerate(replies) if isinstance(reply, NoScriptError)
            ]
            if missing:  # a server that was just started
                whole = self._exchange([group[index].command(whole=True) for index in missing])
                for index, reply in zip(missing, whole, strict=True):
                    replies[index] = reply
            for call, reply in zip(group, replies, strict=True):
                self._answer(call, reply, started)
        wake_all(call.waiter for call in calls)

    def _answer(self, call: Call, reply: Any, started: float) -> None:
        call.reply = reply
        if isinstance(reply, BaseException):
            call.error = log_error(reply)
        elif call.append is not None:
            state = self._producing.get(call.keys[0])
            if state is None or state.epoch != call.append[0]:
                self._forget_lost()
                state = self._producing[call.keys[0]] = _Producing(call.append[0], call.keys)
            if len(reply) == 6:
                state.grant(reply, started)
            elif reply[0] == -4 and reply[1] < state.newest:
                call.reply = [-5, state.newest]
            elif reply[0] in (-2, -3):
                del self._producing[call.keys[0]]

    def _add_all(self, calls: list[Call], now: float) -> list[Call]:
        """Append what needs no script, with plain commands. Return the other calls."""
        others: list[Call] = []
        added: list[tuple[Call, _Producing]] = []
        parts: list[bytes] = []
        seen: set[bytes] = set()
        for call in calls:
            state = self._producing.get(call.keys[0])
            if state is None or call.append is None or now >= state.until or call.keys[0] in seen:
                others.append(call)
            else:
                epoch, first_seq, batches = call.append
                if (
                    len(batches) != 1
                    or first_seq != state.newest + 1
                    or epoch != state.epoch
                    or batches[0][0] > state.room
                    or batches[0][1] > state.room_bytes
                ):
                    others.append(call)
                else:
                    count, size, packed = batches[0]
                    id = b"%b-%d" % (epoch, state.newest + count)
                    total = b"%d" % (state.bytes + size)
                    key = call.keys[0]
                    parts += (
                        b"*6\r\n$4\r\nXADD\r\n$%d\r\n%b\r\n$10\r\nNOMKSTREAM\r\n$%d\r\n%b\r\n"
                        b"$%d\r\n%b\r\n$%d\r\n"
                        % (len(key), key, len(id), id, len(total), total, len(packed)),
                        packed,
                        b"\r\n",
                        state.tail,
                    )
                    added.append((call, state))
            seen.add(call.keys[0])
        if added:
            replies = self._send(b"".join(parts), 3 * len(added))
            others = self._added(added, replies, others)
        return others

    def _added(
        self, added: list[tuple[Call, _Producing]], replies: list[Any], others: list[Call]
    ) -> list[Call]:
        """Answer the appends that Redis has kept. Return the others: a script will say why."""
        refused = []
        for index, (call, state) in enumerate(added):
            id, stopping, _ = replies[3 * index : 3 * index + 3]
            if type(id) is not bytes or type(stopping) is not int:
                state.until = 0.0
                refused.append(call)
                continue
            assert call.append is not None
            count, size, _ = call.append[2][0]
            state.newest += count
            state.bytes += size
            state.room -= count
            state.room_bytes -= size
            call.reply = [state.newest, stopping]
        return refused + others

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
        pool = self._client.connection_pool
        connection = pool.get_connection()
        replies: list[Any] = []
        try:
            connection.send_packed_command([packed], check_health=False)
            read = connection.read_response
            for _ in range(count):
                try:
                    replies.append(read(disable_decoding=True))
                except ResponseError as error:
                    replies.append(error)
        except BaseException:
            connection.disconnect()
            raise
        finally:
            pool.release(connection)
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
        for state in self._producing.values():
            state.until = 0.0  # a script tells what was kept
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
