"""`gaistream convert`: Server-Sent Events to NDJSON and back, files or pipes, in bounded memory."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click

from .. import dialects
from ..dialects import NAMES, find
from ._conversions import Conversion
from ._progress import Advance, progress, quiet_console, size_of
from ._sniff import format_of_name, format_of_start
from ._terminal import INTERRUPTED, OK, WRONG, UnusableError, console, open_input, show, stdin
from ._translations import Translation

_OWN = ("gai", "json", "raw")
_DIALECTS = [dialect for name in NAMES if (dialect := find(name)) is not None]
_READ = [each.name for each in _DIALECTS if each.reads and each.name not in _OWN]
_WRITTEN = ["gai", *(each.name for each in _DIALECTS if each.writes and each.name not in _OWN)]
_FORMATS = click.Choice(["sse", "ndjson"])


@click.command()
@click.argument("source", default="-", metavar="[INPUT|-]")
@click.argument("target", default="-", metavar="[OUTPUT|-]")
@click.option("--from", "source_format", type=_FORMATS, help="The format of the input, if unclear.")
@click.option("--to", "target_format", type=_FORMATS, help="The format of the output.")
@click.option(
    "--dialect", default="envelope", show_default=True,
    type=click.Choice(["envelope", "gai", "json", *_READ]), metavar="NAME",
    help="The shape of a line, or the input's protocol; see below.",
)  # fmt: skip
@click.option(
    "--to-dialect", type=click.Choice(_WRITTEN), metavar="NAME",
    help="Translate into this protocol.",
)  # fmt: skip
@click.option("-q", "--quiet", is_flag=True, help="Do not report the conversion and its losses.")
def command(
    source: str, target: str, source_format: str | None, target_format: str | None,
    dialect: str, to_dialect: str | None, quiet: bool,
) -> int:  # fmt: skip
    """Convert between Server-Sent Events and NDJSON.

    INPUT and OUTPUT are files or - (stdin, stdout). The format of the input is that of its suffix
    (.sse, .ndjson, .jsonl), else that of its first bytes; the output has the other one.

    \b
    Dialects:
      envelope  a line is {"event","data","id","retry"}; only comments are lost
      gai       the protocol of gaistream, which has a shape in each format
      json      a line is the data of an event; names, ids and retry hints are lost

    \b
    Protocols, from --dialect (else gai) to --to-dialect (else gai):
      openai_chat, openai_responses, anthropic, ai_sdk, ag_ui, gai_events_v1, gai;
      from gemini, gemini_interactions and ollama; to ai_sdk_text

    Losses are reported on stderr. Status: 0 converted, 1 the input is wrong or was cut (the part
    before that is converted), 2 a file cannot be read or written, 130 Ctrl-C.
    """
    if source == "-" and stdin().isatty() and target == "-":
        raise click.UsageError("there is no input: give a file, or pipe something in")
    if _is_same(source, target):
        raise click.UsageError("input and output are the same file")
    with open_input(source) as file:
        format, chunks = format_of_start(file, source, source_format)
        output_format = target_format or format_of_name(target)
        conversion: Conversion | Translation
        if to_dialect is not None or dialect in _READ:
            conversion = _translation(format, dialect, output_format, to_dialect or "gai")
        elif output_format == format:
            raise click.UsageError(f"input and output are both {format}")
        else:
            conversion = Conversion(format, dialect)
        interrupted = False
        with _output(target) as out:
            screen = quiet_console(None) if target == "-" else console(stderr=True)
            try:
                with progress(screen, size_of(file) or 0) as advance:
                    _convert(conversion, chunks, out, advance)
            except KeyboardInterrupt:
                interrupted = True
    _report(conversion, format, quiet)
    if interrupted:
        return INTERRUPTED
    return WRONG if conversion.failure or conversion.wrong else OK


def _translation(
    format: str, dialect: str, output_format: str | None, to_dialect: str
) -> Translation:
    if dialect == "json":
        raise click.UsageError("--dialect json has no events that --to-dialect could write")
    read, written = find(dialect if dialect in _READ else "gai"), find(to_dialect)
    assert read is not None
    assert written is not None
    if to_dialect == "openai_chat":
        written = dialects.openai_chat(include_usage=True)
    if format not in read.reads:
        raise click.UsageError(f"{read.name} is not read from {format}")
    target = output_format or ("sse" if "sse" in written.writes else "ndjson")
    if target not in written.writes:
        raise click.UsageError(f"{written.name} is not written as {target}")
    return Translation(format, read, target, written)


def _is_same(source: str, target: str) -> bool:
    """Return True if both are one file, even under two names, or as stdin and stdout."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # missing; closed; None
        files = (
            stdin() if source == "-" else Path(source),
            sys.stdout if target == "-" else Path(target),
        )
        one, other = (
            each.stat() if isinstance(each, Path) else os.fstat(each.fileno()) for each in files
        )
        return stat.S_ISREG(one.st_mode) and os.path.samestat(one, other)
    return False


@contextlib.contextmanager
def _output(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        yield sys.stdout.buffer
        return
    try:
        file = open(name, "wb")  # noqa: PTH123, SIM115 - it is closed below
    except OSError as error:
        raise UnusableError(f"cannot write {name}: {error.strerror}") from None
    with file:
        yield file


def _convert(
    conversion: Conversion | Translation, chunks: Iterator[bytes], out: BinaryIO, advance: Advance
) -> None:
    for chunk in chunks:
        _write(out, conversion.feed(chunk))
        advance(len(chunk), "")
        if conversion.failure:
            break
    _write(out, conversion.close())


def _write(out: BinaryIO, data: bytes) -> None:
    """Write at once: a slow pipe must not wait for more."""
    if not data:
        return
    out.write(data)
    out.flush()


def _report(conversion: Conversion | Translation, format: str, quiet: bool) -> None:
    """Report the conversion, its losses and faults on stderr."""
    lost = ", ".join(f"{part} ×{count}" for part, count in sorted(conversion.lost.items()))
    events = f"{conversion.count} event{'s' * (conversion.count != 1)}"
    summary = f"{events} from {format}" + (f"; lost: {lost}" if lost else "")
    if not lost and isinstance(conversion, Conversion):
        summary += "; nothing was lost"
    errors = console(stderr=True)
    if not quiet:
        show(errors, (summary, "dim"))
    if problem := conversion.failure or conversion.wrong:
        show(errors, ("wrong: ", "bold red"), (problem, ""))
