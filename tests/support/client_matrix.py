"""The matrix: who reads what we write, and the cases that each client goes through.

To add a protocol add a line to WRITERS; to add a client a line to CLIENTS, whose `open` yields a
function as vendor_readers.py describes it. A case is a line of CASES, and needs no line a client.
"""

from __future__ import annotations

import asyncio
import math
import queue
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, unquote

from ag_ui_clients import of_run, read_by_types
from conversations import ALTERNATING, FULL, PAIRS, Understood, expected
from openai_readers import (
    Read,
    join_chunks,
    litellm,
    of_completion,
    openai_create,
    openai_stream,
)
from openai_streams import DONE, body_of, call, chunk
from responses_readers import of_events, of_response, responses_create, responses_stream
from vendor_readers import (
    anthropic_create,
    anthropic_stream,
    node,
    of_message,
    of_ui_message,
    pydantic_ai_reads,
    python,
)

import gaistream
from gaistream import asgi, dialects, events

IDLE_SECONDS: Final = 60
READ_TIMEOUT: Final = 25  # of a client, longer than a heartbeat's interval
SECRET: Final = "the key is sk-123"
PUBLIC: Final = "no room"
LATER: Final = object()  # the source waits here: for a minute, or until it is closed
Open = Callable[[float], AbstractContextManager[Read]]


@dataclass(frozen=True)
class Writer:
    """A protocol as the server writes it.

    Attributes:
        dialect: the server's argument.
        says: the fields of `Understood` that the protocol has.
        reasons: finish reasons that it says by another one.
        places: False if its citations have no place in the text.
        cut: the finish reason by which clients see a cut upstream; None: they fail.
        is_text: True if its answers are plain text.
        tells_tools: False if its calls of a provider's tools look like the client's.
    """

    dialect: Any
    says: frozenset[str]
    reasons: Mapping[str, str] = field(default_factory=dict)
    places: bool = True
    cut: str | None = None
    is_text: bool = False
    tells_tools: bool = True


_MESSAGE = frozenset(
    "id model text reasoning signatures calls citations usage finish_reason".split()
)
_BLOCKS = _MESSAGE | {"server_calls", "order"}
_UI = {"says": _BLOCKS | {"results"}, "reasons": {"cancelled": "other", "pause": "other"}}
WRITERS: Final[dict[str, Writer]] = {
    "openai_chat": Writer(
        dialects.openai_chat(include_usage=True), _MESSAGE, {"cancelled": "stop", "pause": "stop"}
    ),
    "openai_responses": Writer(
        "openai_responses", _MESSAGE | {"order"}, {"pause": "stop"}, tells_tools=False
    ),
    "anthropic": Writer("anthropic", _BLOCKS, {"cancelled": "stop"}, places=False),
    "ai_sdk 5": Writer(dialects.ai_sdk(version=5), **_UI),
    "ai_sdk 6": Writer(dialects.ai_sdk(version=6), **_UI),
    "ai_sdk 7": Writer(dialects.ai_sdk(version=7), **_UI, cut="interrupted"),
    "ag_ui": Writer(dialects.ag_ui(protocol_version="1.0"), _BLOCKS | {"results"}),
    "ai_sdk_text": Writer("ai_sdk_text", frozenset({"text"}), is_text=True),
}


@dataclass(frozen=True)
class Client:
    """A vendor's client.

    Attributes:
        name: with its language, and its function if it has several.
        writer: the protocol that it reads.
        open: given the longest answer's seconds, a context manager that yields its function.
        lacks: fields of `Understood` and columns of the matrix that it has not, with the reason.
    """

    name: str
    writer: str
    open: Open
    lacks: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.writer}, {self.name}"

    @property
    def sees(self) -> frozenset[str]:
        return WRITERS[self.writer].says - self.lacks.keys()


def _python(package: str, read: Read) -> Open:
    return lambda _: python(package, read)


def _node(script: str, understand: Callable[[Any], Understood], **about: Any) -> Open:
    return lambda seconds: node(script, understand, seconds, **about)


def _not_kept(*fields: str, why: str = "its message has no such field") -> dict[str, str]:
    return dict.fromkeys(fields, why)


_UI_TEXT = {"heartbeats": "a text has none"}
CLIENTS: Final = [
    Client("openai py create", "openai_chat", _python("openai", openai_create)),
    Client("openai py stream", "openai_chat", _python("openai", openai_stream)),
    Client("openai js create", "openai_chat", _node("openai_chat.mjs", join_chunks, api="create")),
    Client("openai js stream", "openai_chat", _node("openai_chat.mjs", of_completion, api="stream"),
           _not_kept("reasoning", "signatures", "citations")),
    Client("litellm", "openai_chat", lambda _: litellm("openai"),
           _not_kept("signatures") | {"model": "it makes its own"}),
    Client("pydantic-ai", "openai_chat", _python("pydantic_ai", pydantic_ai_reads("openai")),
           _not_kept("signatures", "citations")),
    Client("openai py create", "openai_responses", _python("openai", responses_create)),
    Client("openai py stream", "openai_responses", _python("openai", responses_stream)),
    Client("openai js create", "openai_responses",
           _node("openai_responses.mjs", of_events, api="create")),
    Client("openai js stream", "openai_responses",
           _node("openai_responses.mjs", of_response, api="stream")),
    Client("pydantic-ai", "openai_responses",
           _python("pydantic_ai", pydantic_ai_reads("responses")),
           _not_kept("citations") | {"finish_reason": "to it a response with calls is completed"}),
    Client("anthropic py create", "anthropic", _python("anthropic", anthropic_create)),
    Client("anthropic py stream", "anthropic", _python("anthropic", anthropic_stream)),
    Client("anthropic js", "anthropic", _node("anthropic.mjs", of_message)),
    Client("litellm", "anthropic", lambda _: litellm("anthropic"),
           _not_kept("order") | dict.fromkeys(("id", "model"), "it makes its own")),
    Client("pydantic-ai", "anthropic", _python("pydantic_ai", pydantic_ai_reads("anthropic"))),
    *(Client(f"ai {each}", f"ai_sdk {each}", _node("ai_sdk.mjs", of_ui_message, version=each))
      for each in (5, 6, 7)),
    *(Client(f"ai {each}", "ai_sdk_text",
             _node("ai_sdk.mjs", of_ui_message, version=each, text=True), _UI_TEXT)
      for each in (5, 6, 7)),
    Client("ag-ui js", "ag_ui", _node("ag_ui.mjs", of_run)),
    Client("ag-ui py types", "ag_ui", _python("ag_ui", read_by_types)),
]  # fmt: skip


@dataclass(frozen=True)
class Case:
    """What the server's source yields, and how the answer ends.

    Attributes:
        column: of the matrix.
        items: events; exceptions, which are raised; and LATER.
        fails: the pattern of what each client raises; None: it understands the events.
        needs: fields without which a protocol does not say what the case is about.
        break_frame: the bytes of a frame are changed.
        heartbeat: of this kind, some stand before each item.
        dies_after: the number of sends after which the connection is cut.
    """

    column: str
    items: list[Any]
    fails: str | None = None
    needs: frozenset[str] = frozenset()
    break_frame: bool = False
    heartbeat: str | None = None
    dies_after: int | None = None


FAILURE = f"{PUBLIC}|internal error|was cut|rminated|ncomplete|etwork|onnection"
DIED = r"(?i)closed|terminated|incomplete|reset|network|premature|other side|connection"
_CALL = [events.ToolCallStart("c", "f"), events.ToolCallDelta("c", "{")]
_WHOLE_CALL = [*_CALL, events.ToolCallDelta("c", "}"), events.ToolCall("c", "f", {})]
_WAIT = [events.Start("i", "m"), events.ReasoningDelta("hm"), events.ReasoningEnd(signature="s"),
         "some ", LATER, "text", events.Finish(events.Usage(3, 2, 5, 1, 1, 1), "stop"),
         events.Done()]  # fmt: skip
_BEATEN = [*_WAIT[:4], *_WHOLE_CALL, events.Finish(events.Usage(3, 2, 5, 1, 1, 1), "tool_calls")]
_SAME_INDEX = body_of(
    call('{"a":1}', name="f", index=0, id="c1"), call('{"b":2}', name="g", index=0, id="c2"),
    chunk("tool_calls"), DONE,
)  # fmt: skip
_ENDED_PART = b"".join(
    b"data: " + each + b"\n\n" for each in (
        b'{"type":"start","messageId":"i"}', b'{"type":"text-start","id":"t"}',
        b'{"type":"text-delta","id":"t","delta":"one"}', b'{"type":"text-end","id":"t"}',
        b'{"type":"tool-input-available","toolCallId":"c","toolName":"f","input":{}}',
        b'{"type":"text-delta","id":"t","delta":"lost"}', b'{"type":"text-start","id":"u"}',
        b'{"type":"text-delta","id":"u","delta":"two"}', b'{"type":"finish"}', b"[DONE]",
    )
)  # fmt: skip


def read(body: bytes, dialect: str) -> list[Any]:
    return list(gaistream.read_events(body, dialect=dialect))


CASES: Final[dict[str, Case]] = {
    "conversation": Case("conversation", FULL),
    **{f"alternating {name}": Case("conversation", items) for name, items in ALTERNATING.items()},
    **{name: Case("pairs", items) for name, items in PAIRS.items()},
    "refused": Case(
        "refused", [gaistream.StreamError(PUBLIC, code="rate_limited", status=429)], PUBLIC
    ),
    "failed at once": Case("failed", [events.Error(PUBLIC, "rate_limited")], FAILURE),
    "failed in text": Case(
        "failed", [events.Start("i", "m"), "a", gaistream.StreamError(PUBLIC, code="busy")], FAILURE
    ),
    "failed in a call": Case("failed", ["a", *_CALL, OSError(SECRET)], FAILURE),
    "half a call": Case("failed", ["a", *_CALL], FAILURE, frozenset({"calls"})),
    "cut upstream": Case("cut", ["a", events.Error("it was cut", "truncated")], FAILURE),
    "died": Case("died", FULL, DIED, dies_after=4),
    "comments": Case("heartbeats", _BEATEN, heartbeat="comment"),
    "native": Case("heartbeats", _BEATEN, heartbeat="native"),
    "idle": Case("idle", _WAIT),
    "leave": Case("leave", _WAIT),
    "broken": Case("broken", FULL, break_frame=True),
    # what others got wrong
    "text after a call": Case(
        "faults", ["one", *_WHOLE_CALL, "two"],
    ),
    "text for an ended part": Case("faults", read(_ENDED_PART, "ai_sdk")),
    "cancelled in reasoning": Case(
        "faults", [events.Start("i", "m"), events.ReasoningDelta("hm"),
                   events.Finish(finish_reason="cancelled"), events.Done()],
    ),
    "ended in reasoning": Case("faults", [events.Start("i", "m"), events.ReasoningDelta("hm")]),
    "unsayable": Case(
        "faults", ["a", events.ToolCall("c", "f", {"x": object()})], FAILURE, frozenset({"calls"})
    ),
    "NaN": Case("faults", [events.ToolCall("c", "f", {"x": math.nan})]),
    "one index for two calls": Case("faults", read(_SAME_INDEX, "openai_chat")),
}  # fmt: skip
COLUMNS: Final = list(dict.fromkeys(case.column for case in CASES.values()))


def not_applicable(client: Client, column: str) -> str | None:
    """Return why a client has no such column; None if it has."""
    cases = [case for case in CASES.values() if case.column == column]
    unsaid = [case.needs - WRITERS[client.writer].says for case in cases]
    reason = client.lacks.get(column)
    if reason is None and all(unsaid):
        reason = f"its protocol says no {', '.join(unsaid[0])}"
    return reason


def understood(case: Case, client: Client) -> dict[str, Any]:
    """Return the fields that a client must have understood."""
    writer = WRITERS[client.writer]
    said = expected(_of_client(event) if not writer.tells_tools else event
                    for event in case.items if event is not LATER)  # fmt: skip
    said.finish_reason = writer.reasons.get(said.finish_reason or "", said.finish_reason)
    said.calls = [(*about, _without_nan(value)) for *about, value in said.calls]
    if not writer.places:
        said.citations = [(url, 0, 0, title) for url, _, _, title in said.citations]
    return said.fields(fields_of(case, client))


def fields_of(case: Case, client: Client) -> set[str]:
    """Return the fields that are compared: the ids, models and counts that were sent."""
    sent = expected(event for event in case.items if event is not LATER)
    left_out = {name for name in ("id", "model", "usage") if getattr(sent, name) is None}
    alternates = case.column == "conversation"
    return set(client.sees) - left_out - ({"order"} if alternates else set())


def _of_client(event: Any) -> Any:
    """Return the event of a provider's tool as that of a tool of the client."""
    if isinstance(event, events.ToolCall):
        return events.ToolCall(event.id, event.name, event.input, event.signature)
    return event


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


class Connection:
    """What a case does with the messages of its response."""

    def __init__(self, case: Case, send: Any) -> None:
        self._case = case
        self._send = send
        self._sends = 0
        self._sent = asyncio.Semaphore(0)
        self.options: gaistream.SSEOptions | None = None
        if case.heartbeat is not None:
            heartbeat: Any = case.heartbeat
            self.options = gaistream.SSEOptions(heartbeat=heartbeat, heartbeat_interval=0.01)

    async def send(self, message: Any) -> None:
        self._sends += 1
        if self._case.dies_after is not None and self._sends > self._case.dies_after:
            raise OSError("it is gone")  # the server cuts a body that has no end
        if self._case.break_frame and "body" in message:
            message = {**message, "body": message["body"].replace(b"while ", b'wh"ile')}
        await self._send(message)
        self._sent.release()

    async def heartbeats(self) -> None:
        """Wait for three sends: an item needs one."""
        for _ in range(3):
            await asyncio.wait_for(self._sent.acquire(), 10)


class Endpoint:
    """The app that answers /WRITER/CASE/….

    Attributes:
        left: the outcomes of the streams of the case "leave", as they end.
    """

    def __init__(self) -> None:
        self.left: queue.Queue[gaistream.Outcome] = queue.Queue()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        _, writer_name, case_name, *_ = map(unquote, scope["path"].split("/"))
        case, writer = CASES[case_name], WRITERS[writer_name]
        connection = Connection(case, send)
        source = self._source(case, connection)
        about: Any = {"dialect": writer.dialect}
        if case.column == "leave":
            about["on_close"] = self.left.put
        response: Any
        if writer.is_text:
            response = asgi.NDJSONResponse(source, **about)
        else:
            response = asgi.SSEResponse(source, connection.options, **about)
        await response(scope, receive, connection.send)

    async def _source(self, case: Case, connection: Connection) -> Any:
        for item in case.items:
            if case.heartbeat:
                await connection.heartbeats()
            if isinstance(item, Exception):
                raise item
            if item is LATER:
                await asyncio.sleep(IDLE_SECONDS)
            else:
                yield item
                await asyncio.sleep(0)


def url_of(base: str, client: Client, case: str) -> str:
    return f"{base}/{quote(client.writer)}/{quote(case)}"
