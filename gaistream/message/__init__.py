"""Events → the message that they make: `collect` and `Message`, the package's `gaistream.message`.

A `Message` is built event by event and can be read at any time. It keeps its parts in the order in
which they began, so that the forms of the vendors (`to_openai`, `to_anthropic`, `to_ui_message`)
equal those that the vendors' own clients build from the same stream.
"""

from .collecting import collect
from .message import Message
from .parts import CollectedCall

__all__ = ["CollectedCall", "Message", "collect"]
