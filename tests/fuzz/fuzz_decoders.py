"""Fuzzing of what reads bytes: the compiled core under AddressSanitizer, beside its pure twin.

Each input is a few choices and a stream, which is fed in chunks to a decoder of each twin: values,
errors and their text must be the same. Uninstrumented, atheris sees nothing of the core; so build
it for that in a copy of the tree, and run (Debian: clang libclang-rt-dev; `pip install atheris
cython setuptools orjson`):

    CC=clang LDSHARED="clang -shared" LDFLAGS=-fsanitize=address \
    CFLAGS="-O1 -g -fsanitize=address -fsanitize-coverage=inline-8bit-counters,pc-table,trace-cmp" \
    GAISTREAM_BUILD=native python setup.py build_ext --inplace
    mkdir -p corpus; ATHERIS=$(python -c 'import atheris; print(atheris.path())')
    PYTHONPATH=. LD_PRELOAD=$ATHERIS/asan_with_fuzzer.so PYTHONMALLOC=malloc \
    ASAN_OPTIONS=detect_leaks=0 python tests/fuzz/fuzz_decoders.py -max_total_time=300 corpus
"""

import sys

import atheris

import gaistream
from gaistream import _core, _json, pure

LINES = (None, ..., bytes.decode)

pure.install_json(
    _json.fast_dumps, _json.json_default, _json.json_option, _json.json_line_option,
    _json.careful_dumps, _json.loads,
)


def plain(values):
    """Give what a decoder gave, whichever twin it is."""
    return [
        (each.event, each.data_bytes, each.data, each.id, each.retry, written(each))
        if hasattr(each, "data_bytes") else repr(each)
        for each in values
    ]


def written(event):
    try:
        return bytes(event)
    except ValueError as error:  # a name that was read may hold NUL, and none is written
        return str(error)


def outcome(call, *args):
    try:
        return plain(call(*args) or [])
    except ValueError as error:
        return type(error).__name__, str(error), plain(getattr(error, "values", []))


def played(core, kind, named, chunks):
    """Give all that happens to a decoder of this twin."""
    decoder = getattr(core, kind)(**named)
    seen = [outcome(decoder.feed, chunk) for chunk in chunks]
    if kind == "NDJSONDecoder":
        seen += [outcome(decoder.feed, b"") for _ in range(3)]
    seen += [outcome(decoder.close), outcome(decoder.close)]
    return seen, getattr(decoder, "last_event_id", None), getattr(decoder, "retry", None)


def test_one_input(data):
    """Feed one stream to both twins."""
    if len(data) < 4:
        return
    choice, limit, size, loads = data[:4]
    text = data[4:]
    kind = ("SSEDecoder", "NDJSONDecoder", "LineSplitter")[choice % 3]
    named = {}
    if limit:
        named["max_event_bytes" if kind == "SSEDecoder" else "max_line_bytes"] = limit
    if kind == "NDJSONDecoder":
        named |= {"strict": bool(choice & 64), "loads": LINES[loads % 3]}
        named["on_error"] = "skip" if choice & 128 else "raise"
    step = size or len(text) or 1
    chunks = [text[at : at + step] for at in range(0, len(text), step)]
    if loads & 128:
        chunks = [memoryview(bytearray(b"<" + chunk + b">"))[1:-1] for chunk in chunks]
    first, second = (played(core, kind, named, chunks) for core in (_core, pure))
    if first != second:
        raise AssertionError(f"{kind} {named} {chunks!r}:\n{first}\n{second}")


if __name__ == "__main__":
    assert gaistream.backend == "native"
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
