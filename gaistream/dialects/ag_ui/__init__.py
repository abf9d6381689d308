"""`ag_ui`, version 1.0 of AG-UI, the protocol between agents and the pages that show them."""

from __future__ import annotations

import sys
from typing import Any

from ...errors import FrameTypeError
from ..base import (
    Dialect,
    DialectModule,
    DialectReader,
    DialectWriter,
    ProtocolRequest,
    load_reader,
    load_request_reader,
    load_writer,
)


class AGUI(Dialect):
    """AG-UI over SSE. Its writer and its reader are imported when they are first made.

    `read_request` sets the options from the run that a client asks for.

    Args:
        thread_id: the conversation; None: an id is made.
        run_id: the run that is answered; None: the id of `Start`, or one that is made.
        parent_run_id: the run that this one goes on from, if any.
        protocol_version: the version that the client declared, such as "1.0"; None: it declared
            none. The outcome `cancelled` and the ids of pending calls are written only for
            version 1.0 and later.

    Raises:
        FrameTypeError: an option is neither a str nor None.
    """

    name = "ag_ui"
    title = "AG-UI"
    writes = reads = ("sse",)
    terminator = "RUN_FINISHED"
    first_kinds = frozenset({"RUN_STARTED"})
    last_kinds = frozenset({"RUN_FINISHED", "RUN_ERROR"})
    failure_kinds = frozenset({"RUN_ERROR"})
    text_paths = (("TEXT_MESSAGE_CONTENT", ("delta",)), ("TEXT_MESSAGE_CHUNK", ("delta",)))

    def __init__(
        self, *, thread_id: str | None = None, run_id: str | None = None,
        parent_run_id: str | None = None, protocol_version: str | None = None,
    ) -> None:  # fmt: skip
        options = {
            "thread_id": thread_id, "run_id": run_id, "parent_run_id": parent_run_id,
            "protocol_version": protocol_version,
        }  # fmt: skip
        for name, value in options.items():
            if value is not None and not isinstance(value, str):
                raise FrameTypeError(f"{name} must be str or None, not {type(value).__name__}")
        self._options = options

    def read_request(self, payload: object) -> ProtocolRequest:
        request = load_request_reader(__name__)(payload)
        dialect = self.answering(request)
        dialect._options = {name: request.extra.get(name) for name in self._options}
        return ProtocolRequest(request, dialect)

    def writer(self, format: str, **_: Any) -> DialectWriter:
        make = load_writer(__name__, "AGUIWriter")
        return make(**self._options, requested_model=self.requested_model)

    def reader(self, format: str) -> DialectReader:
        return load_reader(__name__, "AGUIReader")()


dialect = AGUI()
sys.modules[__name__].__class__ = DialectModule
