# Checks of arguments that several parts share. Twin of gaistream/core/pure/checks.py.

cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object number, int* overflow) except? -1


cpdef inline long long checked_int(
    str name, object value, long long least, long long most, str unit
) except? -1:
    """Return an int from `least` to `most`, both within 64 bits.

    Raises FrameTypeError for another type (a bool too), FrameError for another value.
    """
    cdef int overflow = 0
    cdef long long number
    if not isinstance(value, int) or isinstance(value, bool):
        raise FrameTypeError(f"{name} must be int, not {type(value).__name__}")
    number = PyLong_AsLongLongAndOverflow(value, &overflow)  # runs no code of a subclass
    if overflow or not least <= number <= most:
        refuse_int(name, int.__pos__(value), least, most, unit)
    return number


cdef int refuse_int(str name, object number, object least, object most, str unit) except -1:
    bits = number.bit_length()
    shown = number if bits <= 64 else f"an int of {bits} bits"
    unit = f" {unit}" if unit else ""
    raise FrameError(f"{name} must be from {least} to {most}{unit}, not {shown}")
