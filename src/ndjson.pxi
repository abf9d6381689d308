# Newline-delimited JSON out: one value a line, LF after each.
#
# Twin of gaistream/core/pure/ndjson.py.


def encode_ndjson(obj):
    """Encode one value as one line, its LF included.

    Raises EncodeError for a payload that JSON cannot express, UnicodeEncodeError for a lone
    surrogate.
    """
    return write_json(obj, True, False)


def encode_ndjson_lines(objs):
    """Encode many values, one line each; see encode_ndjson."""
    cdef Buffer buffer = Buffer.__new__(Buffer)
    cdef bytes line
    for obj in to_loop(objs):
        # Copied at once: a JSON library's bytes are cut from larger blocks, so that holding many of
        # them may take ten times their size.
        line = write_json(obj, True, False)
        memcpy(reserve(buffer, PyBytes_GET_SIZE(line)), PyBytes_AS_STRING(line),
               PyBytes_GET_SIZE(line))
        buffer.length += PyBytes_GET_SIZE(line)
    return take(buffer)
