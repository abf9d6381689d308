"""Tornado: python examples/recipes/tornado_app.py, then curl -N 'localhost:8000/chat?q=why'."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress

from tornado.iostream import StreamClosedError
from tornado.web import Application, RequestHandler

from gaistream import http, sse


async def answer(question: str) -> AsyncIterator[str]:
    """Yield word by word, like a model."""
    for word in f"You asked: {question}".split():
        yield f"{word} "
        await asyncio.sleep(0.05)


class Chat(RequestHandler):
    """The handler. A client that has left closes the source at once."""

    async def get(self) -> None:
        """Stream the answer."""
        for name, value in http.headers("sse").items():
            self.set_header(name, value)
        self.chunks = sse(answer(self.get_argument("q")))
        async with aclosing(self.chunks):
            with suppress(StreamClosedError):
                async for chunk in self.chunks:
                    self.write(chunk)
                    await self.flush()

    def on_connection_close(self) -> None:
        """End the stream, even while it is silent."""
        self.closing = asyncio.ensure_future(self.chunks.aclose())


app = Application([("/chat", Chat)])


async def main() -> None:
    """Serve until the process ends."""
    app.listen(8000)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
