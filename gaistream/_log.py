"""The one logger, for failures of a stream that its client does not see.

The logger is created when it is first used, because `logging.config.dictConfig` disables existing
loggers by default, and applications call it after their imports.
"""

import logging
from typing import Any, cast


class _LateLogger:
    """A logger that is created when it is first used."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(logging.getLogger(self._name), attribute)


def late_logger(name: str) -> logging.Logger:
    """Return a logger that is created when it is first used."""
    return cast(logging.Logger, _LateLogger(name))


log = late_logger("gaistream")
