"""Faces for web frameworks and servers. Each is thin: the life of a stream is the engine's.

`gaistream.frameworks.starlette` is for Starlette and FastAPI. Frameworks that stream an iterator
of bytes (Flask, Django, aiohttp.web) or take an ASGI app (Litestar) need no face: `sse()` with
`http.headers()`, or a response of `gaistream.asgi`, is all there is to it; see `examples/`.

`gaistream.frameworks.uvicorn` and `gaistream.frameworks.gunicorn` have servers that drain their
streams whenever they stop.
"""
