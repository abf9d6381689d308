# cython: language_level=3
# cython: boundscheck=False, wraparound=False, initializedcheck=False
# cython: freethreading_compatible=True
# cython: binding=False, embedsignature=True, embedsignature.format=clinic
"""The compiled twin of gaistream.core.pure: same names, same bytes, same errors.

One extension from parts, in the order in which they need each other; each part opens with what
it does. Public names are documented in full in the file of the same name in gaistream/core/pure.
"""

include "checks.pxi"
include "buffer.pxi"
include "text.pxi"
include "escapes.pxi"
include "payloads.pxi"
include "values.pxi"
include "events.pxi"
include "tool_events.pxi"
include "step_events.pxi"
include "deltas.pxi"
include "sse.pxi"
include "sse_fast.pxi"
include "server_sent_event.pxi"
include "delta_matcher.pxi"
include "sizes.pxi"
include "template.pxi"
include "ndjson.pxi"
include "lines.pxi"
include "halves.pxi"
include "encoder.pxi"
include "sse_encoder.pxi"
include "ndjson_encoder.pxi"
include "writer.pxi"
include "outbox.pxi"
include "source_reader.pxi"
include "inlet.pxi"
include "decoder.pxi"
include "ndjson_decoder.pxi"

__all__ = sorted([
    *RECORD_NAMES,
    "BaseNDJSONEncoder",
    "BaseSSEEncoder",
    "Buffer",
    "DeltaCollector",
    "DeltaMatcher",
    "FrameTemplate",
    "FrameWriter",
    "Inlet",
    "LineSplitter",
    "NDJSONDecoder",
    "Outbox",
    "SSEDecoder",
    "ServerSentEvent",
    "SourceReader",
    "Turns",
    "checked_int",
    "encode_comment",
    "encode_ndjson",
    "encode_ndjson_lines",
    "encode_sse",
    "encode_sse_into",
    "escape_json",
    "estimate_size",
    "install_json",
    "json_bytes",
    "nests_deeper",
    "read_json",
])
