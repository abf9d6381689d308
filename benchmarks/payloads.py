"""The payloads that every benchmark measures with, and the frames that they must come to."""

from typing import Any

SMALL_EVENT = "message"
SMALL_DATA = '{"text":"benchmark"}'
SMALL_FRAME = b'event: message\ndata: {"text":"benchmark"}\n\n'

TOKEN = "benchmark"
TOKEN_FRAME = b'event: text_delta\ndata: {"text":"benchmark"}\n\n'
TOKENS = 1000  # of a bulk

LINES = "\n".join(f"{number:03d} {'x' * 98}" for number in range(40))  # 4 KB in 40 lines
LINES_FRAME = b"".join(b"data: " + line.encode() + b"\n" for line in LINES.split("\n")) + b"\n"

ROW = {"id": 1234567, "name": "benchmark", "score": 0.75, "ok": True}  # 60 bytes of JSON
LARGE_ROW = {f"field {number}": f"{number:03d} {'x' * 80}" for number in range(20)}  # 2 KB
PAYLOAD = {"type": "text_delta", "text": TOKEN, "index": 7}

LONG = "x" * 1_000_000
LONG_FRAME = b"data: " + LONG.encode() + b"\n\n"


def openai_chunk(text: str) -> dict[str, Any]:
    """Give a chunk of the OpenAI Chat Completions protocol."""
    return {
        "id": "chatcmpl-123456789",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "gpt-x",
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}],
    }


def openai_chunk_model() -> Any:
    """Give the same chunk as a pydantic model, which inference servers build for each token."""
    import pydantic

    class Delta(pydantic.BaseModel):
        content: str | None = None

    class Choice(pydantic.BaseModel):
        index: int
        delta: Delta
        finish_reason: str | None = None

    class Chunk(pydantic.BaseModel):
        id: str
        object: str
        created: int
        model: str
        choices: list[Choice]

    return Chunk


def responses_delta_model() -> Any:
    """Give what builds a piece of text of OpenAI's Responses protocol by its own type."""
    from openai.types.responses import ResponseTextDeltaEvent

    about: Any = {
        "type": "response.output_text.delta",
        "item_id": "msg_0123456789abcdef",
        "output_index": 0,
        "content_index": 0,
        "logprobs": [],
        "sequence_number": 100,
    }
    return lambda text: ResponseTextDeltaEvent(delta=text, **about)


def ag_ui_encoder() -> Any:
    """Give what makes a piece of text of AG-UI by its own types and encoder."""
    from ag_ui.core import TextMessageContentEvent
    from ag_ui.encoder import EventEncoder

    encode, message_id = EventEncoder().encode, "0123456789abcdef0123456789abcdef-1"
    return lambda text: encode(TextMessageContentEvent(message_id=message_id, delta=text)).encode()


def pure_twin() -> Any:
    """Give the pure twin with a JSON library, as it has where it is the backend."""
    from gaistream.core import load_json_library, pure

    pure.install_json(load_json_library)
    return pure
