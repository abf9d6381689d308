"""What converting a stream costs, OpenAI's Chat protocol to Anthropic's, in one process.

`python benchmarks/gateway.py --rounds 7`: bytes of chunks in, bytes of frames out, CPU a token. The
rows of a round are measured in turn, a figure is the least of the rounds, and a ratio is to the
conversion by hand of the same table. What each row writes is read back and must have every token
in its place. The openai, anthropic and litellm packages are measured where they are installed.

The last table is the whole gateway as an ASGI app, with all but sockets: a request is read, asked
by httpx, whose transport hands out the chunks, and answered. Its tokens come one at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import orjson
import payloads

import gaistream
from gaistream import SSEEncoder
from gaistream.gateway import Gateway
from gaistream.providers.openai import OpenAIProvider
from gaistream.reading.events import EventDecoder

WORDS = (" the", " quick", ' "brown"\n', " fox", " jumps", " \u00e9t\u00e9", " over", ".")
Convert = Callable[[list[bytes]], Iterator[bytes]]
AIMS = {"by hand": 2.5, "openai's loop, anthropic's models": 1 / 100, "litellm": 1 / 40}
"""At most so many times a row may the first cost."""


def chunks_of(tokens: int) -> list[bytes]:
    """Return the chunks of an answer, as servers with OpenAI's protocol write them."""
    said = (payloads.openai_chunk(WORDS[number % len(WORDS)]) for number in range(tokens))
    return [b"data: %b\n\n" % json.dumps(each).encode() for each in said]


# ---- the conversions ----


def gaistream_converts(chunks: list[bytes]) -> Iterator[bytes]:
    decoder, encoder = EventDecoder("sse", "openai_chat"), SSEEncoder(dialect="anthropic")
    for chunk in chunks:
        for event in decoder.feed(chunk):
            encoder.write(event)
        yield encoder.take()


def convert_by_hand(chunks: list[bytes]) -> Iterator[bytes]:
    """Convert as somebody would who needs only text, and checks nothing."""
    prefix = (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":'
    )
    rest = b""
    for chunk in chunks:
        *frames, rest = (rest + chunk).split(b"\n\n")
        written = []
        for frame in frames:
            for line in frame.split(b"\n"):
                if not line.startswith(b"data:"):
                    continue
                data = line[5:].strip()
                if data == b"[DONE]":
                    continue
                choices = orjson.loads(data)["choices"]
                text = choices[0]["delta"].get("content") if choices else None
                if text:
                    written.append(b"%b%b}}\n\n" % (prefix, orjson.dumps(text)))
        yield b"".join(written)


def models_convert(chunks: list[bytes]) -> Iterator[bytes]:
    """Convert by the stream of OpenAI's SDK and the types of Anthropic's."""
    import openai
    from anthropic.types import RawContentBlockDeltaEvent, TextDelta

    def answer(_: Any) -> Any:
        return httpx.Response(
            200, headers={"content-type": "text/event-stream"}, content=iter(chunks)
        )

    with httpx.Client(transport=httpx.MockTransport(answer)) as transport:
        client = openai.OpenAI(api_key="k", base_url="http://a.test", http_client=transport)
        asked: Any = [{"role": "user", "content": "Hi"}]
        for chunk in client.chat.completions.create(model="m", messages=asked, stream=True):
            if text := chunk.choices[0].delta.content:
                delta = TextDelta(type="text_delta", text=text)
                event = RawContentBlockDeltaEvent(type="content_block_delta", index=0, delta=delta)
                yield f"event: {event.type}\ndata: {event.model_dump_json()}\n\n".encode()


def litellm_converts(chunks: list[bytes]) -> Iterator[bytes]:
    """Convert by litellm's handler of OpenAI's chunks and its stream for Anthropic's clients."""
    from litellm.llms.anthropic.messages.adapters.streaming_iterator import AnthropicStreamWrapper
    from litellm.llms.openai.chat.gpt_transformation import OpenAIChatCompletionStreamingHandler

    lines = (line for chunk in chunks for line in chunk.decode().split("\n") if line)
    read = OpenAIChatCompletionStreamingHandler(streaming_response=lines, sync_stream=True)
    wrapper: Any = AnthropicStreamWrapper(read, model="m")  # type: ignore[arg-type]
    yield from wrapper.anthropic_sse_wrapper()


def converters() -> dict[str, Convert]:
    found: dict[str, Convert] = {"gaistream": gaistream_converts, "by hand": convert_by_hand}
    for name, packages, convert in (
        ("openai's loop, anthropic's models", ("openai", "anthropic"), models_convert),
        ("litellm", ("litellm",), litellm_converts),
    ):
        os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would ask the network
        try:
            for package in packages:
                __import__(package)
        except ImportError:
            print(f"left out: {name} (not installed)")
        else:
            found[name] = convert
    return found


# ---- the whole gateway ----


class Paced(httpx.AsyncByteStream):
    """The body of an answer, whose next chunk comes in a later turn of the loop."""

    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        for chunk in self._chunks:
            arrived = loop.create_future()
            loop.call_soon(arrived.set_result, None)
            await arrived
            yield chunk


async def through_the_gateway(chunks: list[bytes], sent: list[bytes]) -> None:
    def answer(_: Any) -> Any:
        return httpx.Response(
            200, headers={"content-type": "text/event-stream"}, stream=Paced(chunks)
        )

    question = {"model": "m", "max_tokens": 9, "stream": True,
                "messages": [{"role": "user", "content": "Hi"}]}  # fmt: skip
    messages = iter([{"type": "http.request", "body": json.dumps(question).encode()}])

    async def receive() -> Any:
        for message in messages:
            return message
        return await asyncio.get_running_loop().create_future()

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        app = Gateway(OpenAIProvider("http://a.test", client=client))
        headers = [(b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": "/v1/messages", "query_string": b"",
                 "headers": headers, "asgi": {"version": "3.0"}}  # fmt: skip
        await app(scope, receive, send)


# ---- measuring ----


def check(name: str, body: bytes, tokens: int) -> None:
    """Exit if a body does not have every token in its place."""
    texts = []
    for line in body.split(b"\n"):
        if line.startswith(b'data: {"type":"content_block_delta"') or b"text_delta" in line:
            texts.append(json.loads(line[6:])["delta"]["text"])
    if "".join(texts) != "".join(WORDS[number % len(WORDS)] for number in range(tokens)):
        sys.exit(f"{name} wrote something else: {body[:500]!r}")


def measure(rows: dict[str, Convert], chunks: list[bytes], tokens: int, rounds: int) -> Any:
    """Return the least microseconds a token of each row."""
    least: dict[str, float] = {}
    for number in range(rounds):
        for name, convert in rows.items():
            start = time.process_time()
            written = list(convert(chunks))
            spent = 1e6 * (time.process_time() - start) / tokens
            if not number:
                check(name, b"".join(written), tokens)
            least[name] = min(spent, least.get(name, spent))
    return least


def main() -> None:
    parser = argparse.ArgumentParser(description="Convert OpenAI's chunks to Anthropic's events.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=4000)
    settings = parser.parse_args()
    rows = converters()
    chunks = chunks_of(settings.tokens)
    print(f"gaistream {gaistream.__version__}, {gaistream.backend}, {settings.tokens} tokens")
    for together in (1, 16):
        read = [b"".join(chunks[at : at + together]) for at in range(0, len(chunks), together)]
        least = measure(rows, read, settings.tokens, settings.rounds)
        print(f"\n## {together} chunk{'s' * (together > 1)} at a time\n")
        print("| | µs a token | ÷ by hand |\n|---|---|---|")
        for name, spent in least.items():
            print(f"| {name} | {spent:.2f} | {spent / least['by hand']:.2f} |")
        for name, most in AIMS.items():
            if name in least:
                ratio = least["gaistream"] / least[name]
                verdict = "met" if ratio <= most else "missed"
                print(f"aim: gaistream ÷ {name} ≤ {most:.4g}: {verdict}, {ratio:.4g}")

    def gateway(chunks: list[bytes]) -> Iterator[bytes]:
        sent: list[bytes] = []
        asyncio.run(through_the_gateway(chunks, sent))
        yield from sent

    pair: dict[str, Convert] = {"the gateway": gateway, "by hand": convert_by_hand}
    least = measure(pair, chunks, settings.tokens, settings.rounds)
    print("\n## The whole gateway, but sockets: a token in each turn of the loop\n")
    print(f"{least['the gateway']:.2f} µs a token, {least['by hand']:.2f} by hand")


if __name__ == "__main__":
    main()
