"""The command: its help, its demo from first line to Ctrl-C, and its extras."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys

import httpx
import pytest
from command_line import DEADLINE, run, start

from gaistream.cli import COMMANDS

OPTIONS = {
    "check": ["--format", "--json", "--strict", "--limit", "--for", "--max-gap", "--rules"],
    "convert": ["--from", "--to", "--dialect", "--quiet"],
    "demo": ["--host", "--port", "--provider", "--base-url", "--model", "--rate"],
    "gateway": [
        "--provider", "--base-url", "--model", "--key-file", "--fallback", "--client-keys",
        "--open", "--host", "--port", "--max-streams", "--cors", "--quiet",
    ],
    "tail": ["--format", "--json", "--reconnect", "--quiet", "--header", "--data", "--timeout"],
}  # fmt: skip


def test_help_names_every_command_and_its_options():
    overview = run("--help").out
    assert COMMANDS.keys() == OPTIONS.keys()
    for name, (_, about) in COMMANDS.items():
        assert f"{name}  " in overview
        assert about in overview
        page = run(name, "--help").out
        assert about.removesuffix(".") in page
        for option in OPTIONS[name]:
            assert option in page


def test_the_demo_prints_its_address_answers_and_ends_by_interrupt():
    process = start("demo", "--port", "0", "--rate", "500", text=True)
    try:
        first_line = process.stdout.readline()
        address = re.fullmatch(r"gaistream demo: (http://127\.0\.0\.1:\d+)\n", first_line)[1]
        assert httpx.get(f"{address}/healthz").json()["status"] == "ok"
        assert "gaistream" in httpx.get(address).text
        question = {"q": "How do I stream from FastAPI?"}
        sse = httpx.get(f"{address}/chat", params=question, timeout=DEADLINE)
        assert "access-control-allow-origin" not in sse.headers
        assert 'id: 1\nevent: start\n' in sse.text
        assert sse.text.endswith('event: done\ndata: {"finished":true}\n\n')
        body = {"messages": [{"role": "user", "content": question["q"]}]}
        ndjson = httpx.post(f"{address}/api/chat", json=body, timeout=DEADLINE)
        last = json.loads(ndjson.text.splitlines()[-1])
        assert last == {"type": "done", "finished": True}
        bad = httpx.post(f"{address}/api/chat", json={"messages": [{"role": "user"}]})
        assert bad.status_code == 400
        for mark in ({"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}):
            foreign = httpx.post(f"{address}/api/chat", json=body, headers=mark)
            assert foreign.status_code == 403
            assert foreign.json()["error"]["code"] == "cross_site"
        assert httpx.get(f"{address}/chat", params=question, headers={"Origin": address}).is_success
        assert "messages[0]" in bad.json()["error"]["message"]
    finally:
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0
    assert (rest, errors) == ("", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo", "--provider", "openai"], "--provider openai needs --model"),
        (["demo", "--rate", "0"], "0.0 is not in the range x>0"),
        (["demo", "--port", "70000"], "70000 is not in the range 0<=x<=65535"),
        (["nothing"], "No such command 'nothing'"),
    ],
)
def test_a_wrong_call_has_an_exact_message(arguments, message):
    ran = run(*arguments)
    assert ran.status == 2
    assert message in ran.errors


@pytest.mark.parametrize(
    ("missing", "arguments", "message"),
    [
        ("click", [], "the command gaistream needs click: pip install 'gaistream[cli]'\n"),
        ("rich", ["tail", "x"], "gaistream tail needs rich: pip install 'gaistream[cli]'\n"),
        ("httpx,httpx2", ["check"], "gaistream check needs httpx: pip install 'gaistream[cli]'\n"),
        ("uvicorn", ["demo"], "gaistream demo needs uvicorn: pip install 'gaistream[demo]'\n"),
        ("starlette", ["demo"], "gaistream demo needs starlette: pip install 'gaistream[demo]'\n"),
    ],
)
def test_without_an_extra_it_names_the_extra_to_install(missing, arguments, message):
    ran = without(missing, *arguments)
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", message)


@pytest.mark.parametrize(
    ("missing", "arguments"),
    [
        ("uvicorn", ["check", "--rules"]),
        ("starlette", ["tail", "--help"]),
        ("rich", ["--help"]),
        ("httpx2", ["tail", "--help"]),
    ],
)
def test_a_command_needs_only_its_own_extra(missing, arguments):
    assert without(missing, *arguments).returncode == 0


def test_a_missing_module_of_gaistream_is_not_taken_for_a_missing_extra():
    assert "gaistream.chat" in without("gaistream.chat", "demo").stderr.splitlines()[-1]


def without(missing: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command where packages, named with commas, cannot be imported."""
    gone = dict.fromkeys(missing.split(","))
    program = f"import sys; sys.modules.update({gone}); from gaistream.cli import main; main()"
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, text=True, capture_output=True, timeout=DEADLINE, check=False)
