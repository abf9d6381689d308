"""What becomes of a source, and of its message, when its client leaves: keywords of responses."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol, TypeAlias

from ..core import checked_int, estimate_size
from ..dialects import AnyDialect, find
from ..errors import FrameError, FrameTypeError
from ..loops.sources import open_source
from ..writing.formats import FormatName
from ..writing.options import check_seconds
from .stream import Stream

if TYPE_CHECKING:
    from .collector import Collector
    from .producer import Producer

OnDisconnect: TypeAlias = Literal["close", "continue"]
"""What a response does with its source when the client leaves."""

CONTINUE_SECONDS: Final = 600.0
CONTINUE_BYTES: Final = 16 * 1024 * 1024
_MOST_BYTES: Final = 2**40


@cache
def answer_classes() -> tuple[type[Collector], type[Producer]]:
    """Return the classes that collect an answer, imported when the first response needs them."""
    from .collector import Collector
    from .producer import Producer

    return Collector, Producer


class WholeAnswer(Protocol):
    """Makes one item of all events of a source: see http/whole_answer.py."""

    collector: Collector
    on_item: Callable[[], object]

    def source(self, source: Any, *, is_collected: bool = False) -> Any:
        """Return the source of that item."""


class Disconnects(NamedTuple):
    """The keywords of a response, checked.

    Attributes:
        continues: True if the source is read to its end.
        seconds, bytes: bounds on that.
        collects: True if the outcome has a message.
        dialect: of the stream.
        format: of the stream.
    """

    continues: bool
    seconds: float
    bytes: int
    collects: bool
    dialect: AnyDialect
    format: FormatName

    def collector(self) -> Collector | None:
        """Return the collector of a stream's message, or None."""
        return answer_classes()[0](self.dialect, self.format) if self.collects else None


def check_disconnects(
    on_disconnect: object,
    continue_seconds: Any,
    continue_bytes: Any,
    collect: object,
    dialect: AnyDialect,
    format: FormatName,
) -> Disconnects | None:
    """Return the checked keywords; None if the client's leave closes the source, without a message.

    Raises:
        FrameTypeError: a value has another type.
        FrameError: a value is out of range, or the dialect has no events to collect.
    """
    defaults = continue_seconds is CONTINUE_SECONDS and continue_bytes is CONTINUE_BYTES
    if defaults and collect is False and on_disconnect == "close":
        return None
    if continue_seconds is not CONTINUE_SECONDS:
        check_seconds("continue_seconds", continue_seconds, optional=False)
    if continue_bytes is not CONTINUE_BYTES:
        checked_int("continue_bytes", continue_bytes, 1, _MOST_BYTES, "bytes")
    if on_disconnect not in ("close", "continue"):
        raise FrameError(f"on_disconnect must be 'close' or 'continue', not {on_disconnect!r}")
    if not isinstance(collect, bool):
        raise FrameTypeError(f"collect must be bool, not {type(collect).__name__}")
    continues = on_disconnect == "continue"
    if not continues and not collect:
        return None
    found = find(dialect)
    has_events = found is not None and found.has_events
    if collect and not has_events:
        name = getattr(found, "name", dialect)
        raise FrameError(
            f"collect=True needs a dialect of events: the items of dialect={name!r} are your own,"
            " so collect them in the source"
        )
    return Disconnects(continues, continue_seconds, continue_bytes, has_events, dialect, format)


def blocking_collector(disconnects: Disconnects | None) -> Collector | None:
    """Return the collector of a sync source in the server's own thread, or None.

    Raises:
        FrameError: the source is to go on without its client.
    """
    if disconnects is None:
        return None
    if disconnects.continues:
        raise FrameError(
            'on_disconnect="continue" needs helper_thread=True or an async source: a sync source'
            " runs in the server's own thread, which is not kept for a client that has left"
        )
    return disconnects.collector()


def open_response_stream(
    source: Any,
    encoder: Any,
    disconnects: Disconnects | None,
    send_timeout: float | None,
    cleanup_timeout: float | None,
    source_timeout: float | None,
    whole: WholeAnswer | None = None,
) -> tuple[Stream, Producer | None]:
    """Return a response's stream, and the producer that it reads if its source goes on."""
    producer, collector = None, None
    if disconnects is not None:
        collector = disconnects.collector() if whole is None else whole.collector
        if disconnects.continues:
            producer = answer_classes()[1](
                source,
                collector,
                seconds=disconnects.seconds,
                bytes=disconnects.bytes,
                cleanup_timeout=cleanup_timeout,
                source_timeout=source_timeout,
            )
            source, collector = producer.reader(), None
    if whole is not None:
        if isinstance(source, AsyncIterable):
            source = open_source(source, estimate_size)  # which closes what it reads
        source, collector = whole.source(source, is_collected=producer is not None), None
    stream = Stream(
        source,
        encoder,
        send_timeout=send_timeout,
        cleanup_timeout=cleanup_timeout,
        source_timeout=source_timeout,
        collector=collector,
    )
    if whole is not None:
        whole.on_item = stream.note_life
    return stream, producer
