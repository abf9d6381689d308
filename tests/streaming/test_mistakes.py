"""Mistakes in a source: the status of the response, and the line in the log that names them."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from types import ModuleType
from typing import Any

import pytest
from frames import PRELUDE, said
from scripted_asgi import Connection
from wsgi_answer import ask_wsgi

LINE = "tests/streaming/test_mistakes.py:"
MEND = 'for your own JSON objects pass dialect="json"'


def own_objects() -> Iterator[Any]:
    yield {"mine": 1}


async def own_objects_async() -> Any:
    yield {"mine": 1}


async def fails_later(error: Exception) -> Any:
    yield "a"
    raise error


async def served(response: Any, **scope: Any) -> Connection:
    return await Connection(path="/chat", **scope).serve(response)


def test_a_mistake_before_the_first_byte_is_500_and_logged(
    gs: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    shown = asyncio.run(served(gs.asgi.SSEResponse(own_objects_async()))).status
    assert shown == 500
    for app in (gs.wsgi.SSEResponse(own_objects()), gs.wsgi.NDJSONResponse(own_objects_async())):
        status, body = ask_wsgi(app)
        assert status == "500 Internal Server Error"
        assert body == b'{"error":{"code":"internal","message":"internal error"}}'
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 3
    for message, name in zip(messages, ("_async", "", "_async"), strict=True):
        assert f"the source own_objects{name} (" in message
        assert LINE in message
        assert "failed in GET '/chat': a dict needs a 'type'" in message
        assert message.endswith(MEND)


def test_a_mistake_after_the_first_byte_and_without_a_request_is_logged_too(
    gs: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    response = gs.asgi.SSEResponse(fails_later(ValueError("hidden")))
    connection = asyncio.run(served(response, endpoint=own_objects))
    assert connection.body.startswith(PRELUDE + said("a"))
    assert b"".join(gs.sse(own_objects())).startswith(PRELUDE + b"event: error\n")
    first, second = [record.getMessage() for record in caplog.records]
    assert "the source fails_later (" in first
    assert " failed in GET '/chat', endpoint own_objects (" in first
    assert "hidden" not in first  # it is in the traceback
    assert "hidden" in caplog.text
    assert "the source own_objects (" in second
    assert second.endswith(MEND)


def test_lists_and_unsafe_paths_are_readable_in_the_log(
    gs: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    connection = Connection(path="/a\n" + "x" * 500)
    asyncio.run(connection.serve(gs.asgi.SSEResponse([5])))
    [message] = [record.getMessage() for record in caplog.records]
    assert message.startswith("the source list failed in GET '/a\\n")
    assert "\n" not in message
    assert len(message) < 500


def test_any_failure_of_a_provider_is_502(gs: ModuleType) -> None:
    class Provider:
        async def stream_text(self, _: Any) -> Any:
            yield {"mine": 1}

    handler = gs.asgi.sse_handler(Provider(), lambda request: request)
    assert asyncio.run(served(handler)).status == 502
    handler = gs.wsgi.sse_handler(Provider(), lambda request: request)
    assert ask_wsgi(handler)[0] == "502 Bad Gateway"


def test_a_payload_that_json_cannot_encode_is_logged_with_its_hook(
    gs: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    def balance() -> Iterator[Any]:
        yield gs.events.ToolResult("1", "balance", {"amount": Decimal("1.50")})

    assert b"internal error" in b"".join(gs.sse(balance()))
    [message] = [record.getMessage() for record in caplog.records]
    assert "cannot encode Decimal at $.result.amount; `default` in SSEOptions" in message
    whole = b"".join(gs.sse(balance(), gs.SSEOptions(default=str)))
    assert b'"amount":"1.50"' in whole
    lines = b"".join(gs.ndjson(balance(), gs.NDJSONOptions(default=str, compact_json=False)))
    assert b'"amount": "1.50"' in lines
    out: list[bytes] = []
    with gs.SSEWriter(out.append, gs.SSEOptions(default=float)) as writer:
        writer.write_event("own", {"a": Decimal("0.5")})
        writer.write_frame(json=[Decimal(2)])
    assert b'data: {"a":0.5}\n' in b"".join(out)
    assert b"data: [2.0]\n" in b"".join(out)
    assert len(caplog.records) == 1


def test_a_hook_that_fails_fails_the_stream(
    gs: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    options = gs.SSEOptions(default=lambda value: value.missing)
    body = b"".join(gs.sse(iter([{"a": Decimal(1)}]), options, dialect="json"))
    assert b"internal" in body
    assert "cannot encode Decimal at $.a: AttributeError: " in caplog.text


# ---- the logger ----

CONFIGURED = """if True:
    import logging.config
    import gaistream.asgi, gaistream.wsgi, gaistream.frameworks, gaistream.providers.openai
    from gaistream import sse
    logging.config.dictConfig({"version": 1, "handlers": {"h": {"class": "logging.StreamHandler",
        "stream": "ext://sys.stdout"}}, "root": {"level": "INFO", "handlers": ["h"]}})
    logging.raiseExceptions = True
    def source():
        yield "a"
        raise ValueError("boom")
    b"".join(sse(source()))
    from gaistream.providers.http_provider import _log
    _log.warning("told by %s", "the provider")
"""


def test_a_configuration_after_the_import_does_not_silence_the_log() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CONFIGURED], text=True, capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "ValueError: boom" in done.stdout
    assert "told by the provider" in done.stdout


def test_importing_creates_no_logger() -> None:
    program = """if True:
        import logging, gaistream.asgi, gaistream.wsgi, gaistream.providers.openai
        print([name for name in logging.root.manager.loggerDict if "gaistream" in name])
    """
    done = subprocess.run([sys.executable, "-c", program], text=True, capture_output=True)
    assert done.stdout == "[]\n", done.stderr


def test_the_logger_has_the_documented_name() -> None:
    from gaistream._log import log

    assert log.handlers is logging.getLogger("gaistream").handlers


# ---- extras that are missing ----

MISSING = """if True:
    import sys
    for name in {missing!r}:
        sys.modules[name] = None
    try:
        {use}
    except ImportError as error:
        print(error)
"""
EXTRAS = {
    "starlette": (
        ["starlette"],
        "import gaistream.frameworks.starlette",
        "gaistream.frameworks.starlette needs starlette: pip install 'gaistream[starlette]'",
    ),
    "anyio": (
        ["anyio"],
        "import gaistream.frameworks.starlette",
        "gaistream.frameworks.starlette needs starlette: pip install 'gaistream[starlette]'",
    ),
    "the demo": (
        ["uvicorn"],
        "import gaistream.cli.demo",
        "gaistream.cli.demo needs uvicorn: pip install 'gaistream[demo]'",
    ),
}


@pytest.mark.parametrize("case", EXTRAS.values(), ids=EXTRAS.keys())
def test_a_missing_extra_is_named(case: Any) -> None:
    missing, use, message = case
    program = MISSING.format(missing=missing, use=use)
    done = subprocess.run([sys.executable, "-c", program], text=True, capture_output=True)
    assert done.stdout == f"{message}\n", done.stderr
