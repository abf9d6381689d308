"""Clients that leave at random moments, in random ways, drawn from a seed."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import random
import socket
import struct
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_SHARED = (
    "waits", "ends", "raises", "raises_in_cleanup", "tries", "scopes", "group", "hangs", "swallows",
    "megabytes", "megabytes_at_once", "blocks",
)  # fmt: skip
PATHS = {  # of wild_app
    "asgi": (*_SHARED, "never_awaits", "ignores_cancellation", "turns"),
    "wsgi": (*_SHARED, "blocks/helped", "megabytes_at_once/helped", "blocks/plain"),
}
ANSWERS = {  # those that go on without their clients
    "asgi": ("answer", "answer_in_thread"),
    "wsgi": ("answer", "answer_in_thread/helped"),
}
PATIENCE = 10.0  # seconds that a client waits for the answer to begin
HALF_CLOSED = 0.1  # seconds that it goes on reading after its half of the connection is closed

MOMENTS = ("connected", "request", "asked", "headers", "stream", "stream", "stream", "stream")
READINGS = ("all", "all", "slowly", "nothing")
ENDS = ("reset", "close", "half-close")


@dataclass(frozen=True)
class Plan:
    """The behaviour of one client.

    Attributes:
        path: of its request.
        moment: it leaves when it is "connected", in the middle of the "request", once it has
            "asked", in the middle of the "headers", or of the "stream".
        reading: how it reads the stream.
        end: how it leaves.
        part: of the request or the headers, from 0 to 1.
        seconds: how long it stays with the stream.
    """

    path: str
    moment: str
    reading: str
    end: str
    part: float
    seconds: float


def plans(chance: random.Random, count: int, paths: Sequence[str]) -> list[Plan]:
    """Draw the plans of `count` clients; every path comes about as often as every other."""
    return [
        Plan(
            paths[number % len(paths)],
            chance.choice(MOMENTS),
            chance.choice(READINGS),
            chance.choice(ENDS),
            chance.random(),
            chance.uniform(0, 0.6),
        )
        for number in chance.sample(range(count), count)
    ]


async def _read(loop: asyncio.AbstractEventLoop, client: socket.socket, slowly: bool) -> None:
    while await loop.sock_recv(client, 16 if slowly else 65536):
        if slowly:
            await asyncio.sleep(0.02)


async def _stay(loop: asyncio.AbstractEventLoop, client: socket.socket, plan: Plan) -> str:
    """Do everything up to the leaving; return the status, or why there is none."""
    request = f"GET /{plan.path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    if plan.moment == "connected":
        return "not asked"
    if plan.moment == "request":
        await loop.sock_sendall(client, request[: 1 + int(plan.part * (len(request) - 2))])
        return "not asked"
    await loop.sock_sendall(client, request)
    if plan.moment == "asked":
        return "not waited"
    try:
        async with asyncio.timeout(PATIENCE):
            begins = await loop.sock_recv(client, 12 + int(plan.part * 50))
    except TimeoutError:
        return "no answer"
    status = begins[9:12].decode("latin-1") or "closed"
    if plan.moment == "stream" and status == "200":
        if plan.reading == "nothing":
            await asyncio.sleep(plan.seconds)
            return status
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(plan.seconds):
                await _read(loop, client, plan.reading == "slowly")
    return status


async def _leave(loop: asyncio.AbstractEventLoop, client: socket.socket, end: str) -> None:
    if end == "half-close":
        client.shutdown(socket.SHUT_WR)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HALF_CLOSED):
                await _read(loop, client, slowly=False)
    elif end == "reset":
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def _one(address: tuple[str, int], plan: Plan) -> str:
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.setblocking(False)
        if plan.reading != "all":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        try:
            async with asyncio.timeout(PATIENCE):
                await loop.sock_connect(client, address)
            status = await _stay(loop, client, plan)
            await _leave(loop, client, plan.end)
        except TimeoutError:
            return "not connected"
        except OSError as error:
            return type(error).__name__
    return status


async def come_and_go(
    address: tuple[str, int], all_plans: Iterable[Plan], at_once: int
) -> collections.Counter[str]:
    """Carry out all plans, `at_once` at a time; return the counts of the answers.

    If no client has been answered for long, the remaining ones stay away.
    """
    answers: collections.Counter[str] = collections.Counter()
    rest = iter(all_plans)
    last_answer = time.monotonic()

    async def some() -> None:
        nonlocal last_answer
        for plan in rest:
            if time.monotonic() - last_answer > 3 * PATIENCE:
                answers["stayed away"] += 1
                continue
            answer = await _one(address, plan)
            answers[answer] += 1
            if answer.isdecimal():
                last_answer = time.monotonic()

    await asyncio.gather(*(some() for _ in range(at_once)))
    return answers


def ask(address: tuple[str, int], path: str, seconds: float) -> bytes:
    """Return the whole response to a request, as it came; less if it takes longer."""
    received = b""
    with socket.socket() as client, contextlib.suppress(TimeoutError, ConnectionError):
        client.settimeout(seconds)
        client.connect(address)
        request = f"GET /{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        client.sendall(request.encode())
        while not received.endswith(b"\r\n0\r\n\r\n") and (piece := client.recv(65536)):
            received += piece
    return received
