"""Errors before the first byte, as the vendors' own clients raise and retry them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from real_servers import serve_uvicorn
from required import need_package, once_a_check

import gaistream
from gaistream import asgi

once_a_check()

STATUSES = {
    400: "BadRequestError", 401: "AuthenticationError", 403: "PermissionDeniedError",
    404: "NotFoundError", 429: "RateLimitError", 500: "InternalServerError",
    502: "InternalServerError", 504: "InternalServerError",
}  # fmt: skip
MESSAGES: list[Any] = [{"role": "user", "content": "Hi"}]


class Server:
    """Fails each request with the status that it names as its model; counts the requests."""

    def __init__(self) -> None:
        self.url = ""
        self.requests = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        self.requests += 1
        status = int(json.loads(body)["model"])
        dialect: Any = "anthropic" if scope["path"].endswith("/messages") else "openai_chat"

        async def source() -> Any:
            raise gaistream.StreamError(
                "no room\u2028\u00e9", code="mine", status=status,
                retry_after=7 if status == 429 else None,
            )  # fmt: skip
            yield

        await asgi.SSEResponse(source(), dialect=dialect)(scope, receive, send)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    app = Server()
    with serve_uvicorn(app, "h11", "asyncio") as running:
        app.url = running.url
        yield app


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The seconds that a client waits before each retry, which it does not wait here."""
    found: list[float] = []
    monkeypatch.setattr("time.sleep", found.append)
    return found


def ask(vendor: str, url: str, status: int) -> Any:
    """Ask the vendor's client, and return the exception that it raises."""
    need_package(vendor, "clients")
    module = __import__(vendor)
    if vendor == "openai":
        client = module.OpenAI(base_url=url, api_key="k")
        call = client.chat.completions.create
    else:
        client = module.Anthropic(base_url=url, api_key="k")
        call = client.messages.create
    limit = {} if vendor == "openai" else {"max_tokens": 5}
    with client, pytest.raises(module.APIStatusError) as raised:
        call(model=str(status), messages=MESSAGES, stream=True, **limit)
    return raised.value


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
@pytest.mark.parametrize("status", STATUSES)
def test_the_client_raises_its_class_with_our_message(
    server: Server, waits: list[float], vendor: str, status: int
) -> None:
    server.requests = 0
    error = ask(vendor, server.url, status)
    assert STATUSES[status] in [each.__name__ for each in type(error).__mro__]
    assert error.status_code == status
    if vendor == "openai":
        assert "no room\u2028\u00e9" in error.message
        assert (error.code, error.param) == ("mine", None)
        assert error.type == error.body["type"]
    else:
        assert error.body["error"]["message"] == "no room\u2028\u00e9"
    retries = 2 if status >= 429 else 0
    assert server.requests == 1 + retries
    assert len(waits) == retries
    assert status != 429 or waits == [7, 7]  # as Retry-After says


@pytest.mark.parametrize(("vendor", "name"), [
    ("openai", "InternalServerError"), ("anthropic", "OverloadedError"),
])  # fmt: skip
def test_an_overload_is_the_vendors_own_and_is_retried(
    server: Server, waits: list[float], vendor: str, name: str
) -> None:
    server.requests = 0
    error = ask(vendor, server.url, 503)
    assert type(error).__name__ == name
    assert error.status_code == {"openai": 503, "anthropic": 529}[vendor]
    assert server.requests == 3
