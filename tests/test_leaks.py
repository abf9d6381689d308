"""Nothing is kept: after many uses a process holds as many blocks and bytes as after few.

Each case runs in a process of its own, on one twin: blocks of Python's allocator count the
references that are not given back, the resident set the memory that the core takes elsewhere.
"""

import json
import os
import subprocess
import sys
import textwrap

import pytest

TWINS = ["pure"] if os.environ.get("GAISTREAM_BACKEND") == "pure" else ["native", "pure"]
CASES = {
    "frames": """
        gs.encode_sse("a\\nb" * 50, "e", id="7", retry=5)
        gs.encode_sse(json={"text": "é" * 40})
        gs.encode_ndjson({"a": [1, 2, "x"]})
        refused(gs.encode_sse, "\\ud800")
        refused(gs.encode_sse, "x", "a\\nb")
        refused(gs.encode_sse_into, bytearray(3), 0, "too long for it")
    """,
    "templates": """
        template = gs.FrameTemplate(b"data: ", b"\\n\\n")
        template.render("é\\u2028" * 20)
        template.render_many(["a", "b" * 500])
        refused(template.render_many, ["a", 5])
        refused(template.render, "\\ud800")
    """,
    "encoders": """
        encoder = gs.SSEEncoder()
        encoder.write("text")
        encoder.write(gs.events.ToolCall("1", "name", {"x": 1}))
        encoder.take()
        encoder.write("x" * 20_000)
        refused(encoder.write, object())
        refused(encoder.take_into, bytearray(2))
    """,
    "writers": """
        with gs.SSEWriter(lambda data: None) as writer:
            writer.write_many(["a", "b"])
            refused(writer.write, object())
        broken = gs.NDJSONWriter(lambda data: 1 / 0)
        refused(broken.write, "a")
        broken.close()
    """,
    "decoders": """
        decoder = gs.SSEDecoder(max_event_bytes=3000)
        for piece in (b"id: 1\\nda", b"ta: x\\r", b"\\n\\n", b"data: " + b"y" * 2000):
            decoder.feed(piece)
        refused(decoder.feed, b"z" * 2000)
        lines = gs.NDJSONDecoder()
        lines.feed(b'{"a": [1]}\\n[2')
        refused(lines.feed, b"}\\n1\\n")
        gs.LineSplitter(max_line_bytes=90).feed(b"a\\nb")
    """,
    "views": """
        buffer = gs._backend.Buffer(9)
        buffer.append(b"x" * 30_000)
        view = buffer.view()
        refused(buffer.append, b"y")
        del view
    """,
}
SCRIPT = """
import gc, json, sys
import gaistream as gs

def refused(call, *args):
    try:
        call(*args)
    except (ValueError, TypeError, BufferError, ArithmeticError, gs.errors.GaistreamError):
        return
    raise AssertionError(call)

def use():
{body}

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

def held(times):
    for _ in range(times):
        use()
    gc.collect()
    return sys.getallocatedblocks(), resident()

held(300)
before = held(1)
after = held(int(sys.argv[1]))
print(json.dumps([after[0] - before[0], after[1] - before[1], gs.backend]))
"""
TIMES = 3000


def grown(body, twin):
    """Give by how many blocks and bytes a process has grown in TIMES uses."""
    script = SCRIPT.format(body=textwrap.indent(textwrap.dedent(body), "    "))
    ran = subprocess.run(
        [sys.executable, "-c", script, str(TIMES)], capture_output=True, text=True, timeout=300,
        env={**os.environ, "GAISTREAM_BACKEND": twin, "PYTHONHASHSEED": "0"}, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    blocks, size, backend = json.loads(ran.stdout)
    assert backend == twin
    return blocks, size


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("case", CASES)
def test_many_uses_hold_no_more_than_few(case, twin):
    blocks, size = grown(CASES[case], twin)
    assert blocks < TIMES / 10  # one block a use would be TIMES
    assert size < 2**20  # half a KB a use would be more


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_leak_would_be_seen():
    blocks, _ = grown("globals().setdefault('kept', []).append([])", TWINS[0])
    assert blocks >= TIMES
    _, size = grown("globals().setdefault('kept', []).append(bytes(900))", TWINS[0])
    assert size > 2**20
