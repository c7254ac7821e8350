"""The entry point: runs a command, and turns what it raises into an exit status and one line."""

import os
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType

import click

from chaku.cli.groups import COMPLETION, root
from chaku.errors import ChakuError, EndedElsewhere, Interrupted


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Exit status: 0 done, 1 a program failed, 2 the user's mistake, 130 or 143 stopped.

    Raises SystemExit(2) for a line that is no command, as Python's own parsers do.
    """
    # By default threads wait for each other awake, for long: up to ten times slower where another program wants a core
    # too. Asleep at once is a quarter slower on an idle machine (docs/log.md). torch's OpenMP reads it as it loads.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)
    try:
        status = _run(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
        return status
    except click.UsageError as mistake:
        from chaku.cli.shared.mistakes import in_one_line

        print(f"chaku: {in_one_line(mistake)}", file=sys.stderr)
        raise SystemExit(2) from None
    except EndedElsewhere:
        return 2
    except ChakuError as error:
        print(f"chaku: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stopped:
        print("; ".join(("chaku: stopped", *getattr(stopped, "__notes__", ()))), file=sys.stderr)
        return 143 if isinstance(stopped, _Terminated) else 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        from chaku.files import FULL, UNWRITABLE

        if error.filename is None and error.errno not in UNWRITABLE | FULL:
            raise
        print(f"chaku: cannot read or write {error.filename or 'the output'}: {error.strerror}", file=sys.stderr)
        with suppress(OSError):  # what is left to be written would be tried again at the end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 2
    except ModuleNotFoundError as error:
        if error.name not in ("fcntl", "resource"):
            raise
        print(
            f"chaku: this command needs Unix ({error.name} is missing here): use chaku inside WSL (wsl --install)",
            file=sys.stderr,
        )
        return 2
    except Interrupted as error:
        print(f"chaku: {error}", file=sys.stderr)
        return 130


def _run(arguments: list[str]) -> int:
    """What click's own `main` does, but that it turns Ctrl-C and a closed pipe into errors of its own."""
    chaku = root()
    if instruction := os.environ.get(COMPLETION):
        from click.shell_completion import shell_complete

        return shell_complete(chaku, {}, "chaku", COMPLETION, instruction)
    try:
        with chaku.make_context("chaku", list(arguments)) as context:
            return chaku.invoke(context) or 0
    except click.exceptions.Exit as ended:  # of --help and --version
        return ended.exit_code


class _Terminated(KeyboardInterrupt):
    """SIGTERM arrived: as for Ctrl-C, what is open is closed and what was started is ended."""


def _terminate(number: int, frame: FrameType | None) -> None:
    raise _Terminated
