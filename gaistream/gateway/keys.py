"""The keys of the gateway's clients."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from ..errors import StreamError


class ClientKeys:
    """Checks the keys that clients send, in time that does not depend on them.

    Args:
        keys: those that are accepted, each at least 8 characters of printable ASCII.

    Raises:
        ValueError: there is none, or one cannot be used.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = frozenset(map(_digest, (given := tuple(keys))))
        if not given or min(map(len, given)) < 8:
            raise ValueError("clients' keys must be at least 8 characters long, and at least one")
        if not all(key.isascii() and key.isprintable() and key == key.strip() for key in given):
            raise ValueError("clients' keys must be printable ASCII without spaces around it")

    def reason_to_refuse(self, headers: Mapping[str, str]) -> StreamError | None:
        """Return why a request with these headers is refused, or None.

        Args:
            headers: of the request, names in lower case. Of several keys one must be right.
        """
        scheme, _, token = headers.get("authorization", "").partition(" ")
        bearer = token if scheme.lower() == "bearer" else ""
        keys = [bearer, headers.get("x-api-key", ""), headers.get("api-key", "")]
        sent = [key.strip() for key in keys if key.strip()]
        if not self._digests.isdisjoint(map(_digest, sent)):
            return None
        message = "the key is not one of this gateway's"
        if not sent:
            message = "a key is needed: Authorization: Bearer, or x-api-key"
        return StreamError(message, code="authentication_error", status=401)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
