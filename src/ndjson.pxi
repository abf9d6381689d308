# Newline-delimited JSON out: one line a value, LF behind each. Twin of gaistream/pure/ndjson.py.


def encode_ndjson(obj):
    """Encode one value as one line, its LF included.

    Raises EncodeError for a payload that JSON cannot say, UnicodeEncodeError for a lone surrogate.
    """
    return json_bytes(obj, True, False)


def encode_ndjson_lines(objs):
    """Encode many values, one line each; see encode_ndjson."""
    return b"".join([json_bytes(obj, True, False) for obj in objs])
