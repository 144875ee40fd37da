"""The command line: one file per verb, each with a click command named `command`.

The only place that prints or exits. A verb is found by its file, and loaded only when it is
called: `kernleap --help` imports neither NumPy nor DuckDB.
"""

from __future__ import annotations

import keyword
import os
import pkgutil
import signal
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from types import FrameType
from typing import NoReturn

import click

from kernleap import __version__
from kernleap.model.errors import Exit, KernleapError


class Verbs(click.Group):
    """A group whose commands are the modules of this package."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Names of all verbs; the file of one that Python reserves ends in `_` (import_.py)."""
        return sorted(
            m.name.rstrip("_") for m in pkgutil.iter_modules(__path__) if m.name[0] != "_"
        )

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one verb."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        command = import_module(f"{__name__}.{module}").command
        assert isinstance(command, click.Command)
        return command


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kernleap")
def kernleap() -> None:
    """Say whether a Linux kernel is worth booting.

    Kernels are booted side by side in an emulator, what they execute is counted exactly, and
    the difference is explained and judged.

    \b
    Example:
      kernleap compare debian:7.0 debian:7.2
    """


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit; exit codes are documented in docs/exit-codes.md."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, _interrupt)
    sys.exit(run(args))


def run(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; errors are printed, never raised."""
    try:
        result = kernleap.main(args, prog_name="kernleap", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except KernleapError as error:
        print(f"kernleap: {error}", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        print("kernleap: interrupted", file=sys.stderr)
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # The reader has gone (`| head`); Python would complain again when flushing at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.INTERNAL  # as click ends when it is the one to notice
    except Exception as error:
        return _defect(error)
    return result if isinstance(result, int) else Exit.OK


def _defect(error: Exception) -> int:
    if os.environ.get("KERNLEAP_DEBUG"):
        traceback.print_exc()
    place = traceback.extract_tb(error.__traceback__)[-1]
    print(
        f"kernleap: a defect in kernleap: {type(error).__name__}: {error} "
        f"({os.path.basename(place.filename)}:{place.lineno})\n"  # noqa: PTH119 - may be no path
        "  next:  run it again with KERNLEAP_DEBUG=1 and report what it prints",
        file=sys.stderr,
    )
    return Exit.INTERNAL


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
