"""Work that many threads do at once."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

THREADS = 8
ROUNDS = 25


@contextlib.contextmanager
def frequent_switches() -> Iterator[None]:
    """Let threads take turns as often as Python can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Run each in its own thread, all at once; return their results."""
    results: list[Any] = [None] * len(works)
    gate = threading.Barrier(len(works))

    def run(number: int, work: Callable[[], Any]) -> None:
        try:
            gate.wait(30)
            results[number] = work()
        except BaseException as error:
            results[number] = error

    threads = [threading.Thread(target=run, args=each) for each in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    return results


def hammer(
    gs: ModuleType, work: Callable[[int], Any], rounds: int = ROUNDS, threads: int = THREADS
) -> list[Any]:
    """Call `work` in many threads many times; only gaistream's own errors may be raised."""
    refusals = (gs.errors.GaistreamError, BufferError)
    given: list[Any] = []

    def repeat(number: int) -> None:
        for each in range(rounds):
            try:
                given.append(work(number * rounds + each))
            except refusals:
                pass

    for failure in at_once(*(lambda n=n: repeat(n) for n in range(threads))):
        if failure is not None:
            raise failure
    return given
