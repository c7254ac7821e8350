"""The options of the commands that let clients ask databases: `chaku serve` and `chaku sql mcp`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from chaku.cli.shared.options import Decorator, at_least_one, gathered
from chaku.cli.shared.sql_choosing import choosing_options
from chaku.cli.shared.sql_meaning import meaning_options
from chaku.cli.shared.sql_privacy import trust_options

if TYPE_CHECKING:
    from chaku.serve.database_settings import Asking


@dataclass(frozen=True)
class SqlServing:
    """The options as they were given."""

    db: tuple[str, ...]
    samples: int
    max_rows: int
    no_cache: bool
    no_values: bool
    log_sent: Path | None
    min_confidence: float
    glossary: tuple[str, ...]
    select: Literal["vote", "csc", "tests"] = "vote"
    max_cost: float | None = None
    embeddings: str | None = None
    embeddings_model: str = "default"

    def asking(self, remember: bool = False) -> "Asking":
        """How the databases are asked. `remember`: whether clients may keep questions with their right SQL."""
        from chaku.inference.sent_log import append_sent
        from chaku.serve.database_settings import Asking

        if self.log_sent:
            append_sent(self.log_sent, "")  # a server must not start without its log
        return Asking(
            self.samples,
            max_rows=self.max_rows,
            remember=remember,
            cache=not self.no_cache,
            send_values=not self.no_values,
            log_sent=self.log_sent,
            min_confidence=self.min_confidence,
            select=self.select,
            max_cost=self.max_cost,
            embeddings=self.embeddings,
            embeddings_model=self.embeddings_model,
            glossaries=named_files(self.glossary),
        )


def named_files(named: tuple[str, ...]) -> dict[str, Path]:
    """Files by the name of their database, from NAME=FILE."""
    found: dict[str, Path] = {}
    for text in named:
        name, equals, file = text.partition("=")
        if not equals or not name or not file:
            raise click.UsageError(f"--glossary {text!r} is not NAME=FILE, as in --glossary shop=shop.glossary.toml")
        found[name] = Path(file)
    return found


def sql_serving_options(required: bool = False) -> Decorator:
    """The options, in the parameter `databases`; `required`: whether there must be a database."""
    return gathered(
        "databases",
        SqlServing,
        click.option(
            "--db",
            multiple=True,
            required=required,
            metavar="NAME=DATABASE",
            help="Let clients ask this database: a file or a URL as for `chaku sql ask`, named NAME, or by itself; "
            "may be given several times.",
        ),
        click.option(
            "--samples",
            type=int,
            default=5,
            callback=at_least_one,
            help="Write so many queries for a question, which vote.",
        ),
        click.option(
            "--max-rows",
            type=int,
            default=1_000,
            callback=at_least_one,
            help="Answer with at most so many rows of a database.",
        ),
        click.option("--no-cache", is_flag=True, help="Keep no values of the databases on disk."),
        *trust_options(),
        *meaning_options(),
        *choosing_options(),
        click.option(
            "--glossary",
            multiple=True,
            metavar="NAME=FILE",
            help="The file of the words of the database NAME; without it, NAME.glossary.toml beside its file; may be "
            "given several times.",
        ),
    )
