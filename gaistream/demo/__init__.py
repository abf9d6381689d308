"""The demo: a chat page that shows a stream as it arrives, and its server.

Needs the extra `demo` (Starlette and uvicorn); nothing else in gaistream imports this package
but the command `gaistream demo`.
"""

try:
    from .app import create_app, serve
except ModuleNotFoundError as error:
    if error.name is not None and error.name.startswith("gaistream"):
        raise
    raise ImportError(
        f"gaistream.demo needs {error.name}: pip install 'gaistream[demo]'", name=error.name
    ) from error

__all__ = ["create_app", "serve"]
