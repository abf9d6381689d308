"""Over real servers an answer is finished and kept although its client has left."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from real_servers import SECONDS, serve_uvicorn, until
from required import need_package
from wild_sources import Sources

from gaistream import asgi, events

CLIENTS = 200
AT_ONCE = 40


class Answers(Sources):
    """Answers of many pieces, and the messages that were kept of them."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Any] = []
        self.kinds: set[str] = set()
        self.pieces = [f"{number} " for number in range(40)]

    async def answer(self) -> Any:
        with self.counted():
            for piece in self.pieces:
                yield piece
                await asyncio.sleep(0.002)
            yield events.Finish(finish_reason="stop")

    def on_close(self, outcome: Any) -> None:
        self.kinds.add(outcome.kind)
        self.kept.append(outcome.message)


@pytest.mark.parametrize("kind", ["h11 asyncio", "httptools uvloop"])
def test_no_answer_is_lost_to_clients_that_leave_after_any_number_of_bytes(kind: str) -> None:
    http, loop = kind.split()
    need_package(http)
    need_package(loop)
    answers, chance = Answers(), random.Random(kind)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        response = asgi.SSEResponse(
            answers.answer(), on_disconnect="continue", on_close=answers.on_close
        )
        await response(scope, receive, send)

    def come_and_go(_: int) -> None:
        with socket.create_connection(server.address, SECONDS) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            left = chance.randrange(1, 2500)
            while left > 0 and (piece := client.recv(left)):
                left -= len(piece)
            if chance.random() < 0.5:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with serve_uvicorn(app, http, loop) as server:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(come_and_go, range(CLIENTS)))
        until(lambda: len(answers.kept) == CLIENTS and server.tasks() == 0)
    assert "client_gone" in answers.kinds
    assert answers.open == 0
    assert {each.text for each in answers.kept} == {"".join(answers.pieces)}
    assert all(each.complete for each in answers.kept)
