"""Builds the prompts of published questions, for training and for scoring; reads each database's schema once."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from chaku.errors import ChakuError
from chaku.files import read_json
from chaku.sql.ask.prompt import Form, SqlPrompt, build_prompt, linked_prompt
from chaku.sql.execute.database import Database
from chaku.sql.schema.definition import NUM_VALUES, Schema, database_file, read_sqlite
from chaku.sql.schema.values import Match, ValueIndex
from chaku.sql.scoring.datasets import Example, with_descriptions, with_keys


@dataclass(frozen=True)
class PromptSettings:
    """The form of prompts. `max_tokens`: of a prompt. `num_values`: sampled values of each column.

    `link`: write prompts as `chaku sql ask` does: with the database's values that the question's words mean, and with
    only the related part of a schema that does not fit. Raises ChakuError for `link` with DB-GPT-Hub's form.
    """

    form: Form = "ddl"
    max_tokens: int = 1536
    num_values: int = NUM_VALUES
    link: bool = False

    def __post_init__(self) -> None:
        if self.link and self.form == "db-gpt-hub":
            raise ChakuError("DB-GPT-Hub's prompt form has no linking; choose another form, or do not link")


TRAINED_PROMPT = "sql_prompt.json"  # in a checkpoint that was trained on Text-to-SQL: the settings of its prompts


def trained_prompt(checkpoint: Path) -> PromptSettings | None:
    """The settings of the prompts in a checkpoint's training; None for a checkpoint without TRAINED_PROMPT."""
    path = checkpoint / TRAINED_PROMPT
    return PromptSettings(**read_json(path)) if path.is_file() else None


class ExamplePrompts:
    """Prompts of examples over a directory of databases. `told`: schemas from tables.json, with keys and comments."""

    def __init__(
        self,
        databases: Path,
        settings: PromptSettings,
        count_tokens: Callable[[str], int],
        told: dict[str, Schema] | None = None,
    ):
        self._databases, self._settings, self._told = databases, settings, told or {}
        self._count = lru_cache(maxsize=1 << 14)(count_tokens)  # the same tables are counted for every question
        self._schemas: dict[str, Schema] = {}
        self._values: dict[str, ValueIndex] = {}

    def schema(self, name: str) -> Schema:
        """The schema of a database, with the keys and comments of tables.json and BIRD's descriptions.

        Raises FileNotFoundError when the database does not exist.
        """
        if name not in self._schemas:
            path = database_file(self._databases, name)
            if not path.is_file():
                raise FileNotFoundError(f"{path} does not exist")
            schema = with_keys(read_sqlite(path, num_values=self._settings.num_values), self._told.get(name))
            self._schemas[name] = with_descriptions(schema, path.parent / "database_description")
        return self._schemas[name]

    def prompt(self, example: Example, schema: Schema | None = None) -> SqlPrompt:
        """The prompt of an example; see `asked`."""
        return self.asked(example, schema=schema)[0]

    def asked(self, example: Example, *, trouble: str = "", schema: Schema | None = None) -> tuple[SqlPrompt, Schema]:
        """The prompt, and the part of the schema that it shows (the whole schema without linking).

        `trouble`: the error of an earlier query. `schema`: a schema with fewer columns than the database's schema, to
        show instead. Raises ChakuError when the question leaves no room for the schema.
        """
        settings, name = self._settings, example.database
        shown = schema or self.schema(name)
        if settings.link:
            return linked_prompt(
                shown,
                example.question,
                [match for match in self._index(name).find(example.question) if _has(shown, match)],
                count_tokens=self._count,
                max_tokens=settings.max_tokens,
                evidence=example.evidence,
                trouble=trouble,
                form=settings.form,
            )
        as_told = settings.form == "db-gpt-hub" and name in self._told  # DB-GPT-Hub reads only tables.json
        prompt = build_prompt(
            self._told[name] if as_told else shown,
            example.question,
            count_tokens=self._count,
            max_tokens=settings.max_tokens,
            evidence=f"{example.evidence} {trouble}".strip(),
            form=settings.form,
        )
        return prompt, shown

    def _index(self, name: str) -> ValueIndex:
        if name not in self._values:
            with Database(str(database_file(self._databases, name))) as database:
                self._values[name] = ValueIndex.build(database, self.schema(name))
        return self._values[name]


def _has(schema: Schema, match: Match) -> bool:
    return any(
        table.name == match.table and any(column.name == match.column for column in table.columns)
        for table in schema.tables
    )
