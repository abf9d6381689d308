"""The one logger: what went wrong in a stream and is not told to its client."""

import logging

log = logging.getLogger("gaistream")
