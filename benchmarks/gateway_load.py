"""What a gateway process spends on many paced streams over loopback, and whether one comes late.

`python benchmarks/gateway_load.py --streams 256 --rate 50 --seconds 10`: a service with OpenAI's
Chat protocol sends each stream a token at its pace, `gaistream gateway` passes them on, and clients
of Anthropic's protocol read them. The service, the gateway and the clients are three processes.
Every token bears the time at which the service sent it; each client must get all of its own, in
order and whole. Prints the gateway's CPU in percent of a core and in microseconds a token, the
largest number of streams that one core would bear at that cost, and how late the tokens came.
Exit status 1 if a token is missing, or came later than the next one was due.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from processes import allow_many_files

ROOT = Path(__file__).parent.parent
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
TOKEN = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1764000000,"model":"m",'
    b'"system_fingerprint":"fp_1","choices":[{"index":0,"delta":{%b},"logprobs":null,'
    b'"finish_reason":%b}]}\n\n'
)
SAID = re.compile(rb'"(?:text_delta","text|content)":"(\d+)"')
OTHER = {"httpx": "httpx2", "httpx2": "httpx"}
GATEWAY = (
    "import sys; sys.modules[sys.argv.pop(1)] = None; from gaistream.cli import main; "
    "sys.argv[0] = 'gaistream'; sys.exit(main())"
)
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


SAMPLE = chunk(TOKEN % (b'"content":"%d"' % time.monotonic_ns(), b"null"))
PAYLOAD = re.sub(rb'"content":"\d+"', b'"content":"%d"', SAMPLE)


# ---- the service ----


class Service(asyncio.Protocol):
    """One connection of the gateway: each request is answered by paced tokens."""

    def __init__(self, rate: float, tokens: int) -> None:
        self._pace, self._tokens = 1 / rate, tokens
        self._received = b""
        self._next: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, _: Exception | None) -> None:
        if self._next is not None:
            self._next.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, ended, body = self._received.partition(b"\r\n\r\n")
        size = re.search(rb"(?i)content-length: (\d+)", head)
        if ended and size and len(body) >= int(size[1]):
            self._received = b""
            loop = asyncio.get_running_loop()
            start = TOKEN % (b'"role":"assistant","content":""', b"null")
            self._transport.write(HEAD + chunk(start))
            # 256 requests come at once; their tokens are spread over a pace
            first = loop.time() + self._pace * (1 + (id(self) >> 5) % 97 / 97)
            self._next = loop.call_at(first, self._say, first, self._tokens)

    def _say(self, due: float, left: int) -> None:
        if not left:
            end = TOKEN % (b"", b'"stop"') + b"data: [DONE]\n\n"
            self._transport.write(chunk(end) + b"0\r\n\r\n")
            return
        self._transport.write(PAYLOAD % time.monotonic_ns())  # as many digits each time
        due += self._pace
        self._next = asyncio.get_running_loop().call_at(due, self._say, due, left - 1)


def run(main: Any) -> Any:
    """Run a coroutine, on uvloop if it is installed: the load must cost less than the gateway."""
    factory = None
    with contextlib.suppress(ImportError):
        factory = importlib.import_module("uvloop").new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


async def serve(listening: socket.socket, make: Callable[[], asyncio.Protocol]) -> None:
    server = await asyncio.get_running_loop().create_server(make, sock=listening)
    await server.serve_forever()


# ---- the clients ----


class Client(asyncio.Protocol):
    """Asks, and keeps what comes with the time at which it came."""

    def __init__(self) -> None:
        self.pieces: list[tuple[int, bytes]] = []
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        question = {"model": "m", "max_tokens": 9, "stream": True,
                    "messages": [{"role": "user", "content": "Hi"}]}  # fmt: skip
        body = json.dumps(question).encode()
        head = b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
        transport.write(b"%b\r\nContent-Length: %d\r\n\r\n%b" % (head, len(body), body))
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self.pieces.append((time.monotonic_ns(), data))
        if data.endswith(b"0\r\n\r\n"):
            self._transport.close()

    def connection_lost(self, _: Exception | None) -> None:
        self.ended.set_result(None)

    def sent(self) -> list[tuple[int, int]]:
        """Return when each token was sent and when it came, in nanoseconds."""
        return [(int(sent), came) for came, piece in self.pieces for sent in SAID.findall(piece)]


async def load(address: tuple[str, int], streams: int, begun: float, pid: int, service: int) -> Any:
    """Open the streams, read them to their ends; return them and what the gateway spent."""
    loop = asyncio.get_running_loop()
    clients: list[Client] = []
    for _ in range(streams):
        _, client = await loop.create_connection(Client, *address)
        clients.append(client)
        await asyncio.sleep(0.002)  # a burst of requests is another question
    await asyncio.sleep(begun)  # until what their opening has delayed is over
    pids = {"gateway": pid, "service": service, "clients": os.getpid()}
    before, start = {name: cpu_of(each) for name, each in pids.items()}, time.monotonic_ns()
    await asyncio.wait([clients[0].ended], timeout=600)
    end = time.monotonic_ns()
    spent = {name: cpu_of(each) - before[name] for name, each in pids.items()}
    await asyncio.wait([each.ended for each in clients], timeout=600)
    return clients, spent, (start, end)


def cpu_of(pid: int) -> float:
    """Return the seconds that a process has spent."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


# ---- the three processes ----


@contextlib.contextmanager
def running(command: list[str], **how: Any) -> Iterator[subprocess.Popen[str]]:
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, text=True, env=environment, **how
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def main() -> int:
    parser = argparse.ArgumentParser(description="Load one gateway process with paced streams.")
    parser.add_argument("--streams", type=int, default=256)
    parser.add_argument("--rate", type=float, default=50, help="tokens a second and stream (50)")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--library", choices=OTHER, default="httpx", help="of the gateway (httpx)")
    parser.add_argument(
        "--direct", action="store_true", help="without the gateway: how late the machine itself is"
    )
    parser.add_argument("--gateway-core", type=int, help="the core that the gateway runs on")
    parser.add_argument("--listening", type=int, help=argparse.SUPPRESS)
    settings = parser.parse_args()
    allow_many_files()
    tokens = round(settings.rate * settings.seconds)
    if settings.listening is not None:
        listening = socket.socket(fileno=settings.listening)
        run(serve(listening, lambda: Service(settings.rate, tokens)))
        return 0
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1024))
        fd, port = listening.fileno(), listening.getsockname()[1]
        service = stack.enter_context(
            running([__file__, *sys.argv[1:], "--listening", str(fd)], pass_fds=[fd])
        )
        gateway = stack.enter_context(
            running(
                ["-c", GATEWAY, OTHER[settings.library], "gateway", "--provider", "openai",
                 "--base-url", f"http://127.0.0.1:{port}/v1", "--port", "0", "--quiet"]
            )
        )  # fmt: skip
        assert gateway.stdout is not None
        at_service = "127.0.0.1", port
        address = "127.0.0.1", int(gateway.stdout.readline().strip().rpartition(":")[2])
        if settings.gateway_core is not None:
            os.sched_setaffinity(gateway.pid, {settings.gateway_core})
        address = at_service if settings.direct else address
        found = run(load(address, settings.streams, 1, gateway.pid, service.pid))
    return report(settings, tokens, *found)


def report(
    settings: Any, tokens: int, clients: list[Client], spent: dict[str, float],
    window: tuple[int, int],
) -> int:  # fmt: skip
    start, end = window
    seconds = (end - start) / 1e9
    said = [each.sent() for each in clients]
    short = sum(len(each) != tokens or each != sorted(each) for each in said)
    end_mark = b"[DONE]" if settings.direct else b"message_stop"
    whole = sum(end_mark in b"".join(piece for _, piece in each.pieces) for each in clients)
    delays = [[(came - at) / 1e6 for at, came in each if start <= at < end] for each in said]
    every = sorted(each for stream in delays for each in stream)
    if not every:
        print("no token came:", clients[0].pieces[:1])
        return 1
    due = 1000 / settings.rate
    late = sum(max(each, default=due) >= due for each in delays)
    cuts = statistics.quantiles(every, n=1000)
    share, cost = spent["gateway"] / seconds, 1e6 * spent["gateway"] / len(every)
    print(
        f"{len(clients)} streams, {settings.rate:g} tokens a second each: "
        f"{len(every):,} tokens in {seconds:.1f} s, {len(every) / seconds:,.0f} a second"
    )
    if not settings.direct:
        print(
            f"gateway: {share:.0%} of a core, {cost:.1f} µs a token; "
            f"a whole core would bear {len(clients) / share:.0f} streams (the service takes "
            f"{spent['service'] / seconds:.0%}, the clients {spent['clients'] / seconds:.0%})"
        )
    print(
        f"delay: median {cuts[499]:.2f} ms, p99 {cuts[989]:.2f}, p99.9 {cuts[998]:.2f}, "
        f"most {every[-1]:.2f}; {late} streams had a token later than {due:g} ms"
    )
    print(f"{whole} streams ended whole, {short} lack tokens or have them in another order")
    return int(bool(late or short or whole != len(clients)))


if __name__ == "__main__":
    sys.exit(main())
