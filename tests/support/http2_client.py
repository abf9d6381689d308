"""An HTTP/2 client over a plain socket (prior knowledge) that shows everything as it came."""

from __future__ import annotations

import h2.config
import h2.connection
import h2.errors
import h2.events
from real_servers import Client


class HTTP2Client(Client):
    """The same as Client, one stream at a time; `cancel` resets a stream as browsers do."""

    def __init__(self, address: tuple[str, int], receive_buffer: int | None = None) -> None:
        super().__init__(address, receive_buffer)
        config = h2.config.H2Configuration(header_encoding="latin-1")
        self._connection = h2.connection.H2Connection(config)
        self._connection.initiate_connection()
        self._stream = 0
        self._events: list[h2.events.Event] = []
        self._send()

    def ask(self, target: str, method: str = "GET", body: bytes = b"") -> HTTP2Client:
        self._stream = self._connection.get_next_available_stream_id()
        pseudo = {"method": method, "path": target, "scheme": "http", "authority": "localhost"}
        headers = [(f":{name}", value) for name, value in pseudo.items()]
        self._connection.send_headers(self._stream, headers, end_stream=not body)
        if body:
            self._connection.send_data(self._stream, body, end_stream=True)
        self._send()
        return self

    def head(self) -> tuple[int, list[tuple[str, str]]]:
        event = self._next(h2.events.ResponseReceived)
        [(_, status), *headers] = event.headers
        self.body = b""
        return int(status), headers

    def chunk(self) -> bytes:
        event = self._next(h2.events.DataReceived, h2.events.StreamEnded)
        if isinstance(event, h2.events.StreamEnded):
            return b""
        self._connection.acknowledge_received_data(event.flow_controlled_length, self._stream)
        self._send()
        self.body += event.data
        return event.data or self.chunk()  # an empty frame ends nothing

    def cancel(self) -> None:
        """End the stream and keep the connection."""
        self._connection.reset_stream(self._stream, h2.errors.ErrorCodes.CANCEL)
        self._send()

    def _next(self, *kinds: type[h2.events.Event]) -> h2.events.Event:
        """Wait for the next event of these kinds, of this stream."""
        while True:
            while self._events:
                event = self._events.pop(0)
                assert not isinstance(event, h2.events.ConnectionTerminated), event
                if getattr(event, "stream_id", None) != self._stream:
                    continue
                assert not isinstance(event, h2.events.StreamReset), event
                if isinstance(event, kinds):
                    return event
            data = self.socket.recv(65536)
            assert data, "the server closed the connection"
            self._events += self._connection.receive_data(data)
            self._send()

    def _send(self) -> None:
        self.socket.sendall(self._connection.data_to_send())
