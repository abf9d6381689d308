"""Real redis-servers on free ports of 127.0.0.1: one, a pair under Sentinel, a Cluster of three.

Each is started with nothing on disk, and has ended when its block is left.
"""

from __future__ import annotations

import contextlib
import random
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import redis
from redis.sentinel import Sentinel
from required import need_program

SECONDS = 20
_BUS = 10_000  # a node's other port is that much higher


def free_port() -> int:
    """Return a port that is free, and so is the one that a Cluster's node takes beside it."""
    while True:
        port = random.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for each in (port, port + _BUS):
                stack.enter_context(contextlib.closing(socket.create_server(("127.0.0.1", each))))
            return port


def until(what: str, condition: Any) -> Any:
    """Wait until a condition of Redis holds, and return its value."""
    deadline = time.monotonic() + SECONDS
    while True:
        with contextlib.suppress(redis.RedisError):
            if value := condition():
                return value
        assert time.monotonic() < deadline, f"it did not come about: {what}"
        time.sleep(0.02)


class Server:
    """A redis-server, which can be killed and started again."""

    def __init__(self, *options: str, port: int | None = None) -> None:
        self.port = port or free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self._options = options
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        program = need_program("redis-server")
        common = (
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--repl-diskless-sync-delay",
            "0",
        )
        self.process = subprocess.Popen(
            [program, *self._options, *common], stdout=subprocess.DEVNULL
        )
        password = next(
            (b for a, b in zip(self._options, self._options[1:]) if a == "--requirepass"), None
        )
        self.client = redis.Redis(port=self.port, password=password)
        until("a redis-server answers", self.client.ping)

    def kill(self) -> None:
        """End it as SIGKILL does, also while it is paused."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None
        self.client.close()

    def pause(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def server(*options: str) -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder:
        started = Server("--dir", folder, *options)
        try:
            yield started
        finally:
            started.kill()


class Pair(NamedTuple):
    """A master, its replica, and the Sentinel that watches them."""

    master: Server
    replica: Server
    sentinel: Sentinel

    def client(self) -> redis.Redis:
        """Return a client of whichever is the master."""
        client: redis.Redis = self.sentinel.master_for("pair", socket_timeout=2)
        return client

    def fail_over(self) -> None:
        """Kill the master, and wait until the replica has taken over."""
        until("the replica has all", lambda: self.master.client.wait(1, 1000))
        self.master.kill()
        until("a new master", lambda: self.replica.client.info()["role"] == "master")
        until(
            "the Sentinel knows it",
            lambda: self.sentinel.discover_master("pair")[1] == self.replica.port,
        )


@contextlib.contextmanager
def sentinel_pair(folder: Path) -> Iterator[Pair]:
    with server() as master, server("--replicaof", "127.0.0.1", str(master.port)) as replica:
        config = folder / "sentinel.conf"
        config.write_text(
            f"sentinel monitor pair 127.0.0.1 {master.port} 1\n"
            "sentinel down-after-milliseconds pair 300\nsentinel failover-timeout pair 2000\n"
        )
        port = free_port()
        process = subprocess.Popen(
            [need_program("redis-server"), str(config), "--sentinel", "--port", str(port),
             "--bind", "127.0.0.1", "--dir", str(folder)],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            sentinel = Sentinel([("127.0.0.1", port)], socket_timeout=2)
            until("the Sentinel knows the replica", lambda: sentinel.discover_slaves("pair"))
            yield Pair(master, replica, sentinel)
        finally:
            process.kill()
            process.wait()
            for each in sentinel.sentinels:
                each.close()


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[list[Server]]:
    with contextlib.ExitStack() as stack:
        nodes = []
        for index in range(3):
            options = ("--cluster-enabled", "yes", "--cluster-config-file", f"{index}.conf")
            nodes.append(stack.enter_context(server(*options, "--dir", str(folder))))
        slots = [range(5461), range(5461, 10923), range(10923, 16384)]
        for node, its_slots in zip(nodes, slots, strict=True):
            node.client.execute_command("CLUSTER ADDSLOTS", *its_slots)
            node.client.execute_command("CLUSTER MEET", "127.0.0.1", nodes[0].port)
        for node in nodes:
            until(
                "the Cluster is whole",
                lambda node=node: (
                    node.client.cluster("info")["cluster_state"] == "ok"
                    and node.client.cluster("info")["cluster_known_nodes"] == "3"
                ),
            )
        yield nodes
