"""The lifespan of an ASGI app around one request of a test."""

from __future__ import annotations

from typing import Any, Final

from ..loops.protocols import Event, EventLoop

_DONE: Final = ".complete"


class Lifespan:
    """Starts an app, and stops it. An app that raises before it asks for the start-up has none."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._state: dict[str, Any] = {}
        self._task: Any = None
        self._asked = 0
        self._answers: list[dict[str, Any]] = []
        self._error: BaseException | None = None
        self._over = False
        self._loop: EventLoop
        self._flag: Event

    async def start(self, loop: EventLoop, timeout: float) -> dict[str, Any]:
        """Run the start-up, and return the app's state.

        Raises:
            RuntimeError: the app said that it failed.
            TimeoutError: it took longer than `timeout` real seconds.
        """
        self._loop, self._flag = loop, loop.create_event()
        self._task = loop.create_task(self._run(), name="gaistream.testing lifespan")
        await self._answered("startup", 1, timeout)
        return self._state

    async def stop(self, timeout: float) -> None:
        """Run the shutdown; raises as `start`, and what the app raised after its start-up."""
        if self._task is None:
            return
        try:
            if not self._over:
                self._asked = 2
                self._changed()
                await self._answered("shutdown", 2, timeout)
        finally:
            if not self._over:
                self._task.cancel()
            await self._loop.ended(self._task)
        if self._error is not None and self._answers and self._answers[-1]["type"].endswith(_DONE):
            raise self._error

    async def _answered(self, phase: str, count: int, timeout: float) -> None:
        loop = self._loop
        with loop.breakable() as block:
            timer = loop.call_at(loop.time() + timeout, block.break_off)
            try:
                while len(self._answers) < count and not self._over:
                    await self._flag.wait()
            finally:
                timer.cancel()
        if len(self._answers) >= count:
            answer = self._answers[count - 1]
            if answer["type"].endswith(".failed"):
                message = answer.get("message") or "no reason was given"
                raise RuntimeError(f"the app's {phase} failed: {message}") from self._error
        elif not self._over:
            raise TimeoutError(f"the app's {phase} has not ended in {timeout:g} s")
        elif self._error is not None and self._asked:  # else it does not take the lifespan
            raise self._error

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self._state,
        }
        try:
            await self._app(scope, self._receive, self._send)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            task = self._task  # None: it is an eager task
            if isinstance(error, self._loop.cancelled) and task is not None and task.cancelling():
                raise
            self._error = error
        finally:
            self._over = True
            self._changed()

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = 1
            return {"type": "lifespan.startup"}
        while self._asked < 2:
            await self._flag.wait()
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: dict[str, Any]) -> None:
        self._answers.append(message)
        self._changed()

    def _changed(self) -> None:
        flag, self._flag = self._flag, self._loop.create_event()
        flag.set()
