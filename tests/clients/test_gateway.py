"""The clients, through the gateway, understand what each vendor's service has said.

The services are in tests/support/services.py. A client must have understood, field by field, what
the reader of the service's protocol says of the recorded bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any
from urllib.parse import quote, unquote

import httpx
import pytest
from client_matrix import CLIENTS, SECRET, WRITERS, Case, Client, fields_of, understood
from openai_readers import Read
from real_servers import SECONDS, Server, serve_uvicorn
from required import once_a_check
from services import BEGINNINGS, LINES, PROVIDERS, Services, answers_of

from gaistream import events, read_events
from gaistream.gateway import Gateway

once_a_check()
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:litellm"),
    pytest.mark.filterwarnings("ignore:Handling of this (item|event) type is not yet"),
]
ROUTES = {
    "openai_chat": "/v1", "openai_responses": "/v1", "anthropic": "", "ag_ui": "/ag-ui",
    **{f"ai_sdk {version}": "/ai-sdk" for version in (5, 6, 7)},
}  # fmt: skip
"""What the URL of a client ends with, below that of the gateway."""

HI = [{"role": "user", "content": "Hi"}]

THROUGH = [client for client in CLIENTS if client.writer in ROUTES]


OWN_REFUSALS = {
    ("openai_chat, openai py stream", "length"): "length limit was reached",
    ("openai_chat, openai py stream", "content_filter"): "rejected by the content filter",
}
"""With what a client refuses whole answers that ended for a reason."""


def not_kept(client: Client, case: Case) -> set[str]:
    """Return the fields that a client changes in an answer."""
    fields = {"id"} if client.writer == "ag_ui" else set()  # a run's is the client's own
    if client.name in ("litellm", "pydantic-ai") and reason_of(case) == "pause":
        fields |= {"finish_reason"}
    hidden = any(isinstance(each, events.ReasoningEnd) and each.redacted for each in case.items)
    if hidden and client.name == "litellm":
        fields |= {"usage"}  # it counts the tokens of thoughts itself
    if hidden and client.name == "pydantic-ai":
        fields |= {"signatures"}  # what is redacted is one, too
    return fields


def reason_of(case: Case) -> str | None:
    return next((x.finish_reason for x in case.items if isinstance(x, events.Finish)), None)


class Gateways:
    """One gateway for each /WRITER/PROVIDER/CASE, mounted there."""

    def __init__(self, services: str) -> None:
        self._services = services
        self._client = httpx.AsyncClient(timeout=SECONDS)
        self.gateway = cache(self._gateway)

    def _gateway(self, writer: str, provider: str, case: str) -> Gateway:
        url = f"{self._services}/{provider}/{quote(case)}"
        asked = PROVIDERS[provider][1](url, client=self._client, api_key=SECRET, retries=0)
        replaced = {"/v1/chat/completions": WRITERS["openai_chat"].dialect}  # which counts tokens
        if writer.startswith("ai_sdk"):
            replaced["/ai-sdk"] = WRITERS[writer].dialect
        return Gateway(asked, dialects=replaced)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await self._client.aclose()
            await send({"type": "lifespan.shutdown.complete"})
            return
        where = scope["path"].split("/")[1:4]
        mounted = {**scope, "root_path": "/" + "/".join(where)}
        await self.gateway(*map(unquote, where))(mounted, receive, send)


@pytest.fixture(scope="module")
def services() -> Services:
    return Services()


@pytest.fixture(scope="module")
def server(services: Services) -> Iterator[Server]:
    about: Any = {"http": "h11", "loop": "asyncio", "interface": "asgi3"}
    with (
        serve_uvicorn(services, **about) as behind,
        serve_uvicorn(Gateways(behind.url), **about, lifespan="on") as running,
    ):
        yield running


@pytest.fixture(scope="module")
def readers() -> Iterator[Callable[[Client], Read]]:
    with ExitStack() as stack:
        opened: dict[str, Read] = {}

        def open_once(client: Client) -> Read:
            if str(client) not in opened:
                opened[str(client)] = stack.enter_context(client.open(SECONDS))
            return opened[str(client)]

        yield open_once


def url_of(server: Server, client: Client, provider: str, case: str) -> str:
    where = f"{quote(client.writer)}/{provider}/{quote(case)}"
    return f"{server.url}/{where}{ROUTES[client.writer]}"


@cache
def case_of(provider: str, name: str) -> Case:
    """Return what a recorded answer says, as a case of the clients' matrix."""
    dialect, body = PROVIDERS[provider][0], answers_of(provider)[name]
    items = list(read_events(body, dialect=dialect, format=LINES.get(provider, "sse")))
    column = "conversation" if name == "conversation" else provider
    return Case(column, items, "." if isinstance(items[-1], events.Error) else None)


def cells() -> Iterator[Any]:
    """Yield the long conversations for each client, and other answers for one of each protocol."""
    for provider in PROVIDERS:
        for number, name in enumerate(answers_of(provider)):
            for writer in ROUTES:
                clients = [client for client in THROUGH if client.writer == writer]
                if name not in ("conversation", BEGINNINGS[provider]):
                    clients = [clients[number % len(clients)]]
                for client in clients:
                    yield pytest.param(client, provider, name, id=f"{client} ◄ {provider}: {name}")


@pytest.mark.parametrize(("client", "provider", "name"), list(cells()))
def test_what_a_service_says_is_understood(
    server: Server, readers: Any, client: Client, provider: str, name: str
) -> None:
    case = case_of(provider, name)
    read, url = readers(client), url_of(server, client, provider, name)
    if case.fails is not None:
        check_failure(read, url, client, case)
        return
    if (refused := OWN_REFUSALS.get((str(client), str(reason_of(case))))) is not None:
        with pytest.raises(Exception, match=refused):
            read(url)
        return
    said = read(url)
    assert said is not None
    expected = understood(case, client)
    fields = fields_of(case, client) - not_kept(client, case)
    found = said.fields(fields)
    for results in (each for each in (expected, found) if "results" in each):
        # Services without a type for them send JSON as text, which some clients parse.
        results["results"] = [(*about, parsed(value), bad) for *about, value, bad in
                              results["results"]]  # fmt: skip
    assert found == {name: expected[name] for name in sorted(fields)}


def parsed(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value[:1] in ("[", "{") else value


def check_failure(read: Read, url: str, client: Client, case: Case) -> None:
    """See that a client is told of a failure, and not of the service's key."""
    (failed,) = (each for each in case.items if isinstance(each, events.Error))
    cut = WRITERS[client.writer].cut if failed.code == "truncated" else None
    if cut is not None:
        said = read(url)
        assert said is not None
        assert said.finish_reason == cut
        return
    with pytest.raises(Exception, match=r".") as raised:
        read(url)
    assert SECRET not in str(raised.value)


PAIRS = [
    pytest.param(client, provider, id=f"{client} ◄ {provider}")
    for client in THROUGH
    for provider in PROVIDERS
]


@pytest.mark.parametrize(("client", "provider"), PAIRS)
def test_a_client_that_leaves_ends_the_request_to_the_service(
    server: Server, services: Services, readers: Any, client: Client, provider: str
) -> None:
    assert readers(client)(url_of(server, client, provider, "leave"), leave=True) is None
    assert services.left.get(timeout=SECONDS) == provider


@pytest.mark.parametrize(("client", "provider"), PAIRS)
def test_a_service_that_dies_is_a_failure_to_its_client(
    server: Server, readers: Any, client: Client, provider: str
) -> None:
    case = Case("cut", [events.Error("it was cut", "truncated")], ".")
    check_failure(readers(client), url_of(server, client, provider, "dies"), client, case)


STATUSES = {"401": 502, "429": 429, "500": 502, "200": 502, "nothing": 502}


@pytest.mark.parametrize("refusal", STATUSES)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_refusal_has_a_status_and_neither_key_nor_html(
    server: Server, provider: str, refusal: str
) -> None:
    for writer, path, body in (
        ("openai_chat", "/v1/chat/completions", {"model": "m", "messages": HI}),
        ("openai_responses", "/v1/responses", {"model": "m", "input": "Hi", "stream": True}),
        ("anthropic", "/v1/messages", {"model": "m", "max_tokens": 5, "messages": HI}),
    ):
        answer = httpx.post(f"{server.url}/{writer}/{provider}/{refusal}{path}", json=body)
        assert answer.status_code == STATUSES[refusal], answer.text
        assert answer.headers.get("retry-after") == ("7" if refusal == "429" else None)
        assert isinstance(answer.json()["error"]["message"], str)
        assert SECRET not in answer.text
        assert "<" not in answer.json()["error"]["message"]


@pytest.mark.parametrize(("client", "provider"), PAIRS)
def test_a_refusal_is_a_failure_to_each_client(
    server: Server, readers: Any, client: Client, provider: str
) -> None:
    refusal = list(STATUSES)[list(PROVIDERS).index(provider)]  # each once a client
    case = Case("refused", [events.Error("it refused")], ".")
    check_failure(readers(client), url_of(server, client, provider, refusal), client, case)
