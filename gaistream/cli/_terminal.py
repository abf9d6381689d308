"""The terminal of the commands: text that cannot control it, colour, and exit statuses.

Guaranteed: the text of a server or a capture reaches a terminal without control characters
(including those that change the direction of text) and in one line: it cannot forge another one.
There is no colour if stdout is not a terminal, NO_COLOR is set, or TERM is dumb.
"""

from __future__ import annotations

import re
import sys
from typing import BinaryIO

import click
from rich.console import Console
from rich.text import Text

from ..core.separators import LINE_SEPARATORS

OK, WRONG, UNUSABLE, INTERRUPTED = 0, 1, 2, 130
_CONTROLS = re.compile(
    f"[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f{LINE_SEPARATORS}\u202a-\u202e\u2066-\u2069]"
)


class UnusableError(click.ClickException):
    """The input cannot be opened, or the server does not serve the stream: status 2."""

    exit_code = UNUSABLE

    def __init__(self, message: str) -> None:
        super().__init__(clean(message))  # click writes it unchanged


def console(stderr: bool = False) -> Console:
    """Return a console for stdout or stderr that neither wraps nor marks up text."""
    (sys.stderr if stderr else sys.stdout).reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)


def clean(text: str) -> str:
    """Return text in one line, with its control characters (tabs excepted) written out."""
    return _CONTROLS.sub(lambda match: ascii(match[0])[1:-1], text)


def show(out: Console, *parts: tuple[str, str]) -> None:
    """Write a line of pairs of text and style at once."""
    if out.is_terminal:
        out.print(Text.assemble(*((clean(text), style) for text, style in parts)))
    else:
        out.file.write("".join(clean(text) for text, _ in parts) + "\n")
        out.file.flush()


def show_json(out: Console, line: str) -> None:
    """Write a line of JSON at once, with control characters escaped on a terminal."""
    if out.is_terminal:
        line = _CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", line)
    out.file.write(line + "\n")
    out.file.flush()


def seconds(value: float) -> str:
    """Return a time as people read it: 3.2 ms, 0.12 s, 61 s."""
    if value < 0.1:
        return f"{value * 1000:.1f} ms"
    return f"{value:.2f} s" if value < 10 else f"{value:.0f} s"


def stdin() -> BinaryIO:
    """Return stdin, as bytes; UnusableError if it is closed."""
    if sys.stdin is None:
        raise UnusableError("cannot read stdin: it is closed")
    return sys.stdin.buffer


def open_input(name: str) -> BinaryIO:
    """Open a file for reading bytes; `-` is stdin."""
    if name == "-":
        return stdin()
    try:
        return open(name, "rb")  # noqa: PTH123 - the caller closes it
    except OSError as error:
        raise UnusableError(f"cannot read {name}: {error.strerror}") from None
