"""Events → the message that they make: `collect` and `Message`, the package's `gaistream.message`.

A `Message` is built event by event and can be read at any time. It keeps its parts in the order in
which they began, so that the forms of the vendors (`to_openai`, `to_anthropic`, `to_ui_message`)
equal those that the vendors' own clients build from the same stream. The names are loaded when they
are first used: dialects import only `words`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .collecting import collect
    from .message import Message
    from .parts import CollectedCall

__all__ = ["CollectedCall", "Message", "collect"]

_MODULES = {"CollectedCall": "parts", "Message": "message", "collect": "collecting"}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f".{_MODULES[name]}", __name__), name)
        return value
