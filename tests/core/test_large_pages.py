"""Large results and buffers ask Linux for large pages: their first writes cost a third."""

import itertools
from pathlib import Path

import pytest
from required import once_a_check

once_a_check()
np = pytest.importorskip("numpy", reason="numpy is not installed")
MIB = 2**20
if not Path("/sys/kernel/mm/transparent_hugepage/enabled").exists():
    pytest.skip("the kernel has no large pages", allow_module_level=True)


def asks_for_large_pages(data):
    """Return whether every mapping that has some of these bytes is flagged `hg`."""
    start = np.frombuffer(data, np.uint8).ctypes.data
    flagged, is_theirs = [], False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        place, *rest = line.split()
        if "-" in place:
            first, end = (int(each, 16) for each in place.split("-"))
            is_theirs = first < start + len(data) and start < end
        elif place == "VmFlags:" and is_theirs:
            flagged.append("hg" in rest)
    return bool(flagged) and all(flagged)


def decoded(gs):
    decoder = gs.SSEDecoder()
    frame = b"data: " + b"x" * 8 * MIB + b"\n\n"
    events = [decoder.feed(frame[at : at + MIB]) for at in range(0, len(frame), MIB)]
    (event,) = itertools.chain(*events)
    return event.data_bytes


def grown(gs):
    buffer = gs.core.Buffer()
    for _ in range(64):
        buffer.append(b"x" * (MIB // 4))
    return buffer.view()


@pytest.mark.parametrize(
    "make",
    [
        lambda gs: gs.encode_sse("x" * 8 * MIB),
        lambda gs: gs.encode_events(["x" * 40] * 200_000),
        decoded,
        grown,
    ],
    ids=["encode_sse", "encode_events", "SSEDecoder", "Buffer"],
)
def test_what_is_large_asks_for_large_pages(gs, make):
    if gs.backend != "native":
        pytest.skip("the allocator that is looked at is the core's")
    assert asks_for_large_pages(make(gs))
