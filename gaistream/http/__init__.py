"""HTTP around a stream: headers, CORS, Last-Event-ID, and the request to prepare from."""

from .cors import CORS
from .headers import headers
from .request import IncomingRequest, last_event_id

__all__ = ["CORS", "IncomingRequest", "headers", "last_event_id"]
