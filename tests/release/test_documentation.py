"""The documentation: every code block is run or checked, every page and public name is in it.

tests/support/block_checks.py says how a block is checked. Three browsers run the scripts of
browser.md in tests/servers/test_browsers.py and test_browser_handbook.py; here they are parsed.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import re
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import block_checks
import httpx
import llms
import pages
import pytest
import yaml
from pages import ROOT, Block
from real_servers import SECONDS, listen, serve_uvicorn, until
from required import need_program
from server_table import _running

import gaistream
from gaistream.asgi import SSEResponse

PAGES = ["README.md", *pages.site_pages()]
BLOCKS = [block for page in PAGES for block in pages.blocks_of(page)]
NOT_RUN: dict[str, str] = {}  # page and line to the reason
RUN_ELSEWHERE = {("README.md", "python"), ("README.md", "")}  # tests/release/test_readme.py


def named(block: Block) -> str:
    return str(block)


# ---- blocks ----


@pytest.mark.parametrize("block", BLOCKS, ids=named)
def test_a_block_does_what_its_page_says(block: Block) -> None:
    mark = block.mark or ""
    if (block.page, block.language) in RUN_ELSEWHERE or block in PROXIES:
        return
    if mark.startswith("not run: "):
        assert str(block) in NOT_RUN
    elif mark.startswith("file: "):
        file = mark.removeprefix("file: ")
        assert block.code == (ROOT / file).read_text()
        names = ("test_examples.py", "test_recipes.py", "../clients/test_agent_sources.py")
        served = "".join(map(tests_of, names))
        assert re.search(rf'"{Path(file).stem.removesuffix("_app")}', served)
    elif mark == "played":
        assert f'"{block.title}"' in tests_of("test_tutorial.py") + tests_of("test_readme.py")
    else:
        block_checks.CHECKS[block.language](block)


def tests_of(name: str) -> str:
    return (Path(__file__).parent / name).read_text()


def test_the_blocks_that_are_not_run_are_these() -> None:
    marked = [block for block in BLOCKS if (block.mark or "").startswith("not run")]
    assert {str(block): str(block.mark).removeprefix("not run: ") for block in marked} == NOT_RUN


def test_every_program_of_the_readme_is_run_by_its_own_test() -> None:
    programs = [each for each in BLOCKS if (each.page, each.language) == ("README.md", "python")]
    for number in range(len(programs)):
        assert f"PROGRAMS[{number}]" in tests_of("test_readme.py")


def test_scripts_stand_where_browsers_run_them() -> None:
    scripts = {block.page for block in BLOCKS if block.language == "js"}
    assert scripts == {"gaistream/handbook/browser.md"}


BROKEN = {
    "python": "import gaistream\ngaistream.no_such_name\n",
    "pycon": ">>> 1 + 1\n3\n",
    "text": "not what is printed\n",
    "sh": "make no-such-target\n",
    "html": "<p>never closed",
    "json": "{",
    "toml": "=",
    "yaml": "a: [",
    "js": "const = 1;",
}


@pytest.mark.parametrize("language", BROKEN)
def test_a_broken_block_fails(language: str) -> None:
    if language == "js":
        need_program("node")
    before = Block("page.md", 1, "python", None, None, "print('printed')\n", None)
    block = Block("page.md", 9, language, None, None, BROKEN[language], before)
    with pytest.raises(Exception):  # of any kind
        block_checks.CHECKS[language](block)


@pytest.mark.parametrize(
    "code",
    [
        "pip install 'gaistream[no-such-extra]'",
        "no-such-command",
        "python no_such_file.py",
        "uvicorn app:app --no-such-option 1",
        "gaistream no-such-command",
        "if true",
    ],
)
def test_a_broken_command_fails(code: str) -> None:
    with pytest.raises(Exception):  # of any kind
        block_checks.check_shell(Block("page.md", 1, "sh", None, None, f"{code}\n", None))


def test_an_app_without_a_mark_and_one_that_says_something_else_fail() -> None:
    app = "from gaistream.wsgi import SSEResponse\n\napp = lambda *a: SSEResponse(['one'])(*a)\n"
    for mark in (None, 'asked: / -> "two"'):
        with pytest.raises(AssertionError):
            block_checks.check_python(Block("page.md", 1, "python", None, mark, app, None))
    mark = 'asked: / -> "one"'
    block_checks.check_python(Block("page.md", 1, "python", None, mark, app, None))


# ---- proxies ----

PROXIES = list(block_checks.proxy_blocks(BLOCKS))


@pytest.mark.parametrize("block", PROXIES, ids=named)
def test_a_stream_passes_a_proxy_with_these_settings_event_by_event(
    block: Block, tmp_path: Path
) -> None:
    program = need_program({"nginx": "nginx", "caddyfile": "caddy"}[block.language])
    go_on = threading.Event()

    async def answer() -> AsyncIterator[str]:
        yield "one"
        yield "two" if await asyncio.to_thread(go_on.wait, SECONDS) else "too late"

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await SSEResponse(answer())(scope, receive, send)

    with serve_uvicorn(app, "h11", "asyncio") as server, listen() as kept:
        port = kept.getsockname()[1]
        settings = tmp_path / "settings"
        upstream = server.url.removeprefix("http://")
        settings.write_text(block_checks.settings_of(block, upstream, port, tmp_path))
        if block.language == "nginx":  # which takes a socket that listens already
            if os.geteuid() == 0:
                settings.write_text("user root;" + settings.read_text())
            command = [program, "-p", str(tmp_path), "-c", str(settings), "-e", "stderr"]
            running = _running(tmp_path, command, kept.fileno(), NGINX=f"{kept.fileno()};")
        else:
            kept.close()
            command = [program, "run", "--config", str(settings), "--adapter", "caddyfile"]
            running = _running(tmp_path, command, 2)
        with running:
            until(lambda: answers(port))
            accept = {"Accept-Encoding": "gzip"}
            url = f"http://127.0.0.1:{port}/chat"
            with httpx.stream("GET", url, headers=accept, timeout=SECONDS) as response:
                compressed = response.headers.get("content-encoding") == "gzip"
                assert compressed is ("gzip_types" in block.code)
                events = gaistream.read_events(response)
                assert next(events).text == "one"
                go_on.set()
                assert next(events).text == "two"
                assert next(events) == gaistream.events.Done()


def answers(port: int) -> bool:
    with socket.socket() as trying:
        return trying.connect_ex(("127.0.0.1", port)) == 0


# ---- pages and names ----


class _Loader(yaml.SafeLoader):
    """Reads mkdocs.yml, whose slugs are named by a tag."""


_Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)
NAV = yaml.load((ROOT / "mkdocs.yml").read_text(), _Loader)["nav"]


def test_every_page_is_in_the_navigation_once() -> None:
    listed = [page for _, below in llms.sections(NAV) for page in below]
    assert sorted(listed) == sorted(pages.site_pages())


@pytest.mark.parametrize("page", pages.site_pages())
def test_a_page_has_one_title_and_a_first_sentence(page: str) -> None:
    prose = re.sub(r"^```.*?^```$", "", pages.read_page(page), flags=re.M | re.S)
    assert len(re.findall(r"^# ", prose, re.MULTILINE)) == 1
    assert len(pages.summary_of(prose).split()) > 4


MODULES = [
    "gaistream", "gaistream.asgi", "gaistream.client", "gaistream.errors", "gaistream.events",
    "gaistream.frameworks.fastapi", "gaistream.frameworks.gunicorn",
    "gaistream.frameworks.starlette", "gaistream.frameworks.uvicorn", "gaistream.http",
    "gaistream.writing.options", "gaistream.providers.docs", "gaistream.providers.openai",
    "gaistream.replay", "gaistream.testing", "gaistream.wsgi",
]  # fmt: skip


def public_names() -> dict[str, Any]:
    """Return the public names and their values, without modules, which have pages."""
    names = {}
    for name in MODULES:
        module = importlib.import_module(name)
        for each in module.__all__:
            thing = getattr(module, each)
            is_theirs = str(getattr(thing, "__module__", "")).startswith("fastapi")
            if not isinstance(thing, ModuleType) and not is_theirs:
                names[f"{name}.{each}"] = thing
    return names


def shown() -> dict[str, Any]:
    """Return the names that the reference shows, and their values."""
    found = {}
    for page in pages.site_pages():
        for name in llms.names_on(page):
            module, _, attribute = name.rpartition(".")
            found[name] = getattr(importlib.import_module(module), attribute)
    return found


def test_every_public_name_has_an_entry_in_the_reference() -> None:
    entries = shown()
    for name, thing in public_names().items():
        one_of_them = name in entries or any(
            thing is each for each in entries.values() if not isinstance(each, str)
        )
        assert one_of_them, name


@pytest.mark.parametrize("name", shown())
def test_an_entry_of_the_reference_has_a_docstring(name: str) -> None:
    thing = shown()[name]
    assert isinstance(thing, str) or inspect.getdoc(thing)


def test_llms_txt_lists_every_page_and_every_name_of_the_reference() -> None:
    files = llms.files(NAV)
    listing, whole = files["llms.txt"], files["llms-full.txt"]
    assert listing.startswith("# gaistream\n\n> gaistream ")
    links = re.findall(r"^- \[.+?\]\((.+?)\): .+", listing, re.MULTILINE)
    published = {place.replace(".md", ".html.md") for place in pages.site_pages().values()}
    assert sorted(links) == sorted(published)
    assert published <= files.keys()
    for name in shown():
        assert name in listing
        assert f"### {name}\n" in whole
    for page in pages.site_pages():
        assert pages.title_of(pages.read_page(page)) in whole
    assert "\n:::" not in whole
    assert "\n--8<--" not in whole
