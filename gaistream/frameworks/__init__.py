"""Adapters for web frameworks and servers. Each is thin: gaistream.streaming runs the streams.

`gaistream.frameworks.starlette` is for Starlette, `gaistream.frameworks.fastapi` for FastAPI. A
framework that streams an iterator of bytes (Flask, Django, aiohttp.web) or mounts an ASGI app
(Litestar) needs no adapter: use `sse()` with `http.headers()`, or a response of `gaistream.asgi`;
see `examples/`.

The servers of `gaistream.frameworks.uvicorn` and `gaistream.frameworks.gunicorn` drain their
streams whenever they stop.
"""
