"""Coding agents from npm, unmodified, through the gateway to a service with OpenAI's Chat protocol.

The agent of Anthropic speaks Messages, that of OpenAI Responses. Each is asked once, calls a tool
on this machine as the service tells it, sends the result back, and prints the answer. They are
650 MB, so they are installed only where GAISTREAM_REQUIRE lists "agents".
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from client_matrix import SECRET
from real_servers import serve_uvicorn
from required import REQUIRED, once_a_check
from vendor_clients import SCRIPTS, need_clients

from gaistream import events
from gaistream.asgi import protocol_handler
from gaistream.gateway import Gateway
from gaistream.providers import OpenAIProvider

once_a_check()
if "agents" not in REQUIRED:
    pytest.skip("GAISTREAM_REQUIRE does not list agents", allow_module_level=True)

SECONDS = 90
SHELLS = ("Bash", "exec_command", "shell_command", "shell")
CONFIG = """
model = "m"
model_provider = "local"
approval_policy = "never"
sandbox_mode = "danger-full-access"

[model_providers.local]
name = "local"
base_url = "{url}/v1"
wire_api = "responses"
"""


class Model:
    """Calls the agent's shell, then says what that has said."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def stream_text(self, request: Any) -> Any:
        self.asked.append(request)
        yield events.Start("answer", "m")
        results = [each for each in request.messages if each["role"] == "tool"]
        if results:
            yield events.TextDelta(f"The shell said: {json.dumps(results[-1]['content'])}")
            yield events.Finish(events.Usage(10, 5), "stop")
            return
        tools = {each["function"]["name"]: each["function"] for each in request.extra["tools"]}
        shell = tools[next(name for name in SHELLS if name in tools)]
        fields = shell["parameters"]["properties"]
        command: Any = "echo hello-$((40 + 2))"
        name = "command" if "command" in fields else "cmd"
        if fields[name].get("type") == "array":
            command = ["bash", "-c", command]
        asked = {name: command, **({"description": "Greet"} if "description" in fields else {})}
        yield events.ToolCall("call_1", shell["name"], asked)
        yield events.Finish(events.Usage(10, 5), "tool_calls")


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def gateway(model: Model) -> Iterator[str]:
    about: Any = {"http": "h11", "loop": "asyncio", "interface": "asgi3"}
    with serve_uvicorn(protocol_handler(model, "openai_chat"), **about) as service:
        provider = OpenAIProvider(f"{service.url}/v1", api_key=SECRET)
        with serve_uvicorn(Gateway(provider, models=["m"]), **about) as running:
            yield running.url


def ask(command: list[str], home: Path, **environment: str) -> str:
    """Run an agent in an empty folder, and return what it prints."""
    folder = need_clients(SCRIPTS / "agents")
    program = folder / "node_modules" / command[0]
    work = home / "work"
    work.mkdir()
    done = subprocess.run(
        [program, *command[1:], "Greet me with the shell"], cwd=work, text=True,
        capture_output=True, stdin=subprocess.DEVNULL, timeout=SECONDS,
        env={"PATH": os.environ["PATH"], "HOME": str(home), **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check(said: str, model: Model) -> None:
    assert "The shell said: " in said
    assert "hello-42" in said
    assert len(model.asked) >= 2
    assert all(request.model == "m" for request in model.asked)
    assert SECRET not in said


def test_the_agent_that_speaks_messages_works(gateway: str, model: Model, tmp_path: Path) -> None:
    quiet = {"DISABLE_TELEMETRY": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
    command = [
        "@anthropic-ai/claude-code-linux-x64/claude",
        "--model",
        "m",
        "--allowedTools",
        "Bash",
        "-p",
    ]
    said = ask(
        command, tmp_path, **quiet, ANTHROPIC_BASE_URL=gateway, ANTHROPIC_API_KEY="any",
    )  # fmt: skip
    check(said, model)


def test_the_agent_that_speaks_responses_works(gateway: str, model: Model, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(CONFIG.format(url=gateway))
    command = [".bin/codex", "exec", "--skip-git-repo-check"]
    check(ask(command, tmp_path, CODEX_HOME=str(tmp_path)), model)
