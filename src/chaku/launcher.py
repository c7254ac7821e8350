"""What torchrun, or a launcher with the same variables, says of this process. Imports no torch."""

import os

from chaku.errors import ChakuError


def num_ranks() -> int:
    """The number of processes that torchrun, or a launcher with the same variables, started; 1 without a launcher."""
    return _number("WORLD_SIZE", 1)


def rank() -> int:
    """The number of this process among those that torchrun started; 0 for one process."""
    return _number("RANK", 0)


def local_rank() -> int:
    """The number of this process among those of its machine; 0 without a launcher."""
    return _number("LOCAL_RANK", 0)


def num_local_ranks() -> int:
    """The number of processes on this machine; all of them, where the launcher does not say it."""
    return _number("LOCAL_WORLD_SIZE", num_ranks())


def _number(variable: str, without: int) -> int:
    text = os.environ.get(variable) or str(without)
    if not text.isdecimal():
        raise ChakuError(f"the environment variable {variable} is {text!r}, not a number: correct it, or unset it")
    return int(text)


def only_helps() -> bool:
    """Whether this process is one of several and not the first, so that it prints and shows nothing."""
    return num_ranks() > 1 and rank() > 0


def check_launcher() -> None:
    """Raises ChakuError when some of a launcher's variables are not set, as in a shell that sets only WORLD_SIZE."""
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if not os.environ.get(name)]
    if missing:
        raise ChakuError(
            f"WORLD_SIZE is {num_ranks()}, but {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set: "
            "start chaku with torchrun, or unset WORLD_SIZE to use one process"
        )
