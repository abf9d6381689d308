"""What the fuzz targets share: both twins in one process, and how they are compared.

A target gets a Draw, which makes choices, texts and bytes of the fuzzer's input, and does with each
twin what it says; what comes out, errors and their text included, must be the same.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import atheris

import gaistream
from gaistream.core import _core, load_json_library, pure

pure.install_json(load_json_library)
ERRORS = (ValueError, TypeError, BufferError, LookupError, gaistream.errors.GaistreamError)
NASTY = "\r\n\0\"\\\x1f\x7f\x80\x85\xff\u07ff\u2028\u2029\ud7ff\ud800\udfff\ue000\ufeff\uffff😀 :ab"
SIZES = (0, 1, 7, 8, 9, 15, 16, 17, 63, 64, 65, 255, 256, 257, 4096, 8191, 8192, 8193, 20_000)


class Draw:
    """Choices of the fuzzer."""

    def __init__(self, data: bytes) -> None:
        self.provider = atheris.FuzzedDataProvider(data)

    def whole(self, most: int) -> int:
        return self.provider.ConsumeIntInRange(0, most)

    def one(self, choices: Any) -> Any:
        return choices[self.whole(len(choices) - 1)]

    def text(self, most: int = 40) -> str:
        """Draw text, surrogates among it, at times long; ASCII as often as not."""
        kind = self.whole(7)
        if kind == 0:
            size = self.one(SIZES)
            return (self.provider.ConsumeUnicode(3) or "x") * size
        if kind < 3:
            octets = self.provider.ConsumeBytes(self.whole(most))
            return "".join([NASTY[each % len(NASTY)] for each in octets])
        if kind < 5:
            return self.provider.ConsumeString(self.whole(most))
        return self.provider.ConsumeUnicode(self.whole(most))

    def octets(self, most: int = 60) -> bytes:
        if self.whole(7) == 0:
            return self.provider.ConsumeBytes(2) * self.one(SIZES)
        return self.provider.ConsumeBytes(self.whole(most))

    def readable(self) -> Any:
        """Draw text, or bytes in any of their guises."""
        data = self.octets()
        return self.one(
            (data, self.text(), bytearray(data), memoryview(b"<" + data + b">")[1:-1])
        )

    def more(self) -> bool:
        return self.provider.remaining_bytes() > 0


def plain(value: Any) -> Any:
    """Give a value as it is for somebody who does not know which twin has made it."""
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if hasattr(value, "data_bytes"):
        return [value.event, value.data_bytes, value.data, value.id, value.retry,
                outcome(bytes, value)]
    return value if isinstance(value, bytes | str | bytearray) else repr(value)


def outcome(call: Callable[..., Any], *args: Any, **named: Any) -> Any:
    """Give what a call gives, or the error that it ends in."""
    try:
        return plain(call(*args, **named))
    except ERRORS as error:
        return type(error).__name__, str(error), plain(getattr(error, "values", None) or [])


def fuzz(use: Callable[[ModuleType, Draw], Any]) -> None:
    """Have atheris run `use(twin, draw)` on both twins, with the same choices."""

    def compare(data: bytes) -> None:
        first, second = (use(core, Draw(data)) for core in (_core, pure))
        if first != second:
            raise AssertionError(f"the twins differ:\n{first}\n{second}")

    assert gaistream.backend == "native"
    atheris.Setup(sys.argv, compare)
    atheris.Fuzz()
