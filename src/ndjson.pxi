# Newline-delimited JSON out: one line a value, LF behind each. Twin of gaistream/core/pure/ndjson.py.


def encode_ndjson(obj):
    """Encode one value as one line, its LF included.

    Raises EncodeError for a payload that JSON cannot say, UnicodeEncodeError for a lone surrogate.
    """
    return write_json(obj, True, False)


def encode_ndjson_lines(objs):
    """Encode many values, one line each; see encode_ndjson."""
    cdef Buffer buffer = Buffer.__new__(Buffer)
    cdef bytes line
    for obj in objs:
        # copied at once: a JSON library's bytes are cut from larger blocks, and many of them that
        # are held together may cost the heap ten times what they cost one by one
        line = write_json(obj, True, False)
        memcpy(reserve(buffer, PyBytes_GET_SIZE(line)), PyBytes_AS_STRING(line),
               PyBytes_GET_SIZE(line))
        buffer.length += PyBytes_GET_SIZE(line)
    return take(buffer)
