"""Each client understands each case of what its protocol's writer sends, over loopback.

The tables are in tests/support/client_matrix.py; `make clients` prints the matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from client_matrix import (
    CASES,
    CLIENTS,
    IDLE_SECONDS,
    READ_TIMEOUT,
    SECRET,
    WRITERS,
    Case,
    Client,
    Endpoint,
    fields_of,
    not_applicable,
    understood,
    url_of,
)
from openai_readers import Read
from real_servers import Server, serve_uvicorn, until
from required import once_a_check
from vendor_clients import SECONDS

once_a_check()
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:litellm"),
    # Pydantic AI skips the results of calls in a response
    pytest.mark.filterwarnings("ignore:Handling of this item type is not yet implemented"),
]
ENDPOINT = Endpoint()
Cell = Any  # records the result of a column for a client


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve_uvicorn(ENDPOINT, "h11", "asyncio", interface="asgi3") as running:
        yield running


@pytest.fixture(scope="module")
def readers() -> Iterator[Callable[[Client], Read]]:
    """Return a function that opens a client, once for all of its tests."""
    with ExitStack() as stack:
        opened: dict[str, Read] = {}

        def open_once(client: Client) -> Read:
            if str(client) not in opened:
                opened[str(client)] = stack.enter_context(client.open(SECONDS))
            return opened[str(client)]

        yield open_once


@pytest.fixture
def read(readers: Callable[[Client], Read], client: Client) -> Read:
    return readers(client)


def check(read: Read, url: str, client: Client, case: Case, **more: Any) -> None:
    """Compare what a client understands with the events, field by field."""
    said = read(url, **more)
    assert said is not None
    assert said.fields(fields_of(case, client)) == understood(case, client)


def params(*columns: str, fails: bool = False) -> Any:
    """Parametrize a test by its cells of the matrix: all that apply."""
    chosen = [
        (client, name)
        for client in CLIENTS
        for name, case in CASES.items()
        if case.column in columns and (case.fails is not None) is fails
        and case.needs <= WRITERS[client.writer].says
        and not_applicable(client, case.column) is None
    ]  # fmt: skip
    ids = [f"{client}: {name}" for client, name in chosen]
    return pytest.mark.parametrize(("client", "name"), chosen, ids=ids)


@params("conversation", "pairs", "heartbeats", "faults")
def test_what_was_said_is_understood(
    server: Server, client: Client, read: Read, name: str, record_property: Cell
) -> None:
    case = CASES[name]
    record_property("cell", [str(client), case.column])
    check(read, url_of(server.url, client, name), client, case)


@params("refused", "failed", "cut", "died", "faults", fails=True)
def test_a_failure_is_seen(
    server: Server, client: Client, read: Read, name: str, record_property: Cell
) -> None:
    case = CASES[name]
    record_property("cell", [str(client), case.column])
    url = url_of(server.url, client, name)
    reason = WRITERS[client.writer].cut
    if case.column == "cut" and reason is not None:
        said = read(url)
        assert said is not None
        assert (said.text, said.finish_reason) == ("a", reason)
        return
    with pytest.raises(Exception, match=str(case.fails)) as raised:
        read(url)
    assert SECRET not in str(raised.value)


@params("broken")
def test_a_broken_frame_fails_the_comparison(
    server: Server, client: Client, read: Read, name: str, record_property: Cell
) -> None:
    case = CASES[name]
    record_property("cell", [str(client), case.column])
    with pytest.raises(Exception, match=r"."):
        check(read, url_of(server.url, client, name), client, case)
    check(read, url_of(server.url, client, "conversation"), client, case)


@params("leave")
def test_a_client_that_leaves_closes_the_source(
    server: Server, client: Client, read: Read, name: str, record_property: Cell
) -> None:
    record_property("cell", [str(client), CASES[name].column])
    tasks = server.tasks()
    assert read(url_of(server.url, client, name), leave=True) is None
    outcome = ENDPOINT.left.get(timeout=1)
    assert (outcome.kind, outcome.source_closed, outcome.error) == ("client_gone", True, None)
    until(lambda: server.tasks() <= tasks)


def test_a_minute_of_silence_is_borne(server: Server, record_property: Cell) -> None:
    """All clients wait at the same time; those that can give up would have, but for heartbeats."""
    case = CASES["idle"]

    def wait(client: Client) -> str | None:
        try:
            with client.open(IDLE_SECONDS + SECONDS) as read:
                url = url_of(server.url, client, "idle")
                check(read, url, client, case, timeout=READ_TIMEOUT)
        except (Exception, pytest.fail.Exception) as error:
            return f"{client}: {error!r}"
        return None

    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(len(CLIENTS)))
        failures = list(pool.map(wait, CLIENTS))
    for client, failure in zip(CLIENTS, failures, strict=True):
        result = "passed" if failure is None else "failed"
        record_property("cell", [str(client), case.column, result])
    assert [each for each in failures if each] == []
