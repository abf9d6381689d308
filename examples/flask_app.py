"""Flask: python examples/flask_app.py, then curl -N 'http://127.0.0.1:8000/chat?q=why'."""

import time
from collections.abc import Iterator

from flask import Flask, Response, request

from gaistream import SSEOptions, http
from gaistream.frameworks.flask import SSEResponse

app = Flask(__name__)


def answer() -> Iterator[str]:
    """Yield word by word, like a model."""
    for word in f"You asked: {request.args['q']}".split():  # the request is still there
        yield f"{word} "
        time.sleep(0.05)


@app.get("/chat")
def chat() -> Response:
    """Stream the answer."""
    if http.last_event_id(request.environ):  # a reconnect: do not answer twice
        return Response(status=204)
    return SSEResponse(answer(), SSEOptions(include_id=True))


if __name__ == "__main__":
    import waitress  # each open stream holds one of its threads

    waitress.serve(app, host="127.0.0.1", port=8000, threads=32)
