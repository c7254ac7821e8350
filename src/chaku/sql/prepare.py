"""Published questions to conversations to train on: gold SQL normalised and run before a model learns it."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaku.console import progress
from chaku.errors import ChakuError
from chaku.files import atomic_file
from chaku.sql.clauses import NotComparable
from chaku.sql.datasets import Example, with_descriptions, with_keys
from chaku.sql.execute import SQLiteRunner
from chaku.sql.execution_match import clean
from chaku.sql.lexer import tokenize
from chaku.sql.normalize import quote_literals
from chaku.sql.prompt import Form, build_prompt
from chaku.sql.schema import NUM_VALUES, Schema, read_spider_tables, read_sqlite

BYTES_PER_TOKEN = 3  # of code in Llama's vocabulary, at least: without a tokenizer prompts are rather too short


@dataclass(frozen=True)
class PrepareSettings:
    """`max_tokens` is of a prompt, `timeout` of a gold query in seconds."""

    form: Form = "ddl"
    max_tokens: int = 1536
    num_values: int = NUM_VALUES
    timeout: float = 10.0
    num_processes: int = 2


def prepare(
    examples: Sequence[Example],
    databases: Path,
    out: Path,
    *,
    tables: Path | None = None,
    count_tokens: Callable[[str], int] | None = None,
    settings: PrepareSettings | None = None,
) -> dict[str, Any]:
    """Write one conversation a line to `out`: the prompt, and the SQL, which alone is learnt. Returns the counts.

    Left out, and counted by reason: what does not parse, fails on its database, returns something else once
    normalised, or has no database. An empty result is counted and kept. Rows also have question, query, database and
    what the prompt's schema lacks.
    """
    settings = settings or PrepareSettings()
    count = count_tokens or (lambda text: -(-len(text.encode()) // BYTES_PER_TOKEN))
    schemas = _Schemas(databases, read_spider_tables(tables) if tables else {}, settings.num_values)
    counts: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    first: dict[str, str] = {}
    with (
        SQLiteRunner(settings.num_processes) as runner,
        ThreadPoolExecutor(settings.num_processes) as pool,
        progress("prepare", len(examples), "examples") as bar,
        atomic_file(out) as temporary,
        temporary.open("w", encoding="utf-8") as file,
    ):

        def verify(example: Example) -> "tuple[str, list[str]] | _LeftOut":
            try:
                return _verified(example, schemas.of(example.database), runner, databases, settings.timeout)
            except _LeftOut as error:
                return error

        for example, verified in zip(examples, pool.map(verify, examples), strict=True):
            bar.advance(1)
            if isinstance(verified, _LeftOut):
                left_out[verified.kind] += 1
                first.setdefault(verified.kind, f"{example.database}: {verified}")
                continue
            query, counted = verified
            prompt = build_prompt(
                schemas.shown(example.database, settings.form),
                example.question,
                count_tokens=count,
                max_tokens=settings.max_tokens,
                evidence=example.evidence,
                form=settings.form,
            )
            counts.update(counted)
            counts["schema does not fit whole"] += bool(prompt.dropped)
            row = {
                "messages": [
                    {"role": "user", "content": prompt.text},
                    {"role": "assistant", "content": query},
                ],
                "question": example.question,
                "query": query,
                "database": example.database,
                **({"dropped": prompt.dropped} if prompt.dropped else {}),
            }
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            counts["written"] += 1
        if not counts["written"]:
            raise ChakuError(f"no example is left: {'; '.join(f'{kind}: {said}' for kind, said in first.items())}")
    return {
        "examples": len(examples),
        "written": counts.pop("written"),
        **counts,
        "left_out": dict(left_out),
        "first_left_out": first,
        "tokens_counted_by": "the tokenizer" if count_tokens else f"{BYTES_PER_TOKEN} bytes a token",
    }


class _LeftOut(Exception):
    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.kind = kind


class _Schemas:
    """Each database's schema, read once: with the keys and comments of tables.json and BIRD's descriptions."""

    def __init__(self, databases: Path, told: dict[str, Schema], num_values: int):
        self._databases, self._told, self._num_values = databases, told, num_values
        self._found: dict[str, Schema] = {}

    def of(self, name: str) -> Schema:
        if name not in self._found:
            path = database_file(self._databases, name)
            if not path.is_file():
                raise _LeftOut("no database", f"{path} does not exist")
            schema = with_keys(read_sqlite(path, num_values=self._num_values), self._told.get(name))
            self._found[name] = with_descriptions(schema, path.parent / "database_description")
        return self._found[name]

    def shown(self, name: str, form: Form) -> Schema:
        """The schema that a prompt shows: DB-GPT-Hub's is that of tables.json."""
        return self._told[name] if form == "db-gpt-hub" and name in self._told else self.of(name)


def database_file(databases: Path, name: str) -> Path:
    """Where Spider and BIRD keep a database."""
    return databases / name / f"{name}.sqlite"


def _verified(
    example: Example, schema: Schema, runner: SQLiteRunner, databases: Path, timeout: float
) -> tuple[str, list[str]]:
    """The gold query as it is learnt, and what to count. Raises _LeftOut."""
    original = clean(example.query)
    try:
        query = tidy(quote_literals(original, schema))
    except NotComparable as error:
        raise _LeftOut("does not parse", f"{error}: {original}") from None
    path = database_file(databases, example.database)
    result = runner.run(path, query, timeout=timeout)
    if not result.ok:
        raise _LeftOut("fails", f"{result.reason}: {query}")
    if query != original:
        before = runner.run(path, original, timeout=timeout)
        if not before.ok or before.rows != result.rows:
            raise _LeftOut("changes when normalised", original)
    return query, ["empty result"] * (not result.rows) + ["names made literals"] * (query != tidy(original))


def tidy(sql: str) -> str:
    """The query on one line, with single spaces, and none before a comma."""
    text = "".join(" " if token.kind in ("space", "comment") else token.text for token in tokenize(sql))
    tokens = tokenize(text.strip())
    kept = []
    for index, token in enumerate(tokens):
        if token.kind != "space":
            kept.append(token.text)
        elif kept and kept[-1] != " " and (index + 1 < len(tokens) and tokens[index + 1].text != ","):
            kept.append(" ")
    return "".join(kept)
