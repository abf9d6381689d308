"""A provider with a scripted answer, which records its requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scripted_asgi import asynchronous


class RecordingProvider:
    """Answers by a function, and keeps the requests in `asked`."""

    def __init__(self, answer: Callable[[Any], Any] = lambda _: asynchronous("a")) -> None:
        self.answer = answer
        self.asked: list[Any] = []

    def stream_text(self, request: Any) -> Any:
        self.asked.append(request)
        return self.answer(request)
