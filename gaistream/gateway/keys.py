"""The keys of the gateway's clients."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from ..errors import StreamError


class ClientKeys:
    """Checks the keys that clients send, in time that does not depend on them.

    Args:
        keys: those that are accepted, each at least 8 characters.

    Raises:
        ValueError: there is none, or one is too short.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = frozenset(map(_digest, (given := tuple(keys))))
        if not given or min(map(len, given)) < 8:
            raise ValueError("clients' keys must be at least 8 characters long, and at least one")

    def check(self, headers: Mapping[str, str]) -> None:
        """Check the headers of a request, names in lower case.

        Raises:
            StreamError: the key is missing, or not one of these.
        """
        scheme, _, token = headers.get("authorization", "").partition(" ")
        key = token.strip() if scheme.lower() == "bearer" else ""
        key = key or headers.get("x-api-key", "") or headers.get("api-key", "")
        if not key:
            message = "a key is needed: Authorization: Bearer, or x-api-key"
        elif _digest(key) not in self._digests:
            message = "the key is not one of this gateway's"
        else:
            return
        raise StreamError(message, code="authentication_error", status=401)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
