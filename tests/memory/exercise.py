"""Use every public name of the core a few times: what grind.py runs under valgrind.

All bytes that come out are written to /dev/null: valgrind tells there of any that were never set.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from every_name import CORE

import gaistream

TIMES = 3


def written(file: int, value: Any) -> None:
    """Write the bytes in a value."""
    if isinstance(value, bytes | bytearray):
        os.write(file, value)
    elif isinstance(value, str):
        os.write(file, value.encode(errors="surrogatepass"))
    elif isinstance(value, list | tuple):
        for each in value:
            written(file, each)


def main() -> None:
    """Run every use, and say how many there were."""
    file = os.open(os.devnull, os.O_WRONLY)
    for use in CORE.values():
        for _ in range(TIMES):
            written(file, use(gaistream))
    os.close(file)
    print(f"{len(CORE)} names of {Path(gaistream.core._core.__file__).parent}")


if __name__ == "__main__":
    main()
