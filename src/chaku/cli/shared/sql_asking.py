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
from chaku.cli.shared.sql_choosing import choosing_options
from chaku.cli.shared.sql_meaning import meaning_options
from chaku.cli.shared.sql_privacy import trust_options

if TYPE_CHECKING:
    from chaku.api import Model
    from chaku.sql.ask.asker import Asker
    from chaku.sql.ask.memory import Memory
    from chaku.sql.execute.database import Database

ENDPOINT_TIMEOUT = 120.0  # seconds: somebody waits


@dataclass(frozen=True)
class Asking:
    """The options as they were given."""

    db: str
    model: str | None
    endpoint: str | None
    endpoint_model: str
    form: Literal["ddl", "compact"] | None
    max_prompt_tokens: int | None
    no_grammar: bool
    samples: int
    seed: int
    timeout: float
    max_rows: int
    endpoint_timeout: float
    no_cache: bool
    memory: Path | None
    words: bool
    no_values: bool
    log_sent: Path | None
    min_confidence: float
    glossary: Path | None
    select: Literal["vote", "csc", "tests"]
    max_cost: float | None
    embeddings: str | None
    embeddings_model: str

    def __post_init__(self) -> None:
        if (self.model is None) == (self.endpoint is None):
            raise click.UsageError("give --model or --endpoint, one of them")
        if self.words and self.no_values:
            raise click.UsageError("--words sends the rows to the model, and --no-values forbids it; give one of them")

    @contextmanager
    def asker(self, loading: Loading) -> "Iterator[Asker]":
        """The database, ready to be asked; the model is loaded when the database is there."""
        from chaku import api
        from chaku.inference.sent_log import append_sent

        if self.log_sent:
            append_sent(self.log_sent, "")  # before the model is loaded
        with api.asker(
            self.db,
            lambda: self.load(loading),
            form=self.form,
            max_prompt_tokens=self.max_prompt_tokens,
            constrained=not self.no_grammar,
            seed=self.seed,
            cache=not self.no_cache,
            memory=self.memory,
            glossary=self.glossary,
            num_samples=self.samples,
            timeout=self.timeout,
            max_rows=self.max_rows,
            send_values=not self.no_values,
            log_sent=self.log_sent,
            words=self.words,
            min_confidence=self.min_confidence,
            select=self.select,
            max_cost=self.max_cost,
            embeddings=self.embeddings,
            embeddings_model=self.embeddings_model,
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
        click.option(
            "--samples", type=int, default=5, callback=at_least_one, help="Write so many queries, which vote."
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
        click.option("--max-rows", type=int, default=10_000, callback=at_least_one, help="Fetch at most so many rows."),
        click.option(
            "--endpoint-timeout",
            type=float,
            default=ENDPOINT_TIMEOUT,
            callback=positive,
            metavar="SECONDS",
            help="Wait so long for an answer of --endpoint, all attempts included.",
        ),
        click.option(
            "--no-cache",
            is_flag=True,
            help="Keep no values of the database on disk; read them for every command.",
        ),
        memory_option(),
        click.option(
            "--words",
            is_flag=True,
            help="Let the model say the rows in words, kept if every number and name is in the rows.",
        ),
        *trust_options(),
        *meaning_options(),
        glossary_option(),
        *choosing_options(),
    )
    with_loading = loading_options()
    return lambda function: with_asking(with_loading(function))


def memory_of(database: "Database", memory: Path | None) -> "Memory":
    """The remembered pairs of a database, in a named file or in its own."""
    from chaku.sql.ask.memory import Memory, memory_path

    return Memory(memory or memory_path(database.name, database.place))
