"""What feeds the streams of a server under measurement, and the process that it runs in.

A feeder is the engine behind the producers: it lets bursts begin, and puts tokens into a queue for
each stream, on a tick. It never paces by a bare yield to the loop: a tick is a timer's, and where
every stream gets a token at each tick, it waits until all have taken their last one. So nothing
that is merged was merged because the producer did not really wait.

`python feeder.py OPTIONS` runs uvicorn with one peer's app, on one core, and answers over a socket.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import queue
import random
import resource
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from payloads import TOKEN


class Feeder:
    """Feeds every open stream of this process; belongs to the event loop."""

    def __init__(self) -> None:
        self.end()

    def end(self) -> None:
        """Know of no stream, as before the first round."""
        self._queues: list[Any] = []
        self._begun = asyncio.Event()
        self._begun_in_thread = threading.Event()
        self._waiting: list[None] = []  # one for each producer that has got to where it waits
        self.given = 0  # tokens, by the end
        self._plan: list[list[Any]] = []  # the queues that get one, tick by tick

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def begins(self) -> None:
        self._waiting.append(None)
        await self._begun.wait()

    def begins_in_thread(self) -> None:
        self._waiting.append(None)  # which is whole in a thread too
        self._begun_in_thread.wait()

    def queue(self) -> asyncio.Queue[str | None]:
        return self.add(asyncio.Queue())

    def queue_for_thread(self) -> queue.SimpleQueue[str | None]:
        return self.add(queue.SimpleQueue())

    def add(self, made: Any) -> Any:
        """Feed what has `put_nowait` and `empty`."""
        self._queues.append(made)
        self._waiting.append(None)
        return made

    def prepare(self, ticks: int, tick: float, turns: int, pattern: str, stamp: bool) -> None:
        """Say how the queues will be fed: a token into each, once in `turns` ticks.

        Args:
            ticks: how many; then the streams end.
            tick: seconds between two; a timer of uvloop knows whole milliseconds.
            turns: 1: each stream at each tick, once all have taken their last token.
            pattern: "even": stream by stream; "random": each by chance, the same in every run.
            stamp: a token is the time at which it was put into the queue, in nanoseconds.
        """
        queues, chance = self._queues, random.Random(1)
        if turns == 1:
            self._plan = [queues] * ticks
        elif pattern == "even":
            self._plan = [queues[number % turns :: turns] for number in range(ticks)]
        else:
            self._plan = [
                [each for each in queues if chance.random() * turns < 1] for _ in range(ticks)
            ]
        self.given = sum(map(len, self._plan))
        self._tick, self._stamp, self._in_step = tick, stamp, turns == 1

    def begin(self) -> None:
        """Let the bursts begin, or feed."""
        self._begun.set()
        self._begun_in_thread.set()
        if self._plan:
            self._put(0)

    def _put(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        if self._in_step and not all(each.empty() for each in self._queues):
            loop.call_later(self._tick, self._put, number)
        elif number == len(self._plan):
            for each in self._queues:
                each.end() if hasattr(each, "end") else each.put_nowait(None)
        else:
            loop.call_later(self._tick, self._put, number + 1)
            for each in self._plan[number]:
                each.put_nowait(str(time.monotonic_ns()) if self._stamp else TOKEN)


class Process:
    """Answers what the measuring process asks."""

    def __init__(self, feeder: Feeder, control: socket.socket) -> None:
        self._feeder = feeder
        self._control = control
        self._unread = b""

    def on_readable(self) -> None:
        received = self._control.recv(65536)
        if not received:
            os._exit(0)  # the measuring process has gone
        *lines, self._unread = (self._unread + received).split(b"\n")
        for line in lines:
            what, arguments = json.loads(line)
            answer = getattr(self, what)(**arguments)
            self._control.sendall(json.dumps(answer).encode() + b"\n")

    def spent(self) -> dict[str, float]:
        """Give what was spent so far: seconds of CPU, in all threads, and calls of write."""
        writes = 0
        with contextlib.suppress(OSError):
            fields = Path("/proc/self/io").read_text().split()
            writes = int(fields[fields.index("syscw:") + 1])
        return {"cpu": time.process_time(), "writes": writes}

    def state(self) -> dict[str, Any]:
        return {"waiting": self._feeder.waiting, "given": self._feeder.given}

    def memory(self) -> dict[str, int]:
        """Give the KiB that the process holds, and its tasks."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return {"rss": pages * resource.getpagesize() // 1024, "tasks": len(asyncio.all_tasks())}

    def prepare(self, **how: Any) -> None:
        self._feeder.prepare(**how)

    def begin(self) -> None:
        self._feeder.begin()

    def end(self) -> None:
        self._feeder.end()


def main() -> None:
    """Serve one peer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("peer")
    parser.add_argument("--listening", type=int)
    parser.add_argument("--control", type=int)
    parser.add_argument("--core", type=int)
    parser.add_argument("--loop")
    parser.add_argument("--http")
    parser.add_argument("--heartbeat", type=float)
    given = parser.parse_args()

    import served
    import uvicorn

    feeder = Feeder()
    control = socket.socket(fileno=given.control)
    app = served.PEERS[given.peer].make(feeder, given.heartbeat)
    config = uvicorn.Config(
        app, loop=given.loop, http=given.http, lifespan="off", log_level="error",
        access_log=False, backlog=4096, timeout_keep_alive=3600,
    )  # fmt: skip

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if given.core is not None:
                os.sched_setaffinity(0, {given.core})
            process = Process(feeder, control)
            asyncio.get_running_loop().add_reader(control, process.on_readable)
            control.sendall(b'"ready"\n')

    Server(config).run(sockets=[socket.socket(fileno=given.listening)])


if __name__ == "__main__":
    sys.exit(main())
