"""`UvicornWorker`, in a file that is imported only if it is used: it needs uvicorn-worker."""

from __future__ import annotations

import sys

try:
    from uvicorn_worker import UvicornWorker as _UvicornWorker
except ImportError as error:
    raise ImportError(
        "gaistream.frameworks.gunicorn.UvicornWorker needs uvicorn-worker: "
        "pip install uvicorn-worker",
        name="uvicorn_worker",
    ) from error

from gunicorn.arbiter import Arbiter

from ._server_drain import DrainingWorker
from .uvicorn import Server


class UvicornWorker(DrainingWorker, _UvicornWorker):
    """The worker of the package uvicorn-worker, which drains its streams whenever it stops.

    Attributes:
        grace: seconds, as `gaistream.drain` takes them; 5 by default, and at most two seconds less
            than `--graceful-timeout` and `--timeout`.
        retry_ms: milliseconds, as `gaistream.drain` takes them; None by default.

    Raises:
        FrameError: attributes that `gaistream.drain` does not take.
        RuntimeError: a version of uvicorn-worker whose worker has no `_serve`.
    """

    _overridden = ("_serve", "_install_sigquit_handler")

    async def _serve(self) -> None:
        """Serve as the base class does, by another Server."""
        self.config.app = self.wsgi
        server = Server(self.config, grace=self._allowed_grace(), retry_ms=self.retry_ms)
        self._install_sigquit_handler()
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)
