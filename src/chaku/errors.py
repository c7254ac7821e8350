"""`ChakuError`, the exception for every error that a user can cause, and the nearest name for its message."""

from collections.abc import Iterable


class ChakuError(Exception):
    """An error that the user can fix.

    The message says what is wrong, where (a path, a recipe key, a line) and what to do. The command line prints the
    message without a traceback and exits with status 2. Any other exception that reaches the user is a bug in chaku.
    """


class Interrupted(Exception):
    """SIGTERM or SIGINT arrived, or a stage reached a limit. The state is saved; the same command resumes from it."""


class EndedElsewhere(ChakuError):
    """This process only ends: another rank of the run says why. The command line prints nothing."""


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """The end of an error about an unknown name: '; did you mean NEAREST?', or nothing where no name is near."""
    from difflib import get_close_matches

    near = get_close_matches(name.lower(), list(names), n=2, cutoff=0.6)
    return f"; did you mean {' or '.join(near)}?" if near else ""
