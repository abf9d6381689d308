"""The apps that `server.py` measures: one producer, said by gaistream and by each of its peers.

Every app serves the same paths, /KIND/COUNT, and each path names a producer of SOURCES. A producer
yields what `say` makes of a token, so that no peer pays for a generator between. `raw` is what all
are compared with: ASGI by hand, the producer's loop in place, one pre-made event a send.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from feeder import Feeder
from payloads import TOKEN, TOKEN_FRAME

Say = Callable[[str], Any]


# ---- producers ----


async def burst(feeder: Feeder, say: Say, count: int) -> AsyncIterator[Any]:
    """Give `count` tokens without ever awaiting, once it has begun."""
    await feeder.begins()
    for _ in range(count):
        yield say(TOKEN)


async def fed(feeder: Feeder, say: Say, count: int) -> AsyncIterator[Any]:  # noqa: ARG001
    """Give each token that an engine puts into a queue, as it comes."""
    queue = feeder.queue()
    while (token := await queue.get()) is not None:
        yield say(token)


async def stamped(feeder: Feeder, say: Say, count: int) -> AsyncIterator[Any]:  # noqa: ARG001
    """Give the times at which a token was put into the queue, and yielded."""
    queue = feeder.queue()
    while (token := await queue.get()) is not None:
        yield say(f"{token} {time.monotonic_ns()}")


def sync_burst(feeder: Feeder, say: Say, count: int) -> Iterator[Any]:
    """Give `count` tokens one behind the other, once it has begun."""
    feeder.begins_in_thread()
    for _ in range(count):
        yield say(TOKEN)


def sync_fed(feeder: Feeder, say: Say, count: int) -> Iterator[Any]:  # noqa: ARG001
    """Block for each token that an engine puts into a queue."""
    queue = feeder.queue_for_thread()
    while (token := queue.get()) is not None:
        yield say(token)


SOURCES: dict[str, Any] = {
    "burst": burst,
    "fed": fed,
    "stamped": stamped,
    "sync_burst": sync_burst,
    "sync_fed": sync_fed,
}


def parts(path: str) -> tuple[str, int]:
    _, kind, count = path.split("/")
    return kind, int(count)


def source(feeder: Feeder, say: Say, path: str) -> Any:
    """Open the producer that a path names."""
    kind, count = parts(path)
    return SOURCES[kind](feeder, say, count)


# ---- how each peer says a token ----


def said_by_hand(token: str) -> str:
    return f"event: text_delta\ndata: {orjson.dumps({'text': token}).decode()}\n\n"


def said_as_dict(token: str) -> dict[str, str]:
    return {"event": "text_delta", "data": orjson.dumps({"text": token}).decode()}


def said_as_payload(token: str) -> dict[str, str]:
    return {"text": token}


# ---- apps: each takes the feeder and the seconds of idleness before a heartbeat ----

START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")],
}
BODY = "http.response.body"


def raw(feeder: Feeder, heartbeat: float) -> Any:  # noqa: ARG001
    async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001
        kind, count = parts(scope["path"])
        await send(START)
        if kind == "burst":
            await feeder.begins()
            for _ in range(count):
                await send({"type": BODY, "body": TOKEN_FRAME, "more_body": True})
        else:
            queue = feeder.queue()
            while (token := await queue.get()) is not None:
                frame = TOKEN_FRAME
                if kind == "stamped":
                    text = f"{token} {time.monotonic_ns()}".encode()
                    frame = b'event: text_delta\ndata: {"text":"%b"}\n\n' % text
                await send({"type": BODY, "body": frame, "more_body": True})
        await send({"type": BODY, "body": b"", "more_body": False})

    return app


def raw_generator(feeder: Feeder, heartbeat: float) -> Any:  # noqa: ARG001
    """The same from a producer that is a generator, as every other peer has one."""

    async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001
        await send(START)
        async for _ in source(feeder, str, scope["path"]):
            await send({"type": BODY, "body": TOKEN_FRAME, "more_body": True})
        await send({"type": BODY, "body": b"", "more_body": False})

    return app


def gaistream_asgi(feeder: Feeder, heartbeat: float, **options: Any) -> Any:
    from gaistream import SSEOptions, asgi
    from gaistream.events import TextDelta

    options_ = SSEOptions(heartbeat_interval=heartbeat, **options)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        response = asgi.SSEResponse(source(feeder, TextDelta, scope["path"]), options_)
        await response(scope, receive, send)

    return app


class Pushed:
    """A channel in the place of a queue."""

    def __init__(self, channel: Any, *, stamped: bool) -> None:
        put = channel.put_nowait
        self.put_nowait = (
            (lambda token: put(f"{token} {time.monotonic_ns()}")) if stamped else put
        )
        self.end = channel.close

    def empty(self) -> bool:
        return True


def gaistream_channel(feeder: Feeder, heartbeat: float) -> Any:
    """A channel that the engine puts into, or a task that never waits."""
    from gaistream import Channel, SSEOptions, asgi
    from gaistream.events import TextDelta

    options = SSEOptions(heartbeat_interval=heartbeat)

    async def put_all(channel: Channel[str | TextDelta], count: int) -> None:
        await feeder.begins()
        for _ in range(count):
            await channel.put(TextDelta(TOKEN))
        channel.close()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        kind, count = parts(scope["path"])
        channel = Channel[str | TextDelta]()
        if kind == "burst":
            putting = asyncio.create_task(put_all(channel, count))
        else:
            feeder.add(Pushed(channel, stamped=kind == "stamped"))
        await asgi.SSEResponse(channel, options)(scope, receive, send)
        if kind == "burst":
            await putting

    return app


def on_starlette(respond: Callable[[str], Any]) -> Any:
    """Make a Starlette app of what answers a path."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    async def endpoint(request: Any) -> Any:
        return respond(request.url.path)

    return Starlette(routes=[Route("/{kind}/{count}", endpoint)])


def gaistream_starlette(feeder: Feeder, heartbeat: float) -> Any:
    from gaistream import SSEOptions
    from gaistream.events import TextDelta
    from gaistream.frameworks.starlette import SSEResponse

    options = SSEOptions(heartbeat_interval=heartbeat)
    return on_starlette(lambda path: SSEResponse(source(feeder, TextDelta, path), options))


def starlette(feeder: Feeder, heartbeat: float) -> Any:  # noqa: ARG001
    from starlette.responses import StreamingResponse

    def respond(path: str) -> Any:
        return StreamingResponse(
            source(feeder, said_by_hand, path), media_type="text/event-stream"
        )

    return on_starlette(respond)


def on_no_framework(respond: Callable[[str], Any]) -> Any:
    """Make an ASGI app of what answers a path."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await respond(scope["path"])(scope, receive, send)

    return app


def event_source(package: str, serve: Callable[[Any], Any] = on_starlette) -> Any:
    """Return what makes an app of sse-starlette's response, or of the one that stands in for it."""

    def make(feeder: Feeder, heartbeat: float) -> Any:
        kind = importlib.import_module(package).EventSourceResponse
        return serve(
            lambda path: kind(source(feeder, said_as_dict, path), ping=heartbeat, sep="\n")
        )

    return make


STAND_IN = "gaistream.frameworks.sse_starlette"


def fastapi_native(feeder: Feeder, heartbeat: float) -> Any:
    """FastAPI's own events, in their cheapest form: dicts, which are JSON, without a name."""
    import fastapi.routing
    from fastapi.sse import EventSourceResponse

    fastapi.routing._PING_INTERVAL = heartbeat
    app = fastapi.FastAPI()
    for kind, producer in SOURCES.items():
        endpoint = functools.partial(producer, feeder, said_as_payload)
        app.get(f"/{kind}/{{count}}", response_class=EventSourceResponse)(endpoint)
    return app


def gaistream_fastapi(feeder: Feeder, heartbeat: float, *, returned: bool) -> Any:
    """The same endpoints with the import changed, or with one that returns the response."""
    import fastapi

    from gaistream.frameworks.fastapi import EventSourceResponse

    response = EventSourceResponse.using(heartbeat_interval=heartbeat)
    app = fastapi.FastAPI()
    for kind, producer in SOURCES.items():
        endpoint: Any = functools.partial(producer, feeder, said_as_payload)
        if returned:
            app.get(f"/{kind}/{{count}}")(functools.partial(_respond, response, endpoint))
        else:
            app.get(f"/{kind}/{{count}}", response_class=response)(endpoint)
    return app


async def _respond(response: Any, endpoint: Any, count: int) -> Any:
    return response(endpoint(count))


def litestar(feeder: Feeder, heartbeat: float) -> Any:  # noqa: ARG001
    from litestar import Litestar, get
    from litestar.response import ServerSentEvent

    @get("/{kind:str}/{count:int}", media_type="text/event-stream")
    async def endpoint(kind: str, count: int) -> Any:
        return ServerSentEvent(source(feeder, said_as_dict, f"/{kind}/{count}"))

    return Litestar([endpoint], openapi_config=None)


@dataclass(frozen=True)
class Peer:
    """An app to measure.

    Attributes:
        make: gives the ASGI app.
        needs: the distributions that it is made of.
        ends: the data of the frame that it writes at the end, behind the tokens.
    """

    make: Callable[[Feeder, float], Any]
    needs: tuple[str, ...] = ()
    ends: bytes | None = None


DONE = b'{"finished":true}'
FLUSHED = functools.partial(gaistream_asgi, flush_after_write=False, flush_interval=0.02)
PEERS: dict[str, Peer] = {
    "raw ASGI": Peer(raw),
    "raw ASGI, a generator": Peer(raw_generator),
    "gaistream asgi": Peer(gaistream_asgi, ends=DONE),
    "gaistream channel": Peer(gaistream_channel, ends=DONE),
    "gaistream starlette": Peer(gaistream_starlette, ("starlette",), DONE),
    "gaistream, flushed after 20 ms": Peer(FLUSHED, ends=DONE),
    "Starlette + orjson": Peer(starlette, ("starlette", "orjson")),
    "sse-starlette": Peer(event_source("sse_starlette"), ("sse-starlette", "orjson")),
    "sse-starlette, no framework": Peer(
        event_source("sse_starlette", on_no_framework), ("sse-starlette", "orjson")
    ),
    "gaistream for sse-starlette": Peer(event_source(STAND_IN), ("starlette", "orjson")),
    "gaistream for sse-starlette, no framework": Peer(
        event_source(STAND_IN, on_no_framework), ("starlette", "orjson")
    ),
    "fastapi native": Peer(fastapi_native, ("fastapi",)),
    "gaistream fastapi, returned": Peer(
        functools.partial(gaistream_fastapi, returned=True), ("fastapi",)
    ),
    "gaistream fastapi, yielded": Peer(
        functools.partial(gaistream_fastapi, returned=False), ("fastapi",)
    ),
    "litestar": Peer(litestar, ("litestar", "orjson")),
}
