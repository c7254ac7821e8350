"""Names that a shell completes: models of the catalogue, benchmarks, built-in chat templates."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class Named(click.ParamType):
    """A text whose known names a shell completes, and where `or_file`, files as well. Any text is taken."""

    name = "name"

    def __init__(self, names: Callable[[], Iterable[str]], or_file: bool = False):
        self.names, self.or_file = names, or_file

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
        from click.shell_completion import CompletionItem

        found = [CompletionItem(name) for name in self.names() if name.startswith(incomplete)]
        return [*found, CompletionItem(incomplete, type="file")] if self.or_file else found


def models() -> list[str]:
    """The names of the catalogue."""
    from chaku.checkpoint.catalogue import CATALOGUE

    return [model.name for model in CATALOGUE]


def benchmarks() -> list[str]:
    """Every benchmark that judges samples."""
    from chaku.evals.suite import BENCHMARKS

    return list(BENCHMARKS)


def measures() -> list[str]:
    """Every benchmark, and every measure on held-out documents."""
    from chaku.evals.suite import HELDOUT_MEASURES

    return [*HELDOUT_MEASURES, *benchmarks()]


def templates() -> list[str]:
    """The built-in chat templates."""
    from chaku.tokens.templates import BUILTIN

    return list(BUILTIN)


MODEL_NAME = Named(models, or_file=True)
