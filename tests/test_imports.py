"""What `import gaistream` loads, and what each name loads when it is first used.

Each case is a child process, for this one has loaded everything. Modules are counted, not time.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import gaistream

SOURCE = Path(gaistream.__file__)
HEAVY = {"asyncio", "concurrent", "dataclasses", "email", "http", "inspect", "json", "logging",
         "orjson", "socket", "ssl", "urllib", "uuid"}
TWIN = {"core._core"} if gaistream.backend == "native" else {
    f"core.pure.{file.stem}".removesuffix(".__init__")
    for file in SOURCE.parent.glob("core/pure/*.py")
}
CORE = {"core", "core.separators", "_version", "errors"} | TWIN


def child(program: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], text=True,
                          capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded_by(program: str) -> set[str]:
    before = "import sys; before = {*sys.modules}\n"
    return set(child(before + program + "\nprint(*{*sys.modules} - before)").split())


def ours(modules: set[str]) -> set[str]:
    return {name.removeprefix("gaistream.") for name in modules if name.startswith("gaistream.")}


def test_importing_the_package_loads_the_core_and_nothing_heavy():
    modules = loaded_by("import gaistream; gaistream.backend; dir(gaistream)")
    assert ours(modules) == CORE
    others = {name.partition(".")[0] for name in modules} - {"gaistream"}
    assert others & HEAVY == set()
    others = {name for name in others if not name.lstrip("_").startswith("cython")}
    assert others <= sys.stdlib_module_names


@pytest.mark.parametrize("use", [
    "encode_sse('x', 'text')",
    "encode_sse_into(bytearray(99), 0, 'x')",
    "encode_comment()",
    "FrameTemplate(b'data: ', b'\\n\\n').render('x')",
    "SSEDecoder().feed(b'data: x\\n\\n')",
    "LineSplitter().feed(b'x\\n')",
    "events.TextDelta('x')",
])
def test_what_needs_no_json_loads_no_json_library(use):
    modules = loaded_by(f"import gaistream; gaistream.{use}")
    assert ours(modules) - CORE <= {"events"}
    assert {"json", "orjson"} & modules == set()


@pytest.mark.parametrize(("use", "value"), [
    ("encode_ndjson({'a': 'é'})", "{'a': 'é'}"),
    ("encode_ndjson([float('nan')])", "[None]"),
    ("encode_ndjson(" + "[" * 60 + "]" * 60 + ")", "[" * 60 + "]" * 60),  # not for orjson
])
def test_the_first_payload_loads_the_json_library_and_is_encoded_as_any(use, value):
    program = (f"import json, gaistream; first = gaistream.{use}; "
               f"print(first == gaistream.{use}, json.loads(first))")
    assert child(program) == f"True {value}\n"


def test_the_first_frame_with_a_payload_and_the_first_refusal_are_as_any():
    assert child("import gaistream; print(gaistream.encode_sse(json=[1]))") == repr(
        b"data: [1]\n\n") + "\n"
    program = """if True:
        import gaistream
        said = []
        for _ in range(2):
            try:
                gaistream.encode_ndjson({"a": [object()]})
            except gaistream.GaistreamError as error:
                said.append((type(error).__name__, str(error)))
        assert said[0] == said[1], said
        print(*said[0])
    """
    assert child(program) == "EncodeError cannot encode object at $.a[0]\n"


@pytest.mark.parametrize("use", [
    "gaistream.ServerSentEvent('[1]').json()",
    "gaistream.SSEDecoder().feed(b'data: [1]\\n\\n')[0].json()",
    "gaistream.NDJSONDecoder().feed(b'[1]\\n')[0]",
])
def test_the_first_value_that_is_read_loads_the_json_library(use):
    assert child(f"import gaistream; print({use})") == "[1]\n"


def test_a_decoder_made_before_the_json_library_was_loaded_calls_the_library_itself():
    program = """if True:
        import sys, gaistream
        decoder = gaistream.NDJSONDecoder()
        decoder.feed(b"1\\n")
        called = []
        sys.setprofile(lambda frame, event, _: called.append(frame.f_code.co_name))
        decoder.feed(b"2\\n")
        sys.setprofile(None)
        print("_first_loads" in called)
    """
    assert child(program) == "False\n"


@pytest.mark.parametrize("name", sorted(gaistream.__all__))
def test_a_name_can_be_imported_by_itself_and_used_as_an_attribute(name):
    program = (f"from gaistream import {name} as first; import gaistream; "
               f"print(gaistream.{name} is first)")
    assert child(program) == "True\n"


def test_a_star_import_gives_every_name():
    program = "from gaistream import *; import gaistream; print({*gaistream.__all__} <= {*dir()})"
    assert child(program) == "True\n"


def test_the_names_are_listed_before_they_are_loaded():
    assert child("import gaistream; print({*gaistream.__all__} <= {*dir(gaistream)})") == "True\n"


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'gaistream' has no attribute 'see'"):
        gaistream.see


def test_what_is_loaded_later_is_what_the_type_checker_sees():
    (checked,) = (node for node in ast.parse(SOURCE.read_text()).body
                  if isinstance(node, ast.If) and isinstance(node.test, ast.Name))
    seen = {name.name: node.module or name.name for node in checked.body for name in node.names}
    assert seen == gaistream._MODULES


STREAM = """if True:
    import asyncio, gaistream
    async def source():
        yield ITEM
    async def stream():
        async for chunk in gaistream.sse(source(), dialect=NAME):
            if chunk.endswith(b"\\n\\n") and len(chunk) > 9:
                return
    asyncio.run(stream())
"""


@pytest.mark.parametrize(("name", "item", "modules"), [
    ("gai", "'a'", {"event_writer", "gai", "gai.from_dict", "gai.writer"}),
    ("json", "{'a': 1}", {"json"}),
    ("raw", "'a'", {"raw"}),
    ("anthropic", "'a'", {"event_writer", "stateful_writer", "gai", "gai.from_dict", "anthropic",
                          "anthropic.writer", "anthropic.words"}),
    ("gai_events_v1", "'a'", {"event_writer", "gai", "gai.from_dict", "gai.writer",
                              "gai_events_v1", "gai_events_v1.writer"}),
    ("ag_ui", "'a'", {"event_writer", "stateful_writer", "gai", "gai.from_dict", "gai.writer",
                      "ag_ui", "ag_ui.words", "ag_ui.writer"}),
    ("openai_chat", "'a'", {"event_writer", "stateful_writer", "gai", "gai.from_dict",
                            "openai_chat", "openai_chat.writer", "openai_chat.written_calls"}),
    ("openai_responses", "'a'", {
        "event_writer", "stateful_writer", "gai", "gai.from_dict", "fields", "openai_chat",
        "openai_responses", "openai_responses.items", "openai_responses.response",
        "openai_responses.words", "openai_responses.writer"}),
])
def test_a_stream_on_asyncio_loads_its_dialect_and_neither_readers_nor_other_loops(
    name, item, modules
):
    program = STREAM.replace("ITEM", item).replace("NAME", repr(name))
    loaded = loaded_by(program)
    names = {"base", "frame", "identity", *modules}
    dialects = {"dialects", *(f"dialects.{each}" for each in names)}
    assert {each for each in ours(loaded) if each.startswith("dialects")} == dialects
    rooms = {each.partition(".")[0] for each in ours(loaded)}
    assert rooms - {each.partition(".")[0] for each in CORE} <= {
        "_log", "dialects", "events", "loops", "message", "streaming", "writing",
    }
    assert {"trio", "anyio", "greenlet", "gevent"} & {
        each.partition(".")[0] for each in loaded
    } == set()
    foreign_loops = {"loops.trio", "loops.trio_loop", "loops.greenlets", "streaming.greenlets"}
    assert ours(loaded) & foreign_loops == set()


@pytest.mark.parametrize(("use", "modules"), [
    ("list(gaistream.read_events(b'', dialect='openai_chat'))",
     {"fields", "openai_chat", "openai_chat.parts", "openai_chat.reader",
      "openai_chat.tool_calls"}),
    ("list(gaistream.read_events(b'', dialect='anthropic'))",
     {"fields", "anthropic", "anthropic.blocks", "anthropic.reader", "anthropic.words"}),
    ("list(gaistream.read_events(b'', dialect='openai_responses'))",
     {"fields", "openai_chat", "openai_responses", "openai_responses.read_items",
      "openai_responses.reader", "openai_responses.words"}),
    ("list(gaistream.read_events(b'', dialect='gai_events_v1'))",
     {"fields", "gai", "gai.from_dict", "gai_events_v1", "gai_events_v1.reader"}),
    ("list(gaistream.read_events(b'', dialect='ag_ui'))",
     {"fields", "gai", "gai.from_dict", "ag_ui", "ag_ui.fields", "ag_ui.reader",
      "ag_ui.reasoning", "ag_ui.words"}),
    ("list(gaistream.read_events(b''))", {"gai", "gai.from_dict", "gai.reader"}),
])
def test_a_stream_that_is_read_loads_a_reader_and_no_writer(use, modules):
    loaded = ours(loaded_by(f"import gaistream; {use}"))
    names = {"base", "deltas", "frame", "identity", *modules}
    dialects = {"dialects", *(f"dialects.{each}" for each in names)}
    assert {each for each in loaded if each.startswith("dialects")} == dialects


def test_in_a_subinterpreter_that_cannot_load_the_core_the_warning_says_so():
    program = """
import gaistream
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
inside = "import gaistream; print(gaistream.backend)"
run = getattr(interpreters, "run_string", None) or interpreters.exec
run(interpreters.create(), inside)
"""
    environment = {name: text for name, text in os.environ.items() if name != "GAISTREAM_BACKEND"}
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60,
        env=environment,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    if ran.stdout == "pure\n":
        assert "the compiled core cannot be loaded here (" in ran.stderr
        assert "compiler" not in ran.stderr
