"""README's programs, and the handbook's larger ones, run as they are written."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pages
import pytest
from command_line import run

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
OUTPUT = re.search(r"EventSource` reads:\n\n```\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
DEADLINE = 60


def program(page: str, title: str) -> str:
    """Return the block of a handbook page that has this title."""
    blocks = pages.blocks_of(f"gaistream/handbook/{page}.md")
    return next(block.code for block in blocks if block.title == title)


SERVE = """
import sys, uvicorn
class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)
Server(uvicorn.Config(sys.argv[1], port=0, log_level="warning")).run()
"""


@pytest.fixture
def serve(tmp_path):
    """Serve a program's `app` by uvicorn in a process of its own; return its address."""
    running = []

    def start(program: str) -> str:
        (tmp_path / "program.py").write_text(program)
        process = subprocess.Popen([sys.executable, "-c", SERVE, "program:app"], cwd=tmp_path,
                                   stdout=subprocess.PIPE, text=True)
        running.append(process)
        return f"http://127.0.0.1:{int(process.stdout.readline())}"

    yield start
    for process in running:
        process.terminate()
        process.wait(DEADLINE)
        process.stdout.close()


def test_readme_fits_on_a_page():
    assert len(README.splitlines()) <= 170


def test_the_first_program_prints_what_readme_says():
    assert OUTPUT is not None
    ran = subprocess.run([sys.executable, "-c", PROGRAMS[0]], text=True, capture_output=True,
                         timeout=DEADLINE, check=True)
    assert ran.stdout == OUTPUT[1]
    assert ran.stderr == ""


def test_the_fastapi_program_streams(serve):
    address = serve(PROGRAMS[1])
    response = httpx.get(f"{address}/chat", params={"q": "why"}, timeout=DEADLINE)
    assert response.headers["content-type"] == "text/event-stream"
    assert response.headers["x-accel-buffering"] == "no"
    assert re.findall(r'"text":"(.*?)"', response.text) == ["You ", "asked: ", "why "]
    assert response.text.endswith('event: done\ndata: {"finished":true}\n\n')


def test_a_reconnect_does_not_run_the_fastapi_program_again(serve):
    address = serve(PROGRAMS[1])
    first = httpx.get(f"{address}/chat", params={"q": "why"}, timeout=DEADLINE)
    [*_, last] = re.findall(r"^id: (.+)$", first.text, re.MULTILINE)
    again = httpx.get(f"{address}/chat", params={"q": "why"}, headers={"Last-Event-ID": last})
    assert (again.status_code, again.content) == (204, b"")


def test_the_handler_program_serves_both_formats(serve):
    address = serve(program("handlers", "endpoint.py"))
    question = "What are heartbeats?"
    sse = httpx.get(f"{address}/", params={"q": question}, timeout=DEADLINE)
    assert sse.headers["content-type"] == "text/event-stream"
    assert sse.text.endswith('event: done\ndata: {"finished":true}\n\n')
    body = {"messages": [{"role": "user", "content": question}]}
    accept = {"Accept": "application/x-ndjson"}
    ndjson = httpx.post(f"{address}/", json=body, headers=accept, timeout=DEADLINE)
    assert ndjson.headers["content-type"] == "application/x-ndjson"
    kinds = [json.loads(line)["type"] for line in ndjson.text.splitlines()]
    assert kinds[0] == "start"
    assert kinds[-3:] == ["finish_step", "finish", "done"]
    assert {"tool_call", "tool_result", "citations", "text_delta"} <= set(kinds)
    missing = httpx.get(f"{address}/", timeout=DEADLINE)
    assert missing.status_code == 400
    assert missing.json()["error"] == {"code": "missing_input", "message": "the query needs 'q'"}


def test_the_reading_program_reads_what_the_fastapi_program_says(serve):
    address = serve(PROGRAMS[1])
    command = [sys.executable, "-c", program("reading", "read.py"), f"{address}/chat"]
    ran = subprocess.run(command, text=True, capture_output=True, timeout=DEADLINE, check=True)
    assert (ran.stdout, ran.stderr) == ("You asked: why ", "")


def test_the_client_program_reads_what_the_fastapi_program_says(serve):
    address = serve(PROGRAMS[1])
    command = [sys.executable, "-c", program("client", "follow.py"), f"{address}/chat"]
    ran = subprocess.run(command, text=True, capture_output=True, timeout=DEADLINE, check=True)
    assert ran.stdout.splitlines()[-1] == 'done {"finished":true}'


def test_every_file_that_readme_links_to_is_there():
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", README):
        assert (ROOT / link).exists(), link


def test_the_check_at_a_terminal_says_what_the_handbook_says():
    said = b"data: 1\n\nevent: x\n\n"
    block = program("command-line", "check")
    assert block == f"printf {said.decode()!r} | gaistream check\n"
    ran = run("check", stdin=said)
    assert ran.status == 1
    assert ran.out == program("command-line", "report")


def test_readmes_figures_are_those_of_the_page_on_performance():
    page = (ROOT / "docs/performance.md").read_text()
    rows = re.findall(r"^\| (.+?) \| ([\d.,]+) (?:ns|× raw) \| (.+?) \| `make ", README, re.M)
    assert len(rows) == 4
    for title, ours, beside in rows:
        line = re.search(rf"^\| {re.escape(title.partition(', under')[0])} \|.*$", page, re.M)
        assert line is not None, title
        figures = [ours, *(re.search(r"([\d.,]+)$", each)[1] for each in beside.split("; "))]
        for each in figures:
            assert re.search(rf"(?<![\d.]){re.escape(each)}(?![\d])", line[0]), (title, each)
