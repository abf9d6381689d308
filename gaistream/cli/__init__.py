"""The command `gaistream`: the list of its commands, each imported when it is asked for.

Guaranteed: a command needs only what it uses itself; where an extra is missing, that command says
which, and the others work. A reader that goes early (`| head`) ends a command quietly; a stdin or
stdout that is closed or full is one line and a status; a stderr that is changes no result.

How: a command stands in a file of `gaistream.cli` as `command`; here are only its name, the
extra that it needs and the line that `--help` shows.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from .. import __version__

# name: (what it needs, what --help says)
COMMANDS = {
    "check": ("cli", "Say what is wrong with a stream: a capture, or a URL."),
    "convert": ("cli", "Convert between Server-Sent Events and NDJSON."),
    "demo": ("demo", "Serve the chat page."),
    "tail": ("cli", "Show the events of a URL as they come."),
}
UNUSABLE = 2  # as click says it of a wrong call
INTERRUPTED = 130  # as a shell says it of Ctrl-C
BROKEN_PIPE = 141  # what a shell says of a program that SIGPIPE has ended


def _need(what: str, error: ImportError, extra: str) -> NoReturn:
    """Say which extra is missing, and end; one of our own is a fault, and raised."""
    missing = (error.name or "gaistream").partition(".")[0]
    if missing == "gaistream":
        raise error
    print(f"{what} needs {missing}: pip install 'gaistream[{extra}]'", file=sys.stderr)
    raise SystemExit(UNUSABLE) from None


try:
    import click
except ImportError as error:
    _need("the command gaistream", error, "cli")


class Commands(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Give the names of all commands, those without their extra too."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command, or end the program where its extra is missing."""
        if cmd_name not in COMMANDS:
            return None
        extra, _ = COMMANDS[cmd_name]
        try:
            module = import_module(f".{cmd_name}", __package__)
        except ImportError as error:
            _need(f"gaistream {cmd_name}", error, extra)
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])

    def make_context(self, *args: Any, **named: Any) -> click.Context:
        """Read the arguments; `--version` and `--help` are written here."""
        with _failures_as_status():
            return super().make_context(*args, **named)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        with _failures_as_status():
            return super().invoke(ctx)


@contextlib.contextmanager
def _failures_as_status() -> Iterator[None]:
    """End an early reader, Ctrl-C and a full stdout with their status: click would with 1."""
    try:
        yield
    except BrokenPipeError:
        raise click.exceptions.Exit(BROKEN_PIPE) from None
    except KeyboardInterrupt:
        raise click.exceptions.Exit(INTERRUPTED) from None
    except OSError as error:  # of stdout or stdin: a command handles the files that it opens
        print(f"Error: {error.strerror or error}", file=sys.stderr)
        raise click.exceptions.Exit(UNUSABLE) from None


class _Stderr(io.FileIO):
    """A stderr that never fails: a message that can't be written must change no result."""

    def write(self, data: Any) -> int:
        with contextlib.suppress(OSError):
            return super().write(data)
        return len(data)


def _open_stderr() -> None:
    stderr = sys.__stderr__
    if stderr is None:  # it is closed
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - until the process ends
    elif sys.stderr is stderr:  # nobody has put another in its place
        raw = io.BufferedWriter(_Stderr(stderr.fileno(), "w", closefd=False))
        sys.stderr = io.TextIOWrapper(raw, stderr.encoding, "backslashreplace", None, True)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gaistream")
def group() -> None:
    """Streams of AI events over HTTP, as Server-Sent Events and NDJSON."""


def main() -> None:
    """Run the command, and exit with the status that it returns: None is 0."""
    _open_stderr()
    if sys.stdout is None:
        print("Error: stdout is closed", file=sys.stderr)
        raise SystemExit(UNUSABLE)
    try:
        status = group.main(standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        status = UNUSABLE
    except click.Abort:  # Ctrl-C before a command has begun
        status = INTERRUPTED
    raise SystemExit(_flushed(status))


def _flushed(status: int) -> int:
    """Flush what was written; where it cannot be, the status says so, and the exit is quiet."""
    try:
        sys.stdout.flush()
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            status = BROKEN_PIPE
        elif not status:
            print(f"Error: {error.strerror}", file=sys.stderr)
            status = UNUSABLE
        # else the interpreter would complain at its own flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return status
