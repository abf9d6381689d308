"""The command: its help, its demo from first line to Ctrl-C, and what it says without extras."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import textwrap

import httpx
import pytest

DEADLINE = 60
COMMAND = [sys.executable, "-m", "gaistream"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], text=True, capture_output=True, timeout=DEADLINE)


def test_help_names_the_demo_and_its_options():
    assert "demo  Serve the chat page." in run("--help").stdout
    said = run("demo", "--help").stdout
    for option in ("--host", "--port", "--provider", "--base-url", "--model", "--rate"):
        assert option in said


def test_the_demo_prints_its_address_answers_and_ends_by_interrupt():
    process = subprocess.Popen([*COMMAND, "demo", "--port", "0", "--rate", "500"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        said = process.stdout.readline()
        address = re.fullmatch(r"gaistream demo: (http://127\.0\.0\.1:\d+)\n", said)[1]
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
    ("arguments", "said"),
    [
        (["demo", "--provider", "openai"], "--provider openai needs --model"),
        (["demo", "--rate", "0"], "0.0 is not in the range x>0"),
        (["demo", "--port", "70000"], "70000 is not in the range 0<=x<=65535"),
        (["nothing"], "No such command 'nothing'"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(arguments, said):
    ran = run(*arguments)
    assert ran.returncode == 2
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("missing", ["click", "starlette", "uvicorn"])
def test_without_an_extra_it_says_what_to_install(missing):
    program = textwrap.dedent(f"""
        import sys
        sys.modules[{missing!r}] = None
        from gaistream.cli import main
    """)
    ran = subprocess.run([sys.executable, "-c", program], text=True, capture_output=True,
                         timeout=DEADLINE)
    assert ran.returncode == 1
    assert ran.stderr == f"the command gaistream needs {missing}: pip install 'gaistream[demo]'\n"
