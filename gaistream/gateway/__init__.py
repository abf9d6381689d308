"""A gateway: every protocol of chat clients, answered from any provider.

    from gaistream.gateway import Gateway
    from gaistream.providers.openai import OpenAIProvider

    app = Gateway(OpenAIProvider("http://127.0.0.1:8080/v1"), models=["local"])  # an ASGI app

`gaistream gateway` serves it. Nothing of a request or an answer is kept or logged but its route,
model, outcome, times and counts.
"""

from .app import Gateway
from .fallback import Fallback, WithModel

__all__ = ["Fallback", "Gateway", "WithModel"]
