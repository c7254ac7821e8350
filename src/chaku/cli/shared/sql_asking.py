"""What the commands of `chaku sql` that ask a database share: their options, and the asker that they make."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from chaku.cli.shared.loading import MODEL, Loading, loading_options
from chaku.cli.shared.names import MODEL_NAME
from chaku.cli.shared.options import PATH, Decorator, at_least_one, gathered, positive, seed_option
from chaku.cli.shared.sql_settings import settings_options
from chaku.sql.ask.settings import AskSettings

if TYPE_CHECKING:
    from chaku.api import Model
    from chaku.sql.ask.asker import Asker
    from chaku.sql.ask.memory import Memory
    from chaku.sql.execute.database import Database

ENDPOINT_TIMEOUT = 120.0  # seconds: somebody waits


@dataclass(frozen=True, kw_only=True)
class Asking(AskSettings):
    """The options as they were given."""

    db: str
    model: str | None
    endpoint: str | None
    endpoint_model: str
    form: Literal["ddl", "compact"] | None
    max_prompt_tokens: int | None
    no_grammar: bool
    seed: int
    endpoint_timeout: float
    memory: Path | None
    words: bool
    glossary: Path | None

    def __post_init__(self) -> None:
        if (self.model is None) == (self.endpoint is None):
            raise click.UsageError("give --model or --endpoint, one of them")
        if self.words and not self.send_values:
            raise click.UsageError("--words sends the rows to the model, and --no-values forbids it; give one of them")

    @contextmanager
    def asker(self, loading: Loading) -> "Iterator[Asker]":
        """The database, ready to be asked; the model is loaded when the database is there."""
        from chaku import api

        with api.asker(
            self.db,
            lambda: self.load(loading),
            form=self.form,
            max_prompt_tokens=self.max_prompt_tokens,
            constrained=not self.no_grammar,
            seed=self.seed,
            memory=self.memory,
            glossary=self.glossary,
            words=self.words,
            **self.for_asker,
        ) as asker:
            yield asker

    def load(self, loading: Loading) -> "Model":
        """The model, here or behind the endpoint."""
        name = self.model if self.model is not None else self.endpoint_model
        return loading.load_or_connect(name, self.endpoint, chat=True, patience=self.endpoint_timeout)


def database_option() -> Decorator:
    """--db."""
    return click.option(
        "--db",
        required=True,
        type=click.Path(),
        metavar="DATABASE",
        help="A SQLite or DuckDB file, or the URL of a server, such as postgresql://USER@HOST/NAME.",
    )


def memory_option() -> Decorator:
    """--memory."""
    return click.option(
        "--memory", type=PATH, help="The file of remembered pairs; without it, one a database, in your home."
    )


def glossary_option() -> Decorator:
    """--glossary."""
    return click.option(
        "--glossary",
        type=PATH,
        help="The file of your company's words; without it, NAME.glossary.toml beside a database file NAME.sqlite, or "
        "the file that was named last for this database.",
    )


def max_prompt_tokens_option() -> Decorator:
    """--max-prompt-tokens."""
    return click.option(
        "--max-prompt-tokens",
        type=int,
        metavar="N",
        callback=at_least_one,
        help="Ask with at most so many tokens; without it, as the model learnt, or as its context allows; "
        "an endpoint: 6,000.",
    )


def asking_options() -> Decorator:
    """The options, in the parameters `asking` and `loading`."""
    with_asking = gathered(
        "asking",
        Asking,
        database_option(),
        click.option("--model", type=MODEL_NAME, help=f"{MODEL}."),
        click.option("--endpoint", metavar="URL", help="Ask a server with OpenAI's API; see --endpoint-model."),
        click.option(
            "--endpoint-model", default="default", metavar="NAME", help="The name by which the server knows the model."
        ),
        click.option(
            "--form",
            type=click.Choice(["ddl", "compact"]),
            help="Write the schema in this form, as in training; without it, as the model learnt, or ddl.",
        ),
        max_prompt_tokens_option(),
        click.option(
            "--no-grammar", is_flag=True, help="Decode freely; the query is checked before it runs all the same."
        ),
        seed_option(),
        click.option(
            "--timeout",
            type=float,
            default=10.0,
            callback=positive,
            metavar="SECONDS",
            help="Let one query run so long.",
        ),
        click.option(
            "--endpoint-timeout",
            type=float,
            default=ENDPOINT_TIMEOUT,
            callback=positive,
            metavar="SECONDS",
            help="Wait so long for an answer of --endpoint, all attempts included.",
        ),
        memory_option(),
        click.option(
            "--words",
            is_flag=True,
            help="Let the model say the rows in words, kept if every number and name is in the rows.",
        ),
        glossary_option(),
        *settings_options(max_rows=10_000),
    )
    with_loading = loading_options()
    return lambda function: with_asking(with_loading(function))


def memory_of(database: "Database", memory: Path | None) -> "Memory":
    """The remembered pairs of a database, in a named file or in its own."""
    from chaku.sql.ask.memory import Memory, memory_path

    return Memory(memory or memory_path(database.name, database.place))
