"""Bytes, files, pipes, sockets and iterables as sources; each is closed in every outcome."""

import asyncio
import gc
import io
import os
import socket
import threading

import pytest

LINES = [b'{"a"', b":1}\n2\n", b"[3", b"]"]
VALUES = [{"a": 1}, 2, [3]]


class Closing:
    """An iterable that counts how often it was closed."""

    def __init__(self, chunks, error=None):
        self.chunks, self.error, self.closed = list(chunks), error, 0
        self.was_closed = threading.Event()

    def __iter__(self):
        yield from self.chunks
        if self.error is not None:
            raise self.error

    def close(self):
        self.closed += 1
        self.was_closed.set()


class AsyncClosing(Closing):
    __iter__ = None

    async def __aiter__(self):
        for chunk in self.chunks:
            await asyncio.sleep(0)
            yield chunk
        if self.error is not None:
            raise self.error

    def close(self):
        raise AssertionError("aclose is there")

    async def aclose(self):
        self.closed += 1
        self.was_closed.set()


class AsyncClosingByClose(AsyncClosing):
    aclose = None

    async def close(self):
        self.closed += 1
        self.was_closed.set()


# ---- kinds of sources ----


@pytest.mark.parametrize(
    "make",
    [
        lambda: b"".join(LINES),
        lambda: bytearray(b"".join(LINES)),
        lambda: memoryview(b"".join(LINES)),
        lambda: LINES,
        lambda: tuple(LINES),
        lambda: iter(LINES),
        lambda: (chunk for chunk in LINES),
        lambda: Closing(LINES),
        lambda: io.BytesIO(b"".join(LINES)),
        lambda: io.BufferedReader(io.BytesIO(b"".join(LINES))),
    ],
)
def test_a_sync_source_is_read_in_each_way(gs, run, make):
    assert list(gs.NDJSONReader(make())) == VALUES
    reader = gs.NDJSONReader(make())
    assert [reader.read() for _ in VALUES] == VALUES
    for _ in range(2):
        with pytest.raises(EOFError, match=r"^there is no further value$"):
            reader.read()

    async def main():
        return [value async for value in gs.NDJSONReader(make())]

    assert run(main()) == VALUES


@pytest.mark.parametrize("make", [AsyncClosing, AsyncClosingByClose])
def test_an_async_source_is_read_with_async_for_only(gs, run, make):
    async def main():
        source = make(LINES)
        assert [value async for value in gs.NDJSONReader(source)] == VALUES
        assert source.closed == 1
        for use in (next, lambda reader: reader.read()):
            with pytest.raises(TypeError, match=f"^{make.__name__} is an async source: "):
                use(gs.NDJSONReader(make(LINES)))

    run(main())


def test_a_file_is_read_and_closed(gs, tmp_path):
    path = tmp_path / "lines"
    path.write_bytes(b"".join(LINES) * 1 + b"\n" + b'"' + b"x" * 200_000 + b'"\n')
    for mode in ({}, {"buffering": 0}):
        with path.open("rb", **mode) as file:
            assert list(gs.NDJSONReader(file)) == [*VALUES, "x" * 200_000]
            assert file.closed
    with path.open() as file, pytest.raises(gs.errors.FrameTypeError, match=r"not str$"):
        next(gs.NDJSONReader(file))


def test_a_pipe_is_read_as_it_comes(gs):
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb") as file, os.fdopen(theirs, "wb", buffering=0) as sender:
        reader = gs.NDJSONReader(file)
        sender.write(b"1\n2\n3")
        assert [next(reader), next(reader)] == [1, 2]  # or it would hang
        sender.write(b"4\n")
        assert next(reader) == 34
        sender.close()
        assert list(reader) == []


def test_a_socket_is_read_as_it_comes_and_closed(gs):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reader = gs.NDJSONReader(ours)
        theirs.sendall(b"1\n2")
        assert reader.read() == 1
        theirs.sendall(b"\n")
        assert reader.read() == 2
        reader.close()
        assert ours.fileno() == -1
        with pytest.raises(EOFError):
            reader.read()


def test_asyncios_stream_reader_is_read_whatever_the_length_of_a_line(gs, run):
    async def main():
        ours, theirs = socket.socketpair()
        stream, writer = await asyncio.open_connection(sock=ours)
        reader = gs.NDJSONReader(stream)
        with theirs:
            theirs.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(theirs, b"1\n")
            assert await anext(reader) == 1
            long = asyncio.create_task(loop.sock_sendall(theirs, b'"' + b"x" * 500_000 + b'"\n'))
            assert len(await anext(reader)) == 500_000
            await long
        assert [value async for value in reader] == []
        writer.close()
        await writer.wait_closed()

    run(main())


# ---- closed in every outcome ----


class Boom(Exception):
    pass


def test_a_source_is_closed_once_when_it_ends_fails_or_is_given_up(gs):
    source = Closing(LINES)
    assert list(gs.NDJSONReader(source)) == VALUES
    assert source.closed == 1
    source = Closing([*LINES, b"\n4\n"], Boom())
    reader = gs.NDJSONReader(source)
    assert [next(reader) for _ in range(4)] == [*VALUES, 4]
    with pytest.raises(Boom):
        next(reader)
    assert (source.closed, list(reader)) == (1, [])
    for give_up in (gs.NDJSONReader.close, lambda reader: reader.__exit__(None, None, None)):
        for read in (0, 1):
            source = Closing(LINES)
            reader = gs.NDJSONReader(source)
            assert [next(reader) for _ in range(read)] == VALUES[:read]
            give_up(reader)
            assert (source.closed, list(reader)) == (1, [])
    source = Closing(LINES)
    for _ in gs.NDJSONReader(source):
        break
    gc.collect()
    assert source.closed == 1
    source = Closing([b"1\n", 5])
    with pytest.raises(gs.errors.FrameTypeError):
        list(gs.NDJSONReader(source))
    assert source.closed == 1


def test_an_async_source_is_closed_once_when_it_ends_fails_or_is_given_up(gs, run):
    async def main():
        source = AsyncClosing([*LINES, b"\n4\n"], Boom())
        reader = gs.NDJSONReader(source)
        assert [await anext(reader) for _ in range(4)] == [*VALUES, 4]
        with pytest.raises(Boom):
            await anext(reader)
        assert source.closed == 1
        source = AsyncClosing([b"1\n", 5])
        with pytest.raises(gs.errors.FrameTypeError):
            [value async for value in gs.NDJSONReader(source)]
        assert source.closed == 1
        for read in (0, 1):
            source = AsyncClosing(LINES)
            async with gs.NDJSONReader(source) as reader:
                assert [await anext(reader) for _ in range(read)] == VALUES[:read]
            assert (source.closed, [value async for value in reader]) == (1, [])
            source = Closing(LINES)
            async with gs.NDJSONReader(source) as reader:
                assert [await anext(reader) for _ in range(read)] == VALUES[:read]
            assert await asyncio.to_thread(source.was_closed.wait, 10)  # in its own thread
        source = AsyncClosing(LINES)
        async for _ in gs.NDJSONReader(source):
            break
        gc.collect()
        # by the loop, as an async generator is
        assert await asyncio.to_thread(source.was_closed.wait, 10)

    run(main())


def test_a_cancelled_reader_closes_its_source(gs, run):
    class Endless(AsyncClosing):
        async def __aiter__(self):
            self.waits.set()
            await asyncio.Event().wait()
            yield b""

    async def main():
        source = Endless([])
        source.waits = asyncio.Event()

        async def read():
            async for _ in gs.read_events(source):
                pass

        task = asyncio.create_task(read())
        await source.waits.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert source.closed == 1

    run(main())


def test_reading_goes_on_after_a_bad_line(gs, run):
    text = [b"1\nx\n2\ny", b"\n3\nz"]

    def step(reader):
        try:
            return reader.read()
        except gs.errors.NDJSONError as error:
            return error.line_number, error.values

    reader = gs.NDJSONReader(text)
    assert [step(reader) for _ in range(6)] == [1, (2, []), 2, (4, []), 3, (6, [])]
    with pytest.raises(EOFError):
        reader.read()
    assert list(gs.NDJSONReader(text, on_error="skip")) == [1, 2, 3]
    assert list(gs.NDJSONReader(text, loads=None, strict=True)) == [b"1", b"x", b"2", b"y", b"3",
                                                                   b"z"]

    async def main():
        reader, found = gs.NDJSONReader(text), []
        while True:
            try:
                async for value in reader:
                    found.append(value)
                return found
            except gs.errors.NDJSONError as error:
                found.append(error.line_number)

    assert run(main()) == [1, 2, 2, 4, 3, 6]
    reader = gs.NDJSONReader([b"1\n123456\n"], max_line_bytes=5)
    assert reader.read() == 1
    with pytest.raises(gs.errors.EventTooLarge):
        reader.read()
    assert list(reader) == []
