"""How each code block of the documentation is checked, by its language and its mark.

A mark is an HTML comment on the line before the block (docs/pages.py reads it):

- `<!-- asked: /path -> "text" -->`: the block's `app` is served on a free port and asked for the
  path. The stream must have this text (`*` is any) and end with `done`; with `body "text"` the
  answer, of any kind, must contain it. Before the path may stand pairs of a
  header's name and value (%20 is a space).
- `<!-- file: examples/name.py -->`: the block shows this file, which test_examples.py serves.
- `<!-- played -->`: test_tutorial.py or test_readme.py in tests/release does with the block what
  its page says.
- `<!-- not run: reason -->`: the block is only there to be read.

A check raises where the block is broken.
"""

from __future__ import annotations

import contextlib
import doctest
import functools
import html.parser
import inspect
import io
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import yaml
from pages import ROOT, Block
from real_servers import SECONDS, serve_uvicorn, serve_wsgiref

import gaistream
from gaistream.events import Done, TextDelta


def check_python(block: Block) -> None:
    """Run a program; ask its application; where its output follows, compare that."""
    namespace: dict[str, Any] = {"__name__": "documentation"}
    handlers = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        exec(compile(block.code, str(block), "exec"), namespace)
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)
    asked = (block.mark or "").startswith("asked: ")
    assert asked is ("app" in namespace), f"{block}: an app needs a mark that tells how it is asked"
    if asked:
        question, _, expected = str(block.mark).removeprefix("asked: ").partition(" -> ")
        *pairs, target = question.split()
        values = map(unquote, pairs[1::2])
        _ask(namespace["app"], target, dict(zip(pairs[::2], values, strict=True)), expected)


def _ask(app: Any, target: str, headers: dict[str, str], expected: str) -> None:
    with _serve(app) as server:
        answer = httpx.get(server.url + target, headers=headers, timeout=SECONDS)
    if expected.startswith("body "):
        assert json.loads(expected.removeprefix("body ")) in answer.text
        return
    formats = {"text/event-stream": "sse", "application/x-ndjson": "ndjson"}
    said = list(gaistream.read_events(answer.content, formats[answer.headers["content-type"]]))
    assert said[-1] == Done()
    text = "".join(event.text for event in said if isinstance(event, TextDelta))
    assert expected == "*" or text == json.loads(expected)


def _serve(app: Any) -> Any:
    called = getattr(app, "__call__", app)
    wsgi = hasattr(app, "wsgi_app") or not (
        inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(called)
    )
    return serve_wsgiref(app) if wsgi else serve_uvicorn(app, "h11", "asyncio")


def check_output(block: Block) -> None:
    """Compare what a page says that a program prints with what it prints."""
    assert block.before is not None
    assert block.before.language == "python", f"{block}: output of what?"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block.before.code, str(block.before), "exec"), {"__name__": "documentation"})
    assert printed.getvalue() == block.code


def check_session(block: Block) -> None:
    """Run an interactive session, which must give what it says."""
    session = doctest.DocTestParser().get_doctest(block.code, {}, str(block), block.page, 0)
    assert session.examples
    complaints: list[str] = []
    doctest.DocTestRunner(verbose=False).run(session, out=complaints.append)
    assert not complaints, "".join(complaints)


# ---- shell ----


def check_shell(block: Block) -> None:
    """Parse it, and check that its commands, targets, options, files and extras exist."""
    subprocess.run(["bash", "-n"], input=block.code, text=True, check=True, timeout=SECONDS)
    bare = re.search(r"(?<!['\"])\bhttps?://[^\s'\"]*[?&]", block.code)
    assert bare is None, f"{block}: zsh takes the ? of {bare and bare[0]} for a pattern: quote it"
    for line in block.code.splitlines():
        words = shlex.split(line, comments=True)
        while words:
            end = words.index("|") if "|" in words else len(words)
            command, words = words[:end], words[end + 1 :]
            while re.fullmatch(r"[A-Z_]+=\S*", command[0]):
                command.pop(0)
            COMMANDS[command[0]](command[1:])


def _make(arguments: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in arguments:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target}"


def _pip(arguments: list[str]) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for argument in arguments:
        for extra in re.findall(r"^(?:gaistream|\.|/path/to/clone)\[(.+)\]$", argument):
            assert set(extra.split(",")) <= extras["optional-dependencies"].keys(), argument


def _python(arguments: list[str]) -> None:
    if arguments[0] == "-m":
        assert arguments[1] == "venv"
    else:
        examples = {path.name for path in (ROOT / "examples").iterdir()}
        assert arguments[0] in examples | {"first.py", "reader.py"}, arguments


def _server(package: str) -> Callable[[list[str]], None]:
    def check(arguments: list[str]) -> None:
        assert re.fullmatch(r"\w+:\w+", arguments[0]), arguments
        known = _help_of(package)
        for option in arguments[1:]:
            assert not option.startswith("--") or option in known, f"{package} {option}"

    return check


def _gaistream(arguments: list[str]) -> None:
    subcommand = [each for each in arguments[:1] if not each.startswith("-")]
    known = _help_of("gaistream", *subcommand)
    for option in arguments:
        assert not re.match("--?[a-z]", option) or option in known, option


@functools.cache
def _help_of(package: str, *arguments: str) -> str:
    command = [sys.executable, "-m", package, *arguments, "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def _nothing(_: list[str]) -> None:
    """Take it as it is."""


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    ".": _nothing,
    "curl": _nothing,
    "gaistream": _gaistream,
    "gunicorn": _server("gunicorn"),
    "hypercorn": _server("hypercorn"),
    "jq": _nothing,
    "make": _make,
    "pip": _pip,
    "printf": _nothing,
    "python": _python,
    "python3": _python,
    "uvicorn": _server("uvicorn"),
}


# ---- what else is there ----


class _HTML(html.parser.HTMLParser):
    """Collects the tags that are open at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in ("meta", "link", "br", "img", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check_html(block: Block) -> None:
    """Check that each tag is closed."""
    parser = _HTML()
    parser.feed(block.code)
    assert parser.open == [], parser.open


def check_script(block: Block) -> None:
    """Parse it as a function's body, where there is node; the browsers' tests run some of them."""
    node = shutil.which("node")
    if node is None:
        return
    program = f"(async () => {{\n{block.code}\n}})"
    said = subprocess.run([node, "--check", "-"], input=program, text=True, capture_output=True)
    assert said.returncode == 0, said.stderr


CHECKS: dict[str, Callable[[Block], None]] = {
    "html": check_html,
    "js": check_script,
    "json": lambda block: json.loads(block.code),
    "toml": lambda block: tomllib.loads(block.code),
    "pycon": check_session,
    "python": check_python,
    "sh": check_shell,
    "text": check_output,
    "yaml": lambda block: yaml.safe_load(block.code),
}


# ---- proxies ----


def proxy_blocks(blocks: list[Block]) -> Iterator[Block]:
    """Yield the blocks that are settings of nginx or Caddy."""
    return (block for block in blocks if block.language in ("nginx", "caddyfile"))


def settings_of(block: Block, upstream: str, port: int, home: Path) -> str:
    """Return complete settings around a block, with its addresses replaced."""
    assert "127.0.0.1:8000" in block.code
    code = block.code.replace("127.0.0.1:8000", upstream)
    if block.language == "caddyfile":
        assert code.startswith("http://chat.example.com {")
        site = code.replace("http://chat.example.com", f"http://127.0.0.1:{port}")
        return f"{{\nadmin off\nauto_https off\n}}\n{site}"
    folders = "".join(
        f"{name}_temp_path {home}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        f"daemon off; pid {home}/nginx.pid; error_log stderr; worker_processes 1;\n"
        f"events {{}} http {{ access_log off; {folders}\n"
        f"server {{ listen 127.0.0.1:{port};\n{code}}} }}\n"
    )
