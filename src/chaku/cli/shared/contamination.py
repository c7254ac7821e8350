"""The benchmarks whose problems must not get into training data, and the ledger that training data comes from."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from chaku.cli.shared.names import Named, benchmarks
from chaku.cli.shared.options import PATH, Decorator
from chaku.cli.shared.several_values import Several
from chaku.errors import ChakuError

if TYPE_CHECKING:
    from chaku.instruct.contamination import Contamination


def against_option() -> Decorator:
    """--against."""
    return click.option(
        "--against",
        cls=Several,
        type=Named(benchmarks),
        takes=lambda word: word in benchmarks(),
        names=benchmarks,
        metavar="BENCHMARK...",
        help="Leave out problems of these benchmarks; without it, of those whose data is here.",
    )


def benchmarks_to_avoid(names: tuple[str, ...]) -> "Contamination":
    """The named benchmarks, or without names those of the default whose files are here; what is left out is said."""
    from chaku.evals.problems import load_problems
    from chaku.instruct.contamination import Contamination, available

    return Contamination(load_problems(list(names))) if names else available()


def ledger_argument() -> Decorator:
    """The argument LEDGER."""
    return click.argument("ledger", type=PATH, help="The file that `chaku instruct synthesize --ledger` made.")


def existing(ledger: Path) -> Path:
    """Raises ChakuError for a ledger that is not there: sqlite would make an empty one."""
    if not ledger.is_file():
        raise ChakuError(f"{ledger} does not exist; `chaku instruct synthesize MODEL --ledger {ledger}` makes it")
    return ledger
