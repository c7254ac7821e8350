"""How much of what a question needs is left when its schema is cut to the prompt, on Spider with 500 foreign tables.

    CHAKU_BENCHMARKS=... python benchmarks/linking.py --tokens 1000 2000 4000
    python benchmarks/linking.py --chinese --embeddings http://localhost:8000/v1

A question's database gets tables of other Spider databases, which are drawn whole, with their values, until there are
`--foreign`. A foreign table whose name is taken is renamed: singer_2. `tables`: questions whose prompt has all tables
of the gold query. `columns`: the same for its columns too. `tokens`: of the prompt, by the estimate for an endpoint.
`--split train` draws 1,000 questions about 20 databases of Spider's training set: rules are tuned there, and never on
dev. `--chinese` asks the questions of `linking_chinese.tsv`, translations of dev questions.
"""

import argparse
import os
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from sqlglot import exp
from sqlglot.optimizer.scope import traverse_scope

from chaku.console import progress, say, show_table
from chaku.errors import ChakuError
from chaku.files import write_json
from chaku.inference.embeddings import find_embedder
from chaku.sql.ask.prompt import estimate_tokens, linked_prompt
from chaku.sql.execute.check import parse_query
from chaku.sql.execute.database import Database
from chaku.sql.schema.definition import Schema, Table, database_file, read_spider_tables
from chaku.sql.schema.knowledge import Knowledge, cache_path
from chaku.sql.schema.meaning import Meaning
from chaku.sql.schema.values import ValueIndex
from chaku.sql.scoring.datasets import Example, read_examples, with_keys

CHINESE = Path(__file__).with_name("linking_chinese.tsv")  # the number of a dev question, and its Chinese text
TRAIN_DATABASES, TRAIN_QUESTIONS = 20, 1000


@dataclass(frozen=True)
class Mixed:
    """A database among foreign tables, with the values of all."""

    schema: Schema
    values: ValueIndex


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=["dev", "train"], default="dev")
    parser.add_argument("--chinese", action="store_true", help="ask the translated dev questions alone")
    parser.add_argument("--foreign", type=int, default=500, help="mix in so many tables of other databases")
    parser.add_argument("--tokens", type=int, nargs="+", default=[1000, 2000, 4000], help="the prompts' budgets")
    parser.add_argument("--embeddings", help="link by meaning, too; as for `chaku sql ask`")
    parser.add_argument("--embeddings-model", default="default")
    parser.add_argument("--seed", type=int, default=0, help="draws the foreign tables")
    parser.add_argument("--limit", type=int, help="every n-th question, so many in all")
    parser.add_argument("--show", type=int, default=0, help="print so many questions that lose a table")
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    options = parser.parse_args()
    folder = os.environ.get("CHAKU_BENCHMARKS")
    if not folder:
        raise ChakuError("set CHAKU_BENCHMARKS to the folder with spider/")
    spider = Spider(Path(folder) / "spider", options.foreign, options.seed)
    meaning = None
    if options.embeddings:
        meaning = Meaning(find_embedder(options.embeddings, options.embeddings_model))
    examples = questions(spider.folder, options)
    rows, figures = [], []
    for tokens in options.tokens:
        figures.append(measure(spider, examples, tokens, options.show, meaning))
        rows.append([str(tokens), *(figures[-1][name] for name in ("tables", "columns", "median tokens", "median ms"))])
    show_table(f"{len(examples)} questions", ["budget", "tables", "columns", "tokens", "ms"], rows)
    if options.out:
        write_json(options.out, figures)


def questions(spider: Path, options: Any) -> list[Example]:
    """The questions to ask."""
    examples = read_examples(spider / ("train_spider.json" if options.split == "train" else "dev.json"))
    there = {example.database for example in examples}
    there = {name for name in there if database_file(spider / "database", name).is_file()}
    if options.chinese:
        lines = [line.split("\t") for line in CHINESE.read_text(encoding="utf-8").splitlines()]
        examples = [replace(examples[int(number)], question=text) for number, text in lines]
    elif options.split == "train":
        draw = random.Random(0)
        chosen = draw.sample(sorted(there), TRAIN_DATABASES)
        examples = [example for example in examples if example.database in chosen]
        examples = draw.sample(examples, min(TRAIN_QUESTIONS, len(examples)))
    if missing := sum(example.database not in there for example in examples):
        say(f"{missing} questions are left out, since their database is not there")
    examples = [example for example in examples if example.database in there]
    return examples[:: max(len(examples) // options.limit, 1)][: options.limit] if options.limit else examples


class Spider:
    """Spider's databases, each among foreign tables."""

    def __init__(self, folder: Path, foreign: int, seed: int):
        self.folder, self.foreign, self.seed = folder, foreign, seed
        told = read_spider_tables(folder / "tables.json")
        self.told = {name: told[name] for name in told if database_file(folder / "database", name).is_file()}
        self._mixed: dict[str, Mixed] = {}

    @cache  # noqa: B019
    def _read(self, name: str) -> tuple[Schema, dict[tuple[str, str], list[str]]]:
        path = database_file(self.folder / "database", name)
        with Database(str(path)) as database:
            known = Knowledge(database, cache=cache_path(database.name, database.place))
        values: dict[tuple[str, str], list[str]] = {}
        for places in known.values.places.values():
            for table, column, value in places:
                values.setdefault((table, column), []).append(value)
        return with_keys(known.schema, _without_comments(self.told[name])), values

    def mixed(self, name: str) -> Mixed:
        """The database among foreign tables, which the seed and its name draw."""
        if name not in self._mixed:
            self._mixed = {name: self._mix(name)}
        return self._mixed[name]

    def _mix(self, name: str) -> Mixed:
        others = sorted(other for other in self.told if other != name)
        random.Random(f"{self.seed} {name}").shuffle(others)
        own, values = self._read(name)
        index, tables = ValueIndex(), list(own.tables)
        taken = {table.name.lower() for table in tables}
        for (table, column), listed in values.items():
            for value in listed:
                index.add(table, column, value)
        for other in others:
            if len(tables) - len(own.tables) >= self.foreign:
                break
            schema, values = self._read(other)
            names = {table.name.lower(): free_name(table.name, taken) for table in schema.tables}
            for foreign in schema.tables:
                keys = tuple(
                    replace(key, table=names.get(key.table.lower(), key.table)) for key in foreign.foreign_keys
                )
                tables.append(replace(foreign, name=names[foreign.name.lower()], foreign_keys=keys))
            for (called, column), listed in values.items():
                for value in listed:
                    index.add(names[called.lower()], column, value)
        random.Random(f"{self.seed} {name}").shuffle(tables)  # no table stands first because it is the question's
        return Mixed(replace(own, tables=tuple(tables)), index)


def _without_comments(schema: Schema) -> Schema:
    """The keys of tables.json without its names in plain words, which most schemas do not have."""

    def bare(table: Table) -> Table:
        return replace(table, columns=tuple(replace(column, comment="") for column in table.columns))

    return replace(schema, tables=tuple(map(bare, schema.tables)))


def free_name(name: str, taken: set[str]) -> str:
    """A name that no other table has; it is taken now."""
    free, number = name, 2
    while free.lower() in taken:
        free, number = f"{name}_{number}", number + 1
    taken.add(free.lower())
    return free


def measure(
    spider: Spider, examples: Sequence[Example], tokens: int, show: int, meaning: Meaning | None
) -> dict[str, Any]:
    """The figures of one budget."""
    num_tables = num_columns = 0
    lengths, seconds = [], []
    count = lru_cache(maxsize=1 << 16)(estimate_tokens)
    with progress(f"{tokens} tokens", len(examples), "questions") as bar:
        for example in sorted(examples, key=lambda example: example.database):
            mixed = spider.mixed(example.database)
            if meaning:  # so that the vectors of the tables are there, as they are for all questions but the first
                meaning.tables(example.database, mixed.schema)
            started = time.perf_counter()
            matches = mixed.values.find(example.question)
            prompt, shown = linked_prompt(
                mixed.schema, example.question, matches, count_tokens=count, max_tokens=tokens, meaning=meaning
            )
            seconds.append(time.perf_counter() - started)
            lengths.append(count(prompt.text))
            lost = {part.table for part in prompt.dropped if part.kind == "table"}
            lost_columns = {(part.table, part.column.lower()) for part in prompt.dropped if part.kind == "column"}
            tables, columns = gold(example.query, mixed.schema)
            num_tables += not tables & lost
            num_columns += not tables & lost and not columns & lost_columns
            if tables & lost and show > 0:
                show -= 1
                print(f"{example.database}: {example.question}\n  {example.query}\n  lost: {', '.join(tables & lost)}")
                print("  kept:", ", ".join(table.name for table in shown.tables), [m.value for m in matches])
            bar.advance(1)
    return {
        "tokens": tokens,
        "tables": f"{num_tables / len(examples):.1%}",
        "columns": f"{num_columns / len(examples):.1%}",
        "median tokens": f"{statistics.median(lengths):.0f}",
        "median ms": f"{1000 * statistics.median(seconds):.0f}",
    }


def gold(query: str, schema: Schema) -> tuple[set[str], set[tuple[str, str]]]:
    """The tables of a query and its (table, column in small letters), without what a `*` stands for."""
    known = {table.name.lower(): table for table in schema.tables}
    tables: set[str] = set()
    columns: set[tuple[str, str]] = set()
    for scope in traverse_scope(parse_query(query, schema)):
        sources = {
            alias.lower(): known[source.name.lower()]
            for alias, source in scope.sources.items()
            if isinstance(source, exp.Table) and source.name.lower() in known
        }
        tables |= {table.name for table in sources.values()}
        for column in scope.columns:
            named = [sources[column.table.lower()]] if column.table.lower() in sources else sources.values()
            columns |= {
                (table.name, column.name.lower())
                for table in named
                if column.name.lower() in {other.name.lower() for other in table.columns}
            }
    return tables, columns


if __name__ == "__main__":
    main()
