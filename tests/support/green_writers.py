"""Writers of greenlets, run as a program: gevent patches the whole process. Says `well` at the end.

Two greenlets write to one writer, whose sink lets the other run in the middle of a frame.
"""

from gevent import monkey

monkey.patch_all()

import gevent  # noqa: E402 - after the patching

from gaistream import SSEWriter  # noqa: E402
from gaistream.errors import SinkError  # noqa: E402

taken = bytearray()
refused: list[SinkError] = []


def sink(data: bytes) -> None:
    half = len(data) // 2
    taken.extend(data[:half])
    gevent.sleep(0)  # the other greenlet runs, and must wait
    taken.extend(data[half:])


def use_itself(data: bytes) -> None:
    try:
        own.write(data.decode())
    except SinkError as error:
        refused.append(error)


def write(name: str) -> None:
    for number in range(50):
        writer.write_event(name, f"{name} {number}")


writer = SSEWriter(sink)
gevent.joinall([gevent.spawn(write, name) for name in "ab"], raise_error=True)
frames = bytes(taken).split(b"\n\n")[:-1]
for name in "ab":
    found = [frame for frame in frames if frame.startswith(b"event: %b\n" % name.encode())]
    assert found == [f"event: {name}\ndata: {name} {n}".encode() for n in range(50)], frames
assert len(frames) == 100
own = SSEWriter(use_itself)
own.write("x")
assert len(refused) == 1
print("well")
