"""The a2a SDK over gaistream: streamed tasks, cancellation, a second subscriber, the exit."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from a2a.client.client_factory import create_client
from a2a.helpers.proto_helpers import new_text_message
from a2a.types.a2a_pb2 import (
    CancelTaskRequest,
    Role,
    SendMessageRequest,
    SubscribeToTaskRequest,
    TaskState,
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def server() -> Iterator[Any]:
    program = str(Path(__file__).with_name("server.py"))
    process = subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.url = f"http://127.0.0.1:{int(process.stdout.readline())}"  # type: ignore[attr-defined]
    yield process
    process.kill()
    process.wait()


def asks(text: str) -> SendMessageRequest:
    return SendMessageRequest(message=new_text_message(text, role=Role.ROLE_USER))


@pytest.mark.anyio
async def test_a_task_is_streamed_to_its_end(server: Any) -> None:
    client = await create_client(server.url)
    kinds = [each.WhichOneof("payload") async for each in client.send_message(asks("count"))]
    assert kinds == ["task", "status_update", *["artifact_update"] * 5, "status_update"]
    await client.close()


@pytest.mark.anyio
async def test_a_task_is_cancelled_while_two_streams_show_it(server: Any) -> None:
    client, other = await create_client(server.url), await create_client(server.url)
    ends = []

    async def subscribe(task_id: str) -> None:
        async for each in other.subscribe(SubscribeToTaskRequest(id=task_id)):
            if each.WhichOneof("payload") == "status_update":
                ends.append(each.status_update.status.state)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            async for each in client.send_message(asks("wait")):
                if each.WhichOneof("payload") == "task":
                    task_id = each.task.id
                    group.start_soon(subscribe, task_id)
                elif each.status_update.status.state == TaskState.TASK_STATE_WORKING:
                    group.start_soon(cancel, other, task_id)
                else:
                    ends.append(each.status_update.status.state)
    assert server.stdout.readline() == "cancelled\n"
    assert ends[-2:] == [TaskState.TASK_STATE_CANCELED] * 2
    await client.close()
    await other.close()


async def cancel(client: Any, task_id: str) -> None:
    await anyio.sleep(0.2)  # the other stream has begun
    await client.cancel_task(CancelTaskRequest(id=task_id))


@pytest.mark.anyio
async def test_a_server_with_an_open_stream_exits_within_a_second_of_sigterm(server: Any) -> None:
    client = await create_client(server.url)
    stream = client.send_message(asks("wait"))
    await anext(stream)
    began = time.monotonic()
    server.send_signal(signal.SIGTERM)
    await anyio.to_thread.run_sync(lambda: server.wait(20))
    seconds = time.monotonic() - began
    print(f"a2a: exit after {seconds:.2f} s")
    assert seconds <= 1
    await stream.aclose()
    await client.close()
