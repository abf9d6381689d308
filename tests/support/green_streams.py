"""Streams in greenlets, run as a program: gevent patches the whole process. Says `well` at the end.

Usage: python green_streams.py interleave | block | kill
"""

from gevent import monkey

monkey.patch_all()

import asyncio  # noqa: E402 - after the patching
import sys  # noqa: E402
from collections.abc import AsyncIterator, Iterator  # noqa: E402
from typing import Any  # noqa: E402

import gevent  # noqa: E402

from gaistream import NDJSONOptions, wsgi  # noqa: E402

log: list[str] = []


def serve(source: Any, name: str, **settings: Any) -> int:
    """Be a WSGI server's greenlet for one request; give the number of lines."""
    outcomes: list[Any] = []
    options = NDJSONOptions(heartbeat_interval=None)
    response = wsgi.NDJSONResponse(source, options, on_close=outcomes.append, **settings)
    chunks = response({"REQUEST_METHOD": "GET"}, lambda *_: None)
    try:
        return b"".join(chunks).count(b"\n")
    finally:
        chunks.close()
        log.append(f"{name} {outcomes[0].kind}")


async def steps(name: str, pause: Any = None) -> AsyncIterator[str]:
    """Give three items, each after a while; `pause` blocks before them."""
    loop = asyncio.get_running_loop()
    try:
        for number in range(3):
            log.append(f"{name} {number}")
            yield name
            await asyncio.sleep(0.01)
            if pause is not None:
                pause()
            assert asyncio.get_running_loop() is loop
    finally:
        log.append(f"{name} closed")


def blocking(name: str) -> Iterator[str]:
    for _ in range(3):
        yield name
        gevent.sleep(0.01)


def interleave() -> None:
    """Several streams at once, each with a loop of its own."""
    sources = [(steps("a"), "a", {}), (steps("b"), "b", {})]
    sources += [(blocking(name), name, {"helper_thread": True}) for name in ("c", "d")]
    served = [gevent.spawn(serve, source, name, **more) for source, name, more in sources]
    assert [each.get(timeout=20) for each in served] == [4, 4, 4, 4]
    assert log.index("b 0") < log.index("a 1") < log.index("b closed")
    assert {f"{name} completed" for name in "abcd"} <= set(log)


def block() -> None:
    """Sources that block in their loop, and so have their greenlet switched there."""
    served = [
        gevent.spawn(serve, steps(name, lambda: gevent.sleep(0.01)), name) for name in "abc"
    ]
    for each in served:
        assert each.get(timeout=20) == 4
    assert {f"{name} completed" for name in "abc"} <= set(log)


def kill() -> None:
    """A greenlet that is killed while its source waits, beside one that is not."""

    async def waits() -> AsyncIterator[str]:
        try:
            yield "a"
            await asyncio.Event().wait()
        finally:
            log.append("waits closed")

    killed, other = gevent.spawn(serve, waits(), "killed"), gevent.spawn(serve, steps("a"), "a")
    while "a 1" not in log:
        gevent.sleep(0)
    killed.kill(timeout=20)
    assert "waits closed" in log
    assert other.get(timeout=20) == 4
    assert "a completed" in log


if __name__ == "__main__":
    {each.__name__: each for each in (interleave, block, kill)}[sys.argv[1]]()
    print("well")
