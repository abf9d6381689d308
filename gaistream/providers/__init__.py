"""Sources of events: the embedded handbook, services with the protocol of a model, SDKs' streams.

Each provider is a module of its own, imported when its name is first used, so that it costs nothing
to a program that does not use it:

    from gaistream.providers import AnthropicProvider, OpenAIProvider, from_openai
    from gaistream.providers.docs import DocsProvider
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .anthropic import AnthropicProvider
    from .docs import DocsProvider
    from .gemini import GeminiProvider
    from .ollama import OllamaProvider
    from .openai import OpenAIProvider
    from .sdk_streams import from_anthropic, from_openai

__all__ = [
    "AnthropicProvider", "DocsProvider", "GeminiProvider", "OllamaProvider", "OpenAIProvider",
    "from_anthropic", "from_openai",
]  # fmt: skip

_MODULES = {
    "AnthropicProvider": "anthropic",
    "DocsProvider": "docs",
    "GeminiProvider": "gemini",
    "OllamaProvider": "ollama",
    "OpenAIProvider": "openai",
    "from_anthropic": "sdk_streams",
    "from_openai": "sdk_streams",
}


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(f".{_MODULES[name]}", __name__), name)
        return found
