"""`gaistream gateway`: every protocol of chat clients, answered from any provider.

Needs the extra `gateway` (click, httpx and uvicorn).
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
from importlib import import_module
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import click

try:
    import uvicorn
except ModuleNotFoundError as error:
    raise ImportError(
        f"gaistream.cli.gateway needs {error.name}: pip install 'gaistream[gateway]'",
        name=error.name,
    ) from error

from .. import dialects
from ..asgi.hosts import OwnHosts
from ..gateway import Fallback, Gateway, WithModel
from ..providers.connections import open_client

__all__ = ["command"]

# name: (module, class, further arguments, variable of the environment that holds the key)
_PROVIDERS: Final[dict[str, tuple[str, str, dict[str, Any], str]]] = {
    "openai": ("openai", "OpenAIProvider", {}, "OPENAI_API_KEY"),
    "openai-responses": ("openai", "OpenAIProvider", {"api": "responses"}, "OPENAI_API_KEY"),
    "anthropic": ("anthropic", "AnthropicProvider", {}, "ANTHROPIC_API_KEY"),
    "gemini": ("gemini", "GeminiProvider", {}, "GEMINI_API_KEY"),
    "ollama": ("ollama", "OllamaProvider", {}, "OLLAMA_API_KEY"),
}
_NAMES: Final = click.Choice(list(_PROVIDERS))
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_GRACE_SECONDS: Final = 10


class _Server(uvicorn.Server):
    """A server that closes the providers' HTTP client when it has shut down."""

    def __init__(self, config: uvicorn.Config, client: Any) -> None:
        super().__init__(config)
        self._client = client

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().shutdown(sockets)
        finally:
            await self._client.aclose()


class Unlistenable(click.ClickException):
    """The address cannot be listened on: status 2."""

    exit_code = 2


@click.command(context_settings={"show_default": True})
@click.option("--provider", required=True, type=_NAMES, help="Who answers.")
@click.option("--base-url", help="URL of the provider; else its vendor's own.")
@click.option("--model", help="Ask for this model, whatever a client names.")
@click.option("--key-file", type=_FILE, help="Holds the provider's key; else its variable does.")
@click.option(
    "--fallback", type=_NAMES, help="Who answers if the provider fails before its answer."
)
@click.option("--fallback-base-url", help="URL of the fallback.")
@click.option("--fallback-model", help="The fallback's model.")
@click.option("--fallback-key-file", type=_FILE, help="Holds the fallback's key.")
@click.option(
    "--models",
    default="",
    show_default=False,
    help="Names for GET /v1/models, separated by commas.",
)
@click.option(
    "--client-keys", type=_FILE, help="Holds the keys of clients, one a line; # begins a comment."
)
@click.option("--open", "is_open", is_flag=True, help="Answer other machines without a key.")
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", default=8000, type=click.IntRange(0, 65535), help="Port; 0: a free one.")
@click.option("--max-streams", default=1000, type=click.IntRange(1), help="Requests at once.")
@click.option("--cors", help="Origin of pages that may use the gateway.")
@click.option(
    "--ai-sdk-version", default="6", type=click.Choice(["5", "6", "7"]), help="Of `ai`'s clients."
)
@click.option("--quiet", is_flag=True, help="Write no access log.")
def command(
    provider: str,
    base_url: str | None,
    model: str | None,
    key_file: Path | None,
    fallback: str | None,
    fallback_base_url: str | None,
    fallback_model: str | None,
    fallback_key_file: Path | None,
    models: str,
    client_keys: Path | None,
    is_open: bool,
    host: str,
    port: int,
    max_streams: int,
    cors: str | None,
    ai_sdk_version: str,
    quiet: bool,
) -> None:
    """Serve every protocol of chat clients from one provider.

    POST /v1/chat/completions, /v1/responses, /v1/messages, /ai-sdk and /ag-ui are the protocols;
    GET /v1/models and /healthz are answered too. A provider's key is read from OPENAI_API_KEY,
    ANTHROPIC_API_KEY, GEMINI_API_KEY or OLLAMA_API_KEY, or from a file.
    """
    if not _is_loopback(host) and client_keys is None and not is_open:
        raise click.UsageError(
            f"--host {host} lets other machines spend the provider's key: "
            "pass --client-keys, or --open"
        )
    client = open_client("gaistream gateway")
    answering = _provider(client, provider, base_url, key_file, model)
    if fallback is not None:
        other = _provider(client, fallback, fallback_base_url, fallback_key_file, fallback_model)
        answering = Fallback(answering, other)
    try:
        app: Any = Gateway(
            answering,
            models=[name for each in models.split(",") if (name := each.strip())]
            or [each for each in (model, fallback_model) if each],
            client_keys=None if client_keys is None else _keys_in(client_keys),
            max_streams=max_streams,
            cors=cors,
            dialects={"/ai-sdk": dialects.ai_sdk(version=int(ai_sdk_version))},
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if _is_loopback(host):
        app = OwnHosts(app, host)
    _serve(app, client, host, port, quiet=quiet)


def _provider(
    client: Any, name: str, base_url: str | None, key_file: Path | None, model: str | None
) -> Any:
    module, kind, arguments, variable = _PROVIDERS[name]
    if base_url is not None:
        arguments = {**arguments, "base_url": base_url}
    try:
        key = os.environ.get(variable) if key_file is None else _key_in(key_file)
        make = getattr(import_module(f"gaistream.providers.{module}"), kind)
        provider = make(api_key=key or None, client=client, **arguments)
    except (ValueError, ImportError) as error:
        raise click.UsageError(str(error)) from None
    return provider if model is None else WithModel(provider, model)


def _keys_in(file: Path) -> list[str]:
    """Return the lines of a file, without those that are empty or begin with `#`."""
    try:
        lines = [line.strip() for line in file.read_text("utf-8-sig").splitlines()]
    except (OSError, UnicodeError) as error:  # its text may hold a part of the file
        raise click.UsageError(f"{file} cannot be read: {type(error).__name__}") from None
    return [line for line in lines if line and not line.startswith("#")]


def _key_in(file: Path) -> str:
    keys = _keys_in(file)
    if len(keys) != 1:
        raise click.UsageError(f"{file} must hold one key, on one line; it holds {len(keys)}")
    return keys[0]


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _serve(app: Any, client: Any, host: str, port: int, *, quiet: bool) -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        listening = socket.create_server(address, family=family)
    except OSError as error:
        mend = "; --port 0 takes a free one" if error.errno == errno.EADDRINUSE else ""
        reason, _, _ = (error.strerror or str(error)).partition(" (while")  # create_server adds it
        raise Unlistenable(f"cannot listen on {host}, port {port}: {reason}{mend}") from None
    logging.basicConfig(format="%(asctime)s %(message)s")
    logging.getLogger("gaistream").setLevel(logging.WARNING if quiet else logging.INFO)
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        ws="none",
        lifespan="off",
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    with listening, contextlib.suppress(KeyboardInterrupt):
        name = f"[{host}]" if ":" in host else host
        click.echo(f"gaistream gateway: http://{name}:{listening.getsockname()[1]}")
        _Server(config, client).run(sockets=[listening])
