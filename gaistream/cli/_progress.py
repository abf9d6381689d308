"""How far a command is, shown on a terminal while it runs, and gone at its end."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Callable, Iterator
from typing import BinaryIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ._terminal import console

_LARGE = 16 * 2**20  # bytes from which a file has a bar

Advance = Callable[[int, str], None]


@contextlib.contextmanager
def progress(shown: Console | None, total: int | None) -> Iterator[Advance]:
    """Show progress, and yield a function that takes the bytes of a step and a word on all steps.

    Args:
        shown: the console by which everything else is written meanwhile; None: show nothing.
        total: bytes in all, for a bar; None if nobody knows. A small file has none.
    """
    if shown is None or not shown.file.isatty() or (total is not None and total < _LARGE):
        yield lambda _size, _word: None
        return
    words = TextColumn("{task.description}")
    if total is None:
        columns = [SpinnerColumn(), words, TimeElapsedColumn()]
    else:
        columns = [BarColumn(), DownloadColumn(), TimeRemainingColumn(), words]
    with Progress(*columns, console=shown, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda size, word: bar.update(task, advance=size, description=word)


def quiet_console(out: Console | None) -> Console | None:
    """Return a console on which progress disturbs no output, or None if there is none.

    Args:
        out: the console by which all lines of the output are printed; None if something else
            writes them.
    """
    return out if sys.stdout.isatty() else console(stderr=True)


def size_of(file: BinaryIO) -> int | None:
    """Return the bytes of a file; None for a pipe or a terminal."""
    about = os.fstat(file.fileno())
    return about.st_size if stat.S_ISREG(about.st_mode) else None
