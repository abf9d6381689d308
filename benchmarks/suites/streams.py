"""The engine on a transport that only counts: time, sends and allocations of a stream."""

import asyncio

import payloads

from gaistream import asgi

from . import TWINS, must

SCOPE = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}


class Streams:
    params = ([10, 100, 1000, 10_000], [1, 10, 0])
    param_names = ("events", "events between waits, 0: none")

    def setup(self, count, every):
        self.loop = asyncio.new_event_loop()
        self.time_stream(count, every)
        body = b"".join(self.sent)
        must(body.count(payloads.TOKEN_FRAME), count)
        must(body.endswith(b'event: done\ndata: {"finished":true}\n\n'), True)

    def teardown(self, count, every):
        self.loop.close()

    def time_stream(self, count, every):
        self.sent = []

        async def source():
            for number in range(count):
                if every and number % every == 0:
                    waiter = self.loop.create_future()
                    self.loop.call_soon(waiter.set_result, None)
                    await waiter
                yield payloads.TOKEN

        async def receive():
            await asyncio.get_running_loop().create_future()

        async def send(message):
            if message.get("body"):
                self.sent.append(message["body"])

        self.loop.run_until_complete(asgi.SSEResponse(source())(SCOPE, receive, send))

    def track_sends(self, count, every):
        self.time_stream(count, every)
        return len(self.sent)

    def track_allocations(self, count, every):
        before = sum(TWINS["native"].allocations())
        self.time_stream(count, every)
        return sum(TWINS["native"].allocations()) - before
