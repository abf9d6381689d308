"""The one logger: what went wrong in a stream and is not told to its client.

A logger is made when it is first used. `logging.config.dictConfig` disables those that exist before
it is called, unless it is told otherwise, and applications call it after their imports.
"""

import logging
from typing import Any, cast


class _LateLogger:
    """Stands for a logger that is made when it is first used."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(logging.getLogger(self._name), attribute)


def late_logger(name: str) -> logging.Logger:
    """Return a logger that is not made before it is used."""
    return cast(logging.Logger, _LateLogger(name))


log = late_logger("gaistream")
