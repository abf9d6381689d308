"""A progress bar on a terminal, which is removed when the command ends."""

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
def progress(screen: Console | None, total: int | None) -> Iterator[Advance]:
    """Show progress, and yield a function that takes the bytes of a step and a text for the bar.

    Args:
        screen: the console by which everything else is written meanwhile; None: show nothing.
        total: the size in bytes; None if it is unknown. A small file has no bar.
    """
    if screen is None or not screen.file.isatty() or (total is not None and total < _LARGE):
        yield lambda _size, _text: None
        return
    text = TextColumn("{task.description}")
    if total is None:
        columns = [SpinnerColumn(), text, TimeElapsedColumn()]
    else:
        columns = [BarColumn(), DownloadColumn(), TimeRemainingColumn(), text]
    with Progress(*columns, console=screen, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda size, text: bar.update(task, advance=size, description=text)


def quiet_console(out: Console | None) -> Console | None:
    """Return a console whose progress bar does not disturb the output, or None.

    Args:
        out: the console that prints all output; None if something else writes it.
    """
    return out if sys.stdout.isatty() else console(stderr=True)


def size_of(file: BinaryIO) -> int | None:
    """Return the size of a file; None for a pipe or a terminal."""
    status = os.fstat(file.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None
