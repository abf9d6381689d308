"""`gaistream gateway` as a process, before a service with OpenAI's protocol."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from command_line import DEADLINE, PLAIN, run, start
from openai_service import Service
from required import need_package

need_package("uvicorn")
need_package("click")

PROVIDER_KEY = "sk-of-the-provider"
CLIENT_KEY = "key-of-a-client"
QUESTION: Any = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}


def chunk(delta: dict[str, Any], reason: str | None = None, **fields: Any) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": reason}]
    value = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "up",
             "choices": choices, **fields}  # fmt: skip
    return b"data: %b\n\n" % json.dumps(value).encode()


ANSWER = (
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "Hel"}),
    chunk({"content": "lo"}),
    chunk({}, "stop"),
    chunk({}, choices=[], usage={"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}),
    b"data: [DONE]\n\n",
)


@pytest.fixture(scope="module")
def running_service() -> Iterator[Service]:
    service = Service()
    thread = threading.Thread(target=service.run, kwargs={"sockets": [service.listener]})
    thread.start()
    assert service.ready.wait(DEADLINE)
    yield service
    service.should_exit = True
    thread.join(DEADLINE)
    service.listener.close()


@pytest.fixture
def service(running_service: Service) -> Service:
    running_service.reply = running_service.streaming(*ANSWER)
    running_service.requests.clear()
    running_service.gone.clear()
    return running_service


class Running:
    """A gateway that runs."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self.process = process
        self.url = process.stdout.readline().decode().rpartition(" ")[2].strip()

    def post(self, path: str, body: Any = QUESTION, **headers: str) -> httpx.Response:
        return httpx.post(f"{self.url}{path}", json=body, headers=headers, timeout=DEADLINE)

    def end(self) -> str:
        """Ask it to end, wait for that, and return its log."""
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=DEADLINE)
        assert self.process.returncode in (0, -signal.SIGTERM)
        return errors.decode()


@contextlib.contextmanager
def gateway(service: Service, *options: str) -> Iterator[Running]:
    command = ["gateway", "--provider", "openai", "--base-url", service.url, "--port", "0"]
    process = start(*command, *options, env={**PLAIN, "OPENAI_API_KEY": PROVIDER_KEY})
    try:
        yield Running(process)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()


def test_clients_of_each_protocol_are_answered_and_have_their_lines(service: Service) -> None:
    with gateway(service, "--model", "ours", "--models", "one, two") as running:
        whole = running.post("/v1/chat/completions").json()
        assert whole["choices"][0]["message"]["content"] == "Hello"
        assert running.post("/v1/messages").json()["content"][0]["text"] == "Hello"
        streamed = running.post("/v1/messages", {**QUESTION, "stream": True}).text
        assert "event: message_stop" in streamed
        part = {"type": "text", "text": "Hi"}
        message = {"id": "1", "role": "user", "parts": [part]}
        assert "data: [DONE]" in running.post("/ai-sdk", {"messages": [message]}).text
        listed = httpx.get(f"{running.url}/v1/models").json()
        assert [each["id"] for each in listed["data"]] == ["one", "two"]
        log = running.end()
    assert {body["model"] for _, body in service.requests} == {"ours"}
    headers = dict(service.requests[0][0]["headers"])
    assert headers[b"authorization"] == f"Bearer {PROVIDER_KEY}".encode()
    assert "POST '/v1/messages' 200 model='m' first=" in log
    assert "tokens=3+4" in log
    for secret in (PROVIDER_KEY, "Hi", "Hello", "Traceback", "Task was destroyed"):
        assert secret not in log


def test_the_vendors_own_clients_are_answered(service: Service) -> None:
    openai = pytest.importorskip("openai")
    anthropic = pytest.importorskip("anthropic")
    with gateway(service) as running:
        asked = {"model": "m", "messages": QUESTION["messages"]}
        with openai.OpenAI(api_key="x", base_url=f"{running.url}/v1") as client:
            whole = client.chat.completions.create(**asked)
            assert whole.choices[0].message.content == "Hello"
            with client.chat.completions.create(**asked, stream=True) as stream:
                said = [each.choices[0].delta.content for each in stream if each.choices]
            assert "".join(text or "" for text in said) == "Hello"
        with anthropic.Anthropic(api_key="x", base_url=running.url) as client:
            with client.messages.stream(**asked, max_tokens=9) as events:
                assert "".join(events.text_stream) == "Hello"
                assert events.get_final_message().usage.output_tokens == 4
            service.reply = service.streaming(b"slow down", status=429)
            limited = client.with_options(max_retries=0)
            with pytest.raises(anthropic.RateLimitError):
                limited.messages.create(**asked, max_tokens=9, stream=True)


def test_clients_keys_are_read_from_a_file(service: Service, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"# of the laptop\n\n{CLIENT_KEY}\n", encoding="utf-8")
    with gateway(service, "--client-keys", str(keys)) as running:
        for headers in ({}, {"x-api-key": "of-the"}, {"x-api-key": "# of the laptop"}):
            assert running.post("/v1/messages", **headers).status_code == 401
        assert service.requests == []
        for headers in ({"x-api-key": CLIENT_KEY}, {"authorization": f"Bearer {CLIENT_KEY}"}):
            assert running.post("/v1/messages", **headers).status_code == 200
        log = running.end()
    assert CLIENT_KEY not in log


def test_the_fallback_answers_if_the_provider_cannot_be_reached(service: Service) -> None:
    closed = "http://127.0.0.1:9"  # the port of discard, on which no service listens
    own = ["--fallback", "openai", "--fallback-base-url", service.url, "--base-url", closed]
    with gateway(service, *own) as running:
        assert running.post("/v1/messages").json()["content"][0]["text"] == "Hello"
        assert "a provider failed, the next one is asked" in running.end()


def test_a_page_elsewhere_cannot_ask(service: Service) -> None:
    with gateway(service) as running:
        assert running.post("/v1/messages", host="evil.example").status_code == 421
        body, headers = json.dumps(QUESTION), {"origin": "https://evil.example"}
        there = httpx.post(f"{running.url}/v1/messages", content=body, headers=headers)
        assert there.status_code == 415
        assert service.requests == []


def test_a_client_that_leaves_ends_the_providers_answer_at_once(service: Service) -> None:
    service.reply = service.streaming(*ANSWER[:2], end="waits")
    with gateway(service) as running:
        body = {**QUESTION, "stream": True}
        with httpx.stream("POST", f"{running.url}/v1/messages", json=body) as answer:
            assert "Hel" in next(text for text in answer.iter_text() if "Hel" in text)
        assert service.gone.wait(DEADLINE)
        log = running.end()
    assert "client_gone" in log
    assert "Task was destroyed" not in log


def test_it_ends_at_sigterm_while_a_stream_is_open(service: Service) -> None:
    service.reply = service.streaming(*ANSWER[:2], end="waits")
    with gateway(service) as running:
        body = {**QUESTION, "stream": True}
        with httpx.stream("POST", f"{running.url}/v1/messages", json=body) as answer:
            texts = answer.iter_text()
            assert "Hel" in next(text for text in texts if "Hel" in text)
            running.process.send_signal(signal.SIGTERM)
            rest = "".join(texts)
        log = running.end()
    assert "event: error" in rest
    assert "drained" in log
    assert "Task was destroyed" not in log
    assert service.gone.wait(DEADLINE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0"], "pass --client-keys, or --open"),
        (["--base-url", "nonsense"], "base_url must be an http or https URL"),
        (["--cors", "https://a.example/path"], "cors must be"),
        (["--key-file", "two"], "two must hold one key, on one line; it holds 2"),
        (["--key-file", "binary"], "binary cannot be read: UnicodeDecodeError"),
        (["--client-keys", "empty"], "clients' keys must be at least 8 characters long"),
    ],
)
def test_what_cannot_be_used_is_named(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two").write_text("one-key-of-two\nother-key-of-two\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00secret")
    (tmp_path / "empty").write_text("# none yet\n")
    ran = run("gateway", "--provider", "openai", "--port", "0", *arguments)
    assert ran.status == 2
    assert message in " ".join(ran.errors.split())
    assert "secret" not in ran.errors
    assert "-key-of-" not in ran.errors
