"""Invalid settings of responses and handlers, and unknown keywords."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from types import ModuleType
from typing import Any

import pytest
from scripted_asgi import Connection


class Provider:
    async def stream_text(self, _: Any) -> Any:
        yield "a"


def same(request: Any) -> Any:
    return request


def makers(gs: ModuleType) -> list[Any]:
    """Return functions that make a response from settings, one for each class."""
    modules = [gs.asgi, gs.wsgi]
    made = [getattr(module, f"{name}Response") for module in modules for name in ("SSE", "NDJSON")]
    return [lambda kind=kind, **settings: kind([], **settings) for kind in made]


def handlers(gs: ModuleType) -> list[Any]:
    return [
        getattr(module, name)
        for module in (gs.asgi, gs.wsgi)
        for name in ("sse_handler", "ndjson_handler", "event_handler")
    ]


HEADERS = {
    "a blank in front": ({"X-A": " a"}, "blanks around a value: 'X-A': ' a'"),
    "a tab at the end": ({"X-A": "a\t"}, r"blanks around a value: 'X-A': 'a\\t'"),
    "a blank": ({"X-A": " "}, "blanks around a value"),
    **{
        name: ({name: "x"}, f"must not hold {name!r}, which the server writes itself")
        for name in ("Content-Length", "transfer-encoding", "Connection", "Keep-Alive", "TE")
        + ("Trailer", "Upgrade", "Proxy-Connection", "Proxy-Authenticate")
    },
}


@pytest.mark.parametrize("case", HEADERS.values(), ids=HEADERS.keys())
def test_headers_that_could_not_be_sent_are_refused_at_once(
    gs: ModuleType, case: Any
) -> None:
    headers, message = case
    for make in makers(gs):
        with pytest.raises(gs.errors.FrameError, match=message):
            make(headers=headers)
    for handler in handlers(gs):
        with pytest.raises(gs.errors.FrameError, match=message):
            handler(Provider(), same, headers=headers)


@pytest.mark.parametrize("status", [100, 101, 199, 204, 205, 304, HTTPStatus.NO_CONTENT, 600])
def test_a_status_without_a_body_is_refused(gs: ModuleType, status: int) -> None:
    for make in makers(gs):
        with pytest.raises(gs.errors.FrameError, match=r"^status must be "):
            make(status=status)


def test_valid_settings_are_accepted(gs: ModuleType) -> None:
    headers = {"X-Empty": "", "X-A": "a b\tc", "Content-Encoding": "identity"}
    for make in makers(gs):
        for status in (200, 201, 206, 299, 303, 305, 404, 599, HTTPStatus.ACCEPTED):
            make(status=status, headers=headers)


def test_starlettes_responses_refuse_them_too_and_the_stand_in_drops_connection_headers() -> None:
    pytest.importorskip("starlette", reason="Starlette is not installed")
    from gaistream.errors import FrameError
    from gaistream.frameworks import starlette as face

    for kind in (face.SSEResponse, face.NDJSONResponse, face.EventSourceResponse):
        with pytest.raises(FrameError, match=r"^status must be one with a body, not 204"):
            kind([], status_code=204)
        with pytest.raises(FrameError, match="blanks around"):
            kind([], headers={"X-A": "a "})
    for kind in (face.SSEResponse, face.NDJSONResponse):
        with pytest.raises(FrameError, match="which the server writes itself"):
            kind([], headers={"Connection": "keep-alive"})
    headers = {"Connection": "close", "content-length": "5", "X-Mine": "1"}
    served = asyncio.run(Connection().serve(face.EventSourceResponse([], headers=headers)))
    assert served.headers["x-mine"] == "1"
    assert served.headers["connection"] == "keep-alive"
    assert "content-length" not in served.headers


# ---- unknown keywords ----


def refused(call: Any, **keywords: Any) -> str:
    with pytest.raises(TypeError) as caught:
        call(**keywords)
    return str(caught.value)


def test_an_unknown_keyword_names_the_public_class_and_the_options(gs: ModuleType) -> None:
    for module in (gs.asgi, gs.wsgi):
        for kind in (module.SSEResponse, module.NDJSONResponse):
            options = kind.__name__.replace("Response", "Options")
            message = refused(lambda kind=kind, **given: kind([], **given), heartbeat_interval=5)
            assert message == (
                f"{kind.__name__}() got an unexpected keyword argument 'heartbeat_interval': "
                f"it is an option, {options}(heartbeat_interval=...)"
            )
            message = refused(lambda kind=kind, **given: kind([], **given), status_code=201)
            assert message.startswith(
                f"{kind.__name__}() got an unexpected keyword argument 'status_code': it takes "
                "status, headers, dialect, cors, "
            )
            assert message.endswith(f", and the options of {options}")
            assert "_runner" not in message


def test_an_unknown_keyword_of_an_iterator_names_it_and_the_options(gs: ModuleType) -> None:
    message = refused(lambda **given: gs.sse([], **given), retry_ms=5)
    assert message == (
        "sse() got an unexpected keyword argument 'retry_ms': "
        "it is an option, SSEOptions(retry_ms=...)"
    )
    message = refused(lambda **given: gs.ndjson([], **given), cors="*")
    assert message == (
        "ndjson() got an unexpected keyword argument 'cors': it takes dialect, cleanup_timeout, "
        "source_timeout, and the options of NDJSONOptions"
    )


def test_an_unknown_keyword_of_a_handler_names_it_and_the_options(gs: ModuleType) -> None:
    for handler in handlers(gs):
        name = handler.__name__
        both = name == "event_handler"
        kind = "NDJSONOptions" if name == "ndjson_handler" else "SSEOptions"
        message = refused(lambda h=handler, **given: h(Provider(), same, **given), include_id=False)
        if name == "ndjson_handler":
            assert message.endswith(", and the options of NDJSONOptions")
        else:
            assert message.endswith(f"it is an option, {kind}(include_id=...)")
        message = refused(lambda h=handler, **given: h(Provider(), same, **given), status=201)
        first = "sse_options, ndjson_options, on_reconnect" if both else "options, "
        assert message.startswith(
            f"{name}() got an unexpected keyword argument 'status': it takes {first}"
        )
    message = refused(lambda **given: gs.asgi.ndjson_handler(Provider(), same, **given),
                   on_reconnect="end")
    assert message.startswith("ndjson_handler() got an unexpected keyword argument 'on_reconnect'")


def test_an_unknown_keyword_of_starlettes_responses_names_them() -> None:
    pytest.importorskip("starlette", reason="Starlette is not installed")
    from gaistream.frameworks.starlette import NDJSONResponse, SSEResponse

    message = refused(lambda **given: SSEResponse([], **given), status=201)
    assert message.startswith("SSEResponse() got an unexpected keyword argument 'status': it")
    assert "status_code, headers, background" in message
    message = refused(lambda **given: NDJSONResponse([], **given), compact_json=False)
    assert message.endswith("NDJSONOptions(compact_json=...)")
