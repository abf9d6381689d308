"""Providers around others: one that asks them in turn, and one that names the model."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from typing import Any, Final

from .._log import log
from ..chat import ChatRequest
from ..core import estimate_size
from ..errors import StreamError
from ..events import Error, Start
from ..loops.sources import close_source, open_source

_CLIENTS_FAULTS: Final = frozenset({"provider_rejected", "bad_request"})
"""Codes of requests that another provider would refuse too."""


class Fallback:
    """A provider that asks others in turn.

    The next one is asked if one raises a `StreamError`, or begins with an `Error`, before anything
    of its answer. A request that a provider has rejected is not sent to the next one.

    Args:
        providers: in the order in which they are asked.
    """

    def __init__(self, *providers: Any) -> None:
        if not providers:
            raise ValueError("a Fallback needs at least one provider")
        self._providers = providers

    async def stream_text(self, request: ChatRequest) -> AsyncGenerator[Any, None]:
        """Yield the items of the first provider that answers.

        Raises:
            StreamError: the last provider has failed.
        """
        *others, last = self._providers
        for provider in others:
            try:
                source = await _open(provider, request)
            except StreamError as error:
                _check_next(error)
                continue
            try:
                try:
                    first = await _first_items(source)
                except StreamError as error:
                    _check_next(error)
                    continue
                for item in first:
                    yield item
                async for item in source:
                    yield item
                return
            finally:
                await close_source(source)
        source = await _open(last, request)
        try:
            async for item in source:
                yield item
        finally:
            await close_source(source)


class WithModel:
    """A provider that asks another for one model, whatever a client names."""

    def __init__(self, provider: Any, model: str) -> None:
        self._provider = provider
        self._model = model

    def stream_text(self, request: ChatRequest) -> Any:
        """Return the other provider's source."""
        return self._provider.stream_text(replace(request, model=self._model))


def _check_next(error: StreamError) -> None:
    """Log a failure after which the next provider is asked; raise one that it would have too."""
    if error.code in _CLIENTS_FAULTS:
        raise error
    log.warning("a provider failed, the next one is asked: %s: %.300r", error.code, error.message)


async def _open(provider: Any, request: ChatRequest) -> AsyncIterator[Any]:
    source = provider.stream_text(request)
    if inspect.isawaitable(source):
        source = await source
    opened: AsyncIterator[Any] = aiter(open_source(source, estimate_size))
    return opened


async def _first_items(source: AsyncIterator[Any]) -> list[Any]:
    """Return the items up to the first that belongs to an answer; raise if it is an Error."""
    items: list[Any] = []
    async for item in source:
        if isinstance(item, Error):
            raise StreamError(item.message, code=item.code or "provider_failed")
        items.append(item)
        if not isinstance(item, Start):
            break
    return items
