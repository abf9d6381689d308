"""Which pages of other sites may read a stream: the `cors` of responses and handlers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias

from ..errors import FrameError, FrameTypeError

ALLOWED_METHODS: Final = "GET, POST, QUERY, OPTIONS"
HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_USUAL_HEADERS: Final = (
    "Content-Type",
    "Authorization",
    "Last-Event-ID",
    "Idempotency-Key",
    "X-Idempotency-Key",
)
_ORIGIN: Final = re.compile(r"\*|null|[a-z][a-z0-9+.-]*://[^/A-Z\s@?#]+")


@dataclass(frozen=True)
class CORS:
    """Which pages of other sites may read a response.

    Attributes:
        origins: ("*",), or the origins that are echoed with `Vary: Origin`.
        credentials: True to allow requests with cookies too; not together with "*".
        allow_headers: request headers that such a page may send besides the usual ones
            (Content-Type, Authorization, Last-Event-ID, Idempotency-Key, X-Idempotency-Key).

    Raises:
        FrameError: an origin or a header name is malformed, or "*" is combined with credentials.
        FrameTypeError: an origin or a header name is not a string.
    """

    origins: tuple[str, ...]
    credentials: bool = False
    allow_headers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        origins = _as_tuple("cors must be '*' or origins", self.origins)
        for origin in origins:
            if not isinstance(origin, str) or not _ORIGIN.fullmatch(origin):
                raise FrameError(
                    "cors must be '*' or origins as browsers send them "
                    f"(https://example.com, no path, lower case), not {origin!r}"
                )
        names = _as_tuple("allow_headers must be names", self.allow_headers)
        for name in names:
            if not isinstance(name, str):
                raise FrameTypeError(f"allow_headers must be strings, not {type(name).__name__}")
            if not HEADER_NAME.fullmatch(name) or name == "*":
                raise FrameError(f"allow_headers must name each header (X-Api-Key), not {name!r}")
        object.__setattr__(self, "origins", origins)
        object.__setattr__(self, "allow_headers", names)
        if self.credentials and "*" in origins:
            raise FrameError("cors must not be '*' together with credentials: name the origins")

    @staticmethod
    def of(cors: CORSLike) -> CORS | None:
        """Return the CORS of "*", an origin, several origins, a CORS, or None."""
        if cors is None or isinstance(cors, CORS):
            return cors
        return _of_origin(cors) if isinstance(cors, str) else CORS(cors)  # type: ignore[arg-type]

    @property
    def depends_on_origin(self) -> bool:
        """True if the headers depend on the request's `Origin`."""
        return "*" not in self.origins

    def headers(self, origin: str | None) -> dict[str, str]:
        """Return the headers for a request with this `Origin` header."""
        if not self.depends_on_origin:
            return {"Access-Control-Allow-Origin": "*"}
        allowed = {"Vary": "Origin"}
        if origin in self.origins and origin is not None:
            allowed["Access-Control-Allow-Origin"] = origin
            if self.credentials:
                allowed["Access-Control-Allow-Credentials"] = "true"
        return allowed

    def preflight(self, origin: str | None) -> dict[str, str]:
        """Return the headers that answer a preflight request."""
        return self.headers(origin) | {
            "Access-Control-Allow-Methods": ALLOWED_METHODS,
            "Access-Control-Allow-Headers": ", ".join((*_USUAL_HEADERS, *self.allow_headers)),
            "Access-Control-Max-Age": "600",
        }


CORSLike: TypeAlias = CORS | str | Iterable[str] | None
"""What `cors=` takes: "*", an origin, several origins, a CORS, or None."""


def _as_tuple(expected: str, value: Any) -> tuple[Any, ...]:
    if not isinstance(value, Iterable):
        raise FrameTypeError(f"{expected}, not {type(value).__name__}")
    return (value,) if isinstance(value, str) else tuple(value)


@lru_cache(maxsize=64)
def _of_origin(origin: str) -> CORS:
    return CORS(origin)  # type: ignore[arg-type]  # which makes a tuple of it
