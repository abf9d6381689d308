"""An app that answers only requests to the server's own hosts.

A page whose name was made to resolve to this machine (DNS rebinding) asks as its own site does, but
its requests name another host.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Any, Final

from ..errors import StreamError
from ..http.answer import error_response
from .messages import Receive, Scope, Send, header, send_response

_HOST: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([\w.-]+))(?::\d+)?", re.ASCII)


class OwnHosts:
    """An ASGI app around another. A request to another host gets 421.

    Args:
        app: the other app.
        host: the address that the server listens on. It, `localhost` and loopback addresses are
            answered.
    """

    def __init__(self, app: Any, host: str) -> None:
        self._app = app
        self._host = host.lower()
        self._is_anywhere = host in ("0.0.0.0", "::")  # noqa: S104 - it is compared only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        if scope["type"] != "http" or self._is_own(scope):
            await self._app(scope, receive, send)
            return
        error = StreamError(
            "this server answers localhost, loopback addresses and its --host", code="wrong_host",
            status=421,
        )  # fmt: skip
        await send_response(send, error_response(error, raised_by="prepare_request"))

    def _is_own(self, scope: Scope) -> bool:
        named = _HOST.fullmatch(header(scope, b"host") or "")
        if named is None:
            return False
        host = (named[1] or named[2]).lower()
        if host in ("localhost", self._host):
            return True
        try:
            address = ip_address(host)
        except ValueError:
            return False
        here, _ = scope.get("server") or ("", None)  # no name is made to resolve to an address
        return address.is_loopback or (self._is_anywhere and host == here)
