"""A use of every public name of the core, for valgrind, the count of leaks, and threads.

A use takes the package and returns its results and errors, the same each time.
tests/core/test_leaks.py asserts that no name is left out; package_uses.py has the package's.
"""

from __future__ import annotations

import copy
import dataclasses
from contextvars import Context, copy_context
from types import ModuleType
from typing import Any

from every_encoder import Scripted, frame_template, ndjson_frames, sse_frames
from every_event import EVENT_USES, WIDE, Use, refused

LINES = "one\ntwo\r\nthree\r" * 40
HOSTILE = b"\xef\xbb\xbfid: 7\r\ndata: \xff\xe2\x82\r\rretry:12\ndata\ndata:x\n\nevent: e\n: c\n\n"


def pieces(text: bytes, size: int) -> list[bytes]:
    return [text[at : at + size] for at in range(0, len(text), size)]


# ---- frames out ----


def encode_sse(gs: ModuleType) -> Any:
    encode = gs.encode_sse
    return [
        encode("data", "event"), encode(LINES, "é", id="7", retry=5, comment="a\nb"),
        encode(WIDE.encode(), id=-(2**63) + 1), encode(bytearray(LINES.encode())),
        encode(memoryview(b"<\xff>")[1:2], errors="replace"), encode(json={"text": WIDE}),
        encode("\ud800", errors="replace"), encode(retry=0), encode("x" * 70_000 + "\n" * 80),
        refused(encode, "\ud800"), refused(encode, "x", "a\nb"), refused(encode),
        refused(encode, b"\xff"), refused(encode, memoryview(b"abcd")[::2]),
        refused(encode, id="\0"), refused(encode, retry=2**70), refused(encode, json=object()),
    ]  # fmt: skip


def encode_sse_into(gs: ModuleType) -> Any:
    room = bytearray(600)
    into = gs.encode_sse_into
    return [
        into(room, 3, LINES[:60], "event"), into(memoryview(room)[100:], 1, WIDE, id=5),
        into(room, 0, memoryview(room)[2:20], errors="replace"), bytes(room),
        refused(into, bytearray(3), 0, "too long"), refused(into, b"no", 0, "x"),
        refused(into, room, 601, "x"), refused(into, room, None, "x"), bytes(room),
    ]  # fmt: skip


def encode_comment(gs: ModuleType) -> Any:
    return [gs.encode_comment(), gs.encode_comment(LINES + WIDE), refused(gs.encode_comment, 1)]


def encode_ndjson(gs: ModuleType) -> Any:
    deep: Any = []
    for _ in range(60):
        deep = [deep]
    return [gs.encode_ndjson({"a": [1, WIDE, 2.5]}), gs.encode_ndjson(deep), gs.encode_ndjson(WIDE),
            refused(gs.encode_ndjson, object()), refused(gs.encode_ndjson, "\ud800")]


def encode_ndjson_lines(gs: ModuleType) -> Any:
    return [gs.encode_ndjson_lines([1, WIDE]), gs.encode_ndjson_lines(iter([])),
            refused(gs.encode_ndjson_lines, [1, object()])]


def escape_json(gs: ModuleType) -> Any:
    escape = gs.core.escape_json
    texts = [text[:cut] for text in (WIDE, "x" * 20, "\x01" * 9, "\x80\xff", "\uffff") for cut in
             (0, 1, 7, 8, 9, 99)]  # fmt: skip
    return [*map(escape, texts), escape("\ud800", "replace"), refused(escape, "\ud800"),
            refused(escape, 5), refused(escape, "x", "ignore")]


def estimate_size(gs: ModuleType) -> Any:
    held = Promise()
    held.__dict__["text"] = WIDE
    own = {"a": [1, None, {2}], "b": held, "c": object()}
    items = [gs.events.TextDelta(WIDE), gs.events.Raw((WIDE,)), gs.ServerSentEvent(LINES), own]
    own["d"] = own
    return [gs.core.estimate_size(item, most) for item in items for most in (500, 9**6)]


def checked_int(gs: ModuleType) -> Any:
    check = gs.core.checked_int
    return [check("size", 5, 1, 9, "bytes"), refused(check, "size", 2**70, 1, 9, "bytes")]


def nests_deeper(gs: ModuleType) -> Any:
    deeper = gs.core.nests_deeper
    return [deeper([[{"a": ()}]], 3), deeper([[{"a": ()}]], 4), deeper({}, 0)]


def install_json(gs: ModuleType) -> Any:
    gs.core.install_json(gs.core.load_json_library)
    return [gs.encode_ndjson({"a": 1}), gs.ServerSentEvent("[1]").json()]


def json_bytes(gs: ModuleType) -> Any:
    write = gs.core.json_bytes
    payload = {"a": [WIDE, object()]}
    return [write(WIDE, newline=True, compact=False), write(payload, default=lambda _: {"b": 1}),
            refused(write, payload, errors="replace")]  # fmt: skip


def read_json(gs: ModuleType) -> Any:
    read = gs.core.read_json
    kinds = (str, str.encode, lambda text: bytearray(text.encode()), lambda text: memoryview(
        text.encode()))  # fmt: skip
    texts = (f'{{"a":[{2**64 - 1},1.5,"{WIDE[:2]}"]}}', str(-(2**70)), '["\\ud83d"]', "no")
    return [read(kind(text), "replace") if text != "no" else refused(read, kind(text))
            for kind in kinds for text in texts] + [refused(read, texts[2]), refused(read, None)]


def server_sent_event(gs: ModuleType) -> Any:
    made = gs.ServerSentEvent("[1]", "e", id="5", retry=7, comment="c")
    (read,) = gs.SSEDecoder().feed(b"id: 1\ndata: \xff\xe2\x82\ndata: x\n\n")
    seen = [bytes(made), made.json(), repr(made), made.data_bytes, repr(copy.copy(made))]
    seen += [read.data_bytes, read.data, bytes(read), repr(read), read == copy.copy(read)]
    carrier = gs.ServerSentEvent(json={"a": WIDE}, event="e")
    seen += [bytes(carrier), carrier.data, bytes(copy.copy(carrier))]
    seen += [refused(gs.ServerSentEvent, "a", "b\n"), refused(gs.ServerSentEvent, 5)]
    made.data, made.id, made.event = None, None, "x"
    read.data = WIDE
    return [*seen, bytes(made), read.data_bytes, made == read, refused(made.json),
            refused(read.json), refused(hash, made)]


# ---- what keeps a state ----


def buffer(gs: ModuleType) -> Any:
    made = gs.core.Buffer(9)
    made.append(b"x" * 30_000)
    made.append(memoryview(bytearray(WIDE.encode())))
    view = made.view()
    seen = [len(made), bytes(view[:3]), refused(made.append, b"y"), refused(made.take)]
    del view
    made.truncate(50)
    room = bytearray(60)
    seen += [refused(made.take_into, bytearray(3)), made.take_into(room, 5), bytes(room)]
    made.append(b"left")
    seen += [made.take(), made.take(), refused(made.truncate, 1), refused(gs.core.Buffer, 0)]
    gs.core.Buffer(100_000).append(b"1")  # and goes with it
    return seen


def line_splitter(gs: ModuleType) -> Any:
    splitter = gs.LineSplitter(max_line_bytes=90)
    text = LINES.encode() + b"left"
    seen = [splitter.feed(piece) for piece in (*pieces(text, 7), memoryview(text), b"\r", b"\n")]
    other = gs.LineSplitter(max_line_bytes=5)
    return [seen, splitter.feed(b"end"), splitter.close(), other.feed(b"a\nbcd"),
            refused(other.feed, b"efg"), refused(other.feed, b""), refused(splitter.feed, b"")]


def sse_decoder(gs: ModuleType) -> Any:
    seen: list[Any] = []
    for size in (1, 3, 1000):
        decoder = gs.SSEDecoder(last_event_id="before")
        for piece in pieces(HOSTILE * 3, size):
            seen += [(repr(each), bytes(each)) for each in decoder.feed(piece)]
        seen += [decoder.last_event_id, decoder.retry, decoder.close(), refused(decoder.feed, b"")]
    small = gs.SSEDecoder(max_event_bytes=20)
    small.feed(bytearray(b"data: a\ndata: b"))
    return [seen, refused(small.feed, b"y" * 20), refused(small.feed, b"")]


def ndjson_decoder(gs: ModuleType) -> Any:
    text = b'{"a": [1]}\r\n\n"\xc3\xa9"\n[2\n' + b'["' + b"x" * 70_000 + b'"]\n7'
    decoder = gs.NDJSONDecoder()
    seen = [refused(decoder.feed, text), repr(decoder.feed(b"")), decoder.close()]
    told: list[Any] = []
    for named in ({"loads": None}, {"on_error": "skip"}, {"on_error": told.append}, {"loads": len}):
        decoder = gs.NDJSONDecoder(**named)
        seen += [len(decoder.feed(piece)) for piece in pieces(text, 5000)] + [decoder.close()]
    strict = gs.NDJSONDecoder(strict=True, max_line_bytes=8)
    seen += [refused(strict.feed, b"\n1\n"), refused(strict.feed, b"123456789")]
    return seen, [(str(each), each.line, each.column) for each in told]


def frame_writer(gs: ModuleType) -> Any:
    sent: list[bytes] = []
    writer = gs.SSEWriter(sent.append)
    writer.write_event("event", WIDE)
    writer.write_event("event", "plain")
    writer.write_many(["a", gs.events.TextDelta(WIDE)])
    seen = [refused(writer.write, object), refused(writer.write_frame, "x", "a\nb")]
    writer.close()
    broken = gs.SSEWriter(lambda _: 1 / 0)
    return [*seen, refused(writer.write, "x"), refused(broken.write, "x"), sent]


@dataclasses.dataclass
class Permit:
    """Leave to start the sends of a task "connection" of a loop "loop"."""

    send: Any
    context: Context
    current_tasks: Any
    shares_context: bool = False
    loop: Any = "loop"
    task: Any = "connection"


class Promise:
    """A future, as far as an outbox asks."""

    def __init__(self) -> None:
        self.results: list[None] = []

    def done(self) -> bool:
        return bool(self.results)

    def set_result(self, result: None) -> None:
        self.results.append(result)


class Suspended:
    """What lets a coroutine wait."""

    def __await__(self) -> Any:
        yield "waits"


def outbox(gs: ModuleType) -> Any:
    frames, log = gs.core.BaseSSEEncoder(Scripted(gs), 16), []
    made = gs.core.Outbox(frames, True, 64, 200, 3600.0, 400)
    made.open(Promise, lambda: 7.5)

    def send(chunk: bytes) -> Any:
        async def sending() -> None:
            log.append((chunk, dict(current)))
            if b"waits" in chunk:
                await Suspended()
            if b"fails" in chunk:
                raise LookupError("a send that fails")

        return sending()

    current = {"loop": "reader"}
    made.grant(Permit(send, copy_context(), current))
    seen: list[Any] = [made.take(), refused(made.accept, 5)]
    for item in ("a", WIDE * 9, "waits", "fails"):
        waiter = made.wait()
        seen.append(made.accept(item))
        made.flush()
        started = made.take_started()
        if started is not None and started[0] is not None:
            started[0].close()
        seen.append((waiter.done(), started and (started[1], repr(started[2]))))
    made.grant(Permit(send, copy_context(), lambda *of: log.append(of) or "reader"))
    made.flush()
    seen += [made.accept("x" * 500), made.hold(), made.waiting, made.pending, made.sending_since]
    room = made.wait_for_room()
    made.begin_send()
    seen += [made.sending_since, made.take(True) != b"", made.take(True), made.sending_since]
    made.end_send()
    made.close("cut")
    made.release()
    return [*seen, made.accept("b"), made.take(), room.done(), made.events, made.bytes,
            made.idle_since, made.after_step, current, log]


def source_reader(gs: ModuleType) -> Any:
    frames = gs.core.BaseSSEEncoder(Scripted(gs), 16)
    outbox = gs.core.Outbox(frames, True, 64, 200, 3600.0, 400)
    outbox.open(Promise, lambda: 7.5)

    async def reading() -> str:
        for number in range(3):
            outbox.accept(f"{number}")
            try:
                await Suspended()
            except LookupError as error:
                outbox.accept(str(error))
        return "read"

    reader = gs.core.SourceReader(outbox, reading())
    waiter = outbox.wait()
    seen = [reader.__await__() is reader, next(reader), reader.cr_running, waiter.done()]
    seen += [reader.send(None), reader.throw(LookupError("thrown")), frames.take()]
    try:
        reader.send(None)
    except StopIteration as end:
        seen.append(end.value)
    other = gs.core.SourceReader(outbox, reading())
    seen.append(next(other))
    other.close()
    return [*seen, refused(getattr, other, "nothing")]


def inlet(gs: ModuleType) -> Any:
    outbox = gs.core.Outbox(gs.core.BaseSSEEncoder(Scripted(gs), 16), True, 64, 200, 3600.0, 400)
    outbox.open(Promise, lambda: 7.5)
    soon: list[Any] = []
    flushed: list[int] = []
    turns = gs.core.Turns(soon.append, lambda late: flushed.extend(x.flush() or 1 for x in late))
    made = gs.core.Inlet(outbox, turns, True, lambda: "loop", "loop")
    seen = [made.put("closed"), outbox.events]
    made.is_open = True
    waiter = outbox.wait()
    seen += [made.put("a"), waiter.done(), made.put(WIDE), made.put("b" * 500), len(soon)]
    soon.pop()()
    held = gs.core.Inlet(outbox, turns, False, lambda: "loop", "loop")
    held.is_open = True
    seen += [flushed, outbox.pending, refused(made.put, 5), held.put("c"), len(soon)]
    outbox.close("cut")
    return [*seen, made.put("d"), refused(copy.copy, made), refused(copy.copy, turns)]


def delta_matcher(gs: ModuleType) -> Any:
    pieces = (b'{"n":', b',"t":"', b'","o":"', b'"}')
    matcher = gs.core.DeltaMatcher(gs.events.TextDelta, "message", pieces, 1)
    texts = [b"a", b"", b"\\ud83d\\ude00\\n\xc3\xa9", b"\\ud83d", b"\xff", b"\\q", b'"', b"x" * 300]
    data = [b'{"n":7,"t":"%b","o":"x"}' % text for text in texts]
    frames = gs.SSEDecoder().feed(b"".join(b"data: %b\n\n" % each for each in data[:1] * 3 + data))
    events: list[Any] = []
    seen = [matcher.match("message", each) for each in data]
    seen += [matcher.read(frames, 0, events), events, matcher.read(frames, 5, []), matcher.count]
    make = gs.core.DeltaMatcher
    return [*seen, refused(make, int, "", pieces), refused(make, gs.events.TextDelta, "", ()),
            refused(copy.copy, matcher)]  # fmt: skip


CORE: dict[str, Use] = {
    **EVENT_USES,
    "Buffer": buffer,
    "DeltaMatcher": delta_matcher,
    "FrameTemplate": frame_template,
    "FrameWriter": frame_writer,
    "Inlet": inlet,
    "LineSplitter": line_splitter,
    "NDJSONDecoder": ndjson_decoder,
    "BaseNDJSONEncoder": ndjson_frames,
    "Outbox": outbox,
    "SSEDecoder": sse_decoder,
    "BaseSSEEncoder": sse_frames,
    "ServerSentEvent": server_sent_event,
    "SourceReader": source_reader,
    "Turns": inlet,
    "checked_int": checked_int,
    "encode_comment": encode_comment,
    "encode_ndjson": encode_ndjson,
    "encode_ndjson_lines": encode_ndjson_lines,
    "encode_sse": encode_sse,
    "encode_sse_into": encode_sse_into,
    "escape_json": escape_json,
    "estimate_size": estimate_size,
    "install_json": install_json,
    "json_bytes": json_bytes,
    "nests_deeper": nests_deeper,
    "read_json": read_json,
}
