"""`gaistream demo`: a chat page that shows a stream as it arrives, and its server.

Needs the extra `demo` (Starlette and uvicorn) besides click.
"""

from __future__ import annotations

import errno
import os

import click

from ...chat import Provider
from ...providers.docs import DocsProvider
from ...providers.openai import OpenAIProvider

try:
    from .app import create_app, listen, serve
except ModuleNotFoundError as error:
    if error.name is not None and error.name.startswith("gaistream"):
        raise
    raise ImportError(
        f"gaistream.cli.demo needs {error.name}: pip install 'gaistream[demo]'", name=error.name
    ) from error

__all__ = ["command", "create_app", "serve"]

_MEND_PORT = "; a port from 1024 on needs no privilege"


class Unlistenable(click.ClickException):
    """The address cannot be listened on: status 2."""

    exit_code = 2


@click.command(context_settings={"show_default": True})
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", default=8000, type=click.IntRange(0, 65535), help="Port; 0: a free one.")
@click.option(
    "--provider",
    default="docs",
    type=click.Choice(["docs", "openai"]),
    help="Who answers: the handbook (no key, no network), or an OpenAI-compatible endpoint.",
)
@click.option("--base-url", default="https://api.openai.com/v1", help="Of the endpoint.")
@click.option("--model", help="The endpoint's model. The key is read from OPENAI_API_KEY.")
@click.option(
    "--rate",
    default=40.0,
    type=click.FloatRange(min=0, min_open=True),
    help="Tokens per second of the handbook's answers.",
)
def command(
    host: str, port: int, provider: str, base_url: str, model: str | None, rate: float
) -> None:
    """Serve the chat page."""
    answering: Provider
    if provider == "openai":
        if model is None:
            raise click.UsageError("--provider openai needs --model")
        answering = OpenAIProvider(base_url, api_key=os.environ.get("OPENAI_API_KEY"), model=model)
    else:
        answering = DocsProvider(rate=rate)
    try:
        listening = listen(host, port)
    except OSError as error:
        mends = {errno.EADDRINUSE: "; --port 0 takes a free one", errno.EACCES: _MEND_PORT}
        mend = mends.get(error.errno or 0, "")
        reason, _, _ = (error.strerror or str(error)).partition(" (while")  # create_server adds it
        raise Unlistenable(f"cannot listen on {host}, port {port}: {reason}{mend}") from None
    serve(answering, host, listening=listening)
