"""Checks of arguments that several parts share. Twin of src/checks.pxi."""

from __future__ import annotations

from gaistream.errors import FrameError, FrameTypeError


def checked_int(name: str, value: object, least: int, most: int, unit: str) -> int:
    """Return an int from `least` to `most`, both within 64 bits.

    Args:
        name: what the messages call the value.
        value: the value; an int of a subclass is returned as an int.
        least: the lowest value allowed.
        most: the highest value allowed.
        unit: the unit of all three, such as "bytes", or "".

    Raises:
        FrameTypeError: another type than int; a bool too.
        FrameError: another value.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise FrameTypeError(f"{name} must be int, not {type(value).__name__}")
    number = int.__pos__(value)  # a subclass may compare as it likes
    if not least <= number <= most:
        bits = number.bit_length()
        shown = str(number) if bits <= 64 else f"an int of {bits} bits"
        unit = f" {unit}" if unit else ""
        raise FrameError(f"{name} must be from {least} to {most}{unit}, not {shown}")
    return number
