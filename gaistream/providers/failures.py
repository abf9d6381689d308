"""Failures of services as public errors: they name the host, and hold no secret and no HTML."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from ..errors import StreamError
from ..http import received

__all__ = ["FailedAttempt", "failure", "public_text", "refusal", "retries_status", "retry_after"]

_LONGEST_MESSAGE = 500  # characters of the service's own error message that are passed on
_RETRIED = (408, 409, 429)  # statuses below 500 after which the same request may succeed


class FailedAttempt(Exception):
    """A request that failed.

    Attributes:
        error: what the caller gets if the request is not repeated.
        transient: True if the same request may succeed later.
        wait: seconds to wait before that; None if the service named no time.
    """

    def __init__(
        self, error: StreamError, *, transient: bool = False, wait: float | None = None
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.transient = transient
        self.wait = wait


def failure(
    message: str, kind: str, status: int = 502, *, wait: float | None = None
) -> StreamError:
    """Return the public error of the code `provider_KIND`."""
    return StreamError(message, code=f"provider_{kind}", status=status, retry_after=wait)


def refusal(
    provider: str, status: int, message: str = "", wait: float | None = None
) -> StreamError:
    """Return the public error for a status that is not a success.

    Args:
        provider: how the error calls the service.
        status: the HTTP status.
        message: the service's own message, made public.
        wait: the seconds of its Retry-After.
    """
    detail = f": {message}" if message else ""
    if status in (401, 403):  # the message is about the server's key, not for its clients
        return failure(f"{provider} refused the server's credentials", "auth")
    if status == 429:
        text = f"{provider} has no room for more requests{detail}"
        return StreamError(text, code="rate_limited", status=429, retry_after=wait)
    if 400 <= status <= 499:
        return failure(f"{provider} rejected the request{detail}", "rejected", wait=wait)
    return failure(f"{provider} failed with status {status}{detail}", "failed", wait=wait)


def retries_status(status: int) -> bool:
    """Return True if the same request may succeed after this status."""
    return status in _RETRIED or status >= 500


def public_text(message: str, secrets: Iterable[str] = ()) -> str:
    """Return a message as one short line, without secrets or control characters."""
    for secret in secrets:
        message = message.replace(secret, "…")
    message = "".join(char if char.isprintable() else " " for char in message)
    return " ".join(message.split())[:_LONGEST_MESSAGE]


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that the service wants to be left alone; None if it does not say it."""
    milliseconds = received.retry_after(headers.get("retry-after-ms", ""), 0)  # a number only
    if milliseconds is not None:
        return milliseconds / 1000
    return received.retry_after(headers.get("retry-after", ""), time.time())
