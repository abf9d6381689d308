"""Adapters for web frameworks and servers. Each is thin: gaistream.streaming runs the streams.

`starlette`, `fastapi`, `django`, `flask`, `quart`, `aiohttp` and `litestar` have responses for
these frameworks. Any other that streams an iterator of bytes, or mounts an ASGI or WSGI app, needs
no adapter: use `sse()` with `http.headers()`, or a response of `gaistream.asgi` or
`gaistream.wsgi`; see `examples/recipes/`.

The servers of `gaistream.frameworks.uvicorn` and `gaistream.frameworks.gunicorn` drain their
streams whenever they stop.
"""
