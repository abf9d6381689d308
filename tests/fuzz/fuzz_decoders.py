"""Fuzzing of what reads bytes: a stream in chunks into a decoder of each twin."""

from twins import fuzz, outcome

LOADS = (None, ..., bytes.decode)
KINDS = ("SSEDecoder", "NDJSONDecoder", "LineSplitter")


def decode(core, draw):
    """Give all that happens to a decoder of this twin.

    The input is some choices, and the stream as it is: so the vectors are a corpus.
    """
    choice, limit, size, loads = (draw.whole(255) for _ in range(4))
    text = draw.provider.ConsumeBytes(draw.provider.remaining_bytes())
    kind = KINDS[choice % 3]
    named = {}
    if limit:
        named["max_event_bytes" if kind == "SSEDecoder" else "max_line_bytes"] = limit
    if kind == "NDJSONDecoder":
        named |= {"strict": bool(choice & 64), "loads": LOADS[loads % 3]}
        named["on_error"] = "skip" if choice & 128 else "raise"
    step = size or len(text) or 1
    chunks = [text[at : at + step] for at in range(0, len(text), step)]
    if loads & 128:
        chunks = [memoryview(bytearray(b"<" + chunk + b">"))[1:-1] for chunk in chunks]
    decoder = getattr(core, kind)(**named)
    seen = [outcome(decoder.feed, chunk) for chunk in chunks]
    if kind == "NDJSONDecoder":
        seen += [outcome(decoder.feed, b"") for _ in range(3)]
    seen += [outcome(decoder.close) or [] for _ in range(2)]
    return seen, getattr(decoder, "last_event_id", None), getattr(decoder, "retry", None)


if __name__ == "__main__":
    fuzz(decode)
