"""The command `gaistream`: the list of its subcommands, each imported when it is run.

Guaranteed: a subcommand needs only its own extra. If that is missing, it names the extra, and the
others work. A reader that leaves early (`| head`) ends a subcommand quietly. A closed or full stdin
or stdout gives one line and a status; a closed or full stderr changes no result.

How: a subcommand is the `command` of a module of its name in this package; this file has only the
name, the extra and the line of `--help`.
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

# name: (its extra, its line in --help)
COMMANDS = {
    "check": ("cli", "Find the faults of a stream: of a capture, or of a URL."),
    "convert": ("cli", "Convert between Server-Sent Events and NDJSON."),
    "demo": ("demo", "Serve the chat page."),
    "gateway": ("gateway", "Serve every protocol of chat clients from one provider."),
    "tail": ("cli", "Show the events of a URL as they come."),
}
UNUSABLE = 2  # click's status for a wrong call
INTERRUPTED = 130  # a shell's status after Ctrl-C
BROKEN_PIPE = 141  # a shell's status after SIGPIPE


def _need(name: str, error: ImportError, extra: str) -> NoReturn:
    """Name the missing extra and exit; raise the error if a module of gaistream is missing."""
    missing = (error.name or "gaistream").partition(".")[0]
    if missing == "gaistream":
        raise error
    print(f"{name} needs {missing}: pip install 'gaistream[{extra}]'", file=sys.stderr)
    raise SystemExit(UNUSABLE) from None


try:
    import click
except ImportError as error:
    _need("the command gaistream", error, "cli")


class Commands(click.Group):
    """A group whose commands are imported when they are run."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names of all commands, even if their extras are missing."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command, or exit if its extra is missing."""
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
        """Write the table of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])

    def make_context(self, *args: Any, **named: Any) -> click.Context:
        """Parse the arguments, and write `--version` and `--help`."""
        with _failures_as_status():
            return super().make_context(*args, **named)

    def invoke(self, ctx: click.Context) -> Any:
        with _failures_as_status():
            return super().invoke(ctx)


@contextlib.contextmanager
def _failures_as_status() -> Iterator[None]:
    """Exit with the status of an early reader, Ctrl-C or a full stdout; click exits with 1."""
    try:
        yield
    except BrokenPipeError:
        raise click.exceptions.Exit(BROKEN_PIPE) from None
    except KeyboardInterrupt:
        raise click.exceptions.Exit(INTERRUPTED) from None
    except OSError as error:  # of stdin or stdout: commands handle their own files
        print(f"Error: {error.strerror or error}", file=sys.stderr)
        raise click.exceptions.Exit(UNUSABLE) from None


class _Stderr(io.FileIO):
    """A stderr that never fails: a message that is not written must change no result."""

    def write(self, data: Any) -> int:
        with contextlib.suppress(OSError):
            return super().write(data)
        return len(data)


def _open_stderr() -> None:
    stderr = sys.__stderr__
    if stderr is None:  # it is closed
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - until the process ends
    elif sys.stderr is stderr:  # it was not replaced
        raw = io.BufferedWriter(_Stderr(stderr.fileno(), "w", closefd=False))
        sys.stderr = io.TextIOWrapper(raw, stderr.encoding, "backslashreplace", None, True)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gaistream")
def group() -> None:
    """Streams of AI events over HTTP, as Server-Sent Events and NDJSON."""


def main() -> None:
    """Run the command, and exit with the status that it returns; None is 0."""
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
    """Flush stdout. Return the status, or the one for a stdout that failed."""
    try:
        sys.stdout.flush()
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            status = BROKEN_PIPE
        elif not status:
            print(f"Error: {error.strerror}", file=sys.stderr)
            status = UNUSABLE
        # or the interpreter's own flush would fail
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return status
