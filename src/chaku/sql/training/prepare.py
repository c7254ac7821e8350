"""Turns published questions into conversations for training; normalises gold SQL and checks it by running it."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from chaku.console import progress
from chaku.errors import ChakuError
from chaku.files import atomic_file
from chaku.sql.ask.prompt import BYTES_PER_TOKEN, SqlPrompt, estimate_tokens
from chaku.sql.execute.double_quotes import quote_literals
from chaku.sql.execute.lexer import tokenize
from chaku.sql.execute.parse import Refused
from chaku.sql.execute.runner import SQLiteRunner
from chaku.sql.schema.definition import Schema, database_file, read_spider_tables
from chaku.sql.scoring.datasets import Example
from chaku.sql.scoring.execution_match import clean
from chaku.sql.training.example_prompts import ExamplePrompts, PromptSettings
from chaku.sql.training.schema_noise import num_columns, with_noise

ASKED_AS = "asked_as"  # the key of a row for the settings of its prompt


@dataclass(frozen=True)
class PrepareSettings:
    """`timeout`: seconds of a gold query. `noise_seed`: the seed of `schema_noise`; None for prompts without noise."""

    prompt: PromptSettings = field(default_factory=PromptSettings)
    timeout: float = 10.0
    noise_seed: int | None = None
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
    """Write one conversation a line to `out`: the prompt, and the SQL as the reply. Returns the counts.

    An example is left out, and counted by reason, if its query does not parse, fails on its database, returns other
    rows after normalisation, has no database, or needs a table that linking left out. An example with an empty result
    is counted and kept. A row also has the question, query, database, settings of the prompt, and the parts of the
    schema that did not fit. Raises ChakuError when no example is left.
    """
    settings = settings or PrepareSettings()
    count = count_tokens or estimate_tokens
    prompts = ExamplePrompts(databases, settings.prompt, count, read_spider_tables(tables) if tables else {})
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

        def leave_out(example: Example, why: _LeftOut) -> None:
            left_out[why.kind] += 1
            first.setdefault(why.kind, f"{example.database}: {why}")

        def verify(example: Example) -> "tuple[str, list[str]] | _LeftOut":
            try:
                return _verified(example, prompts.schema(example.database), runner, databases, settings.timeout)
            except FileNotFoundError as error:
                return _LeftOut("no database", str(error))
            except _LeftOut as error:
                return error

        for example, verified in zip(examples, pool.map(verify, examples), strict=True):
            bar.advance(1)
            if isinstance(verified, _LeftOut):
                leave_out(example, verified)
                continue
            query, counted = verified
            schema = prompts.schema(example.database)
            if settings.noise_seed is not None:
                whole, schema = schema, with_noise(schema, example, query, settings.noise_seed)
                counts["columns left out as noise"] += num_columns(whole) - num_columns(schema)
            prompt = prompts.prompt(example, schema)
            if settings.prompt.link and (missing := _tables_left_out(query, prompt)):
                leave_out(example, _LeftOut("needs a table that linking left out", f"{missing}: {query}"))
                continue
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
                ASKED_AS: asdict(settings.prompt),
                **({"dropped": [str(part) for part in prompt.dropped]} if prompt.dropped else {}),
            }
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            counts["written"] += 1
        if not counts["written"]:
            reasons = "; ".join(f"{kind}: {message}" for kind, message in first.items())
            raise ChakuError(f"no example is usable; the first of each kind: {reasons}")
    return {
        "examples": len(examples),
        "written": counts.pop("written"),
        **counts,
        "left_out": dict(left_out),
        "first_left_out": first,
        "tokens_counted_by": "the tokenizer" if count_tokens else f"{BYTES_PER_TOKEN} bytes a token",
    }


def prepared_prompt(paths: Sequence[Path]) -> PromptSettings | None:
    """The settings of the prompts in files that `prepare` wrote; None for other files, and for different settings.

    A model that is trained on these files needs the same settings later.
    """
    found = set()
    for path in paths:
        if path.suffix == ".jsonl":
            with path.open(encoding="utf-8") as lines:
                row = json.loads(next(lines, "") or "{}")
            if ASKED_AS in row:
                found.add(PromptSettings(**row[ASKED_AS]))
    return found.pop() if len(found) == 1 else None


class _LeftOut(Exception):
    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.kind = kind


def _tables_left_out(query: str, prompt: SqlPrompt) -> str:
    """The tables of a query that its prompt does not show."""
    dropped = {part.table.lower() for part in prompt.dropped if part.kind == "table"}
    used = {token.text.strip('`"[]').lower() for token in tokenize(query) if token.kind in ("word", "quoted")}
    return ", ".join(sorted(dropped & used))


def _verified(
    example: Example, schema: Schema, runner: SQLiteRunner, databases: Path, timeout: float
) -> tuple[str, list[str]]:
    """The normalised gold query, and the counters to increase. Raises _LeftOut for an unusable example."""
    original = clean(example.query)
    try:
        query = tidy(quote_literals(original, schema))
    except Refused as error:
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
    """The query on one line, with single spaces, and without a space before a comma."""
    text = "".join(" " if token.kind in ("space", "comment") else token.text for token in tokenize(sql))
    tokens = tokenize(text.strip())
    kept = []
    for index, token in enumerate(tokens):
        if token.kind != "space":
            kept.append(token.text)
        elif kept and kept[-1] != " " and (index + 1 < len(tokens) and tokens[index + 1].text != ","):
            kept.append(" ")
    return "".join(kept)
