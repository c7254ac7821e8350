"""The share of right queries that a database's grammar takes, of published predictions for Spider's dev questions.

    CHAKU_BENCHMARKS=... python benchmarks/grammar_coverage.py PREDICTIONS... --out coverage.json

A file of predictions has a query a line, in the order of Spider's dev_gold.sql (a tab and more may follow the query),
or is a table or JSON with a query a row beside its gold query and database: DIN-SQL's CSV, ChatGPT-SQL's JSON. BIRD's
JSON of predictions is read with --bird, for the questions of BIRD's file whose databases are there. Without files, the
gold queries themselves are measured.

A query counts when it returns the gold query's rows. The grammar has strings in single quotes alone, so SQLite's
strings in double quotes are written anew first. A refused query is counted by the words at which the grammar stopped.
"""

import argparse
import csv
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaku.console import progress, say, show_table
from chaku.errors import ChakuError
from chaku.files import read_json, write_json
from chaku.inference.constraints import Constraint, Vocabulary
from chaku.sql.ask.grammar import sql_grammar
from chaku.sql.execute.double_quotes import quote_literals
from chaku.sql.execute.lexer import Token, tokenize
from chaku.sql.execute.runner import Result, SQLiteRunner
from chaku.sql.schema.definition import Schema, database_file, read_sqlite
from chaku.sql.scoring.clauses import NotComparable
from chaku.sql.scoring.execution_match import clean, order_matters, remove_distinct, same_result
from chaku.sql.scoring.score import read_questions
from chaku.tokens.tokenizer_training import train_tokenizer

MAX_SHOWN = 20  # refused forms in the table
NUM_EXAMPLES = 5  # refused queries of a form in the file
FIRST_BYTE = 3  # the trained vocabulary's id of byte 0, behind its special tokens


@dataclass(frozen=True)
class Case:
    """One question: the gold query and a prediction for it."""

    database: str
    gold: str
    predicted: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("predictions", nargs="*", type=Path, help="files of predictions; none: the gold queries")
    parser.add_argument("--bird", type=Path, help="BIRD's questions, for the predictions of BIRD's form")
    parser.add_argument("--databases", type=Path, help="NAME/NAME.sqlite; the default: Spider's under CHAKU_BENCHMARKS")
    parser.add_argument("--out", type=Path, help="write the figures and the refused queries here as JSON")
    options = parser.parse_args()
    folder = os.environ.get("CHAKU_BENCHMARKS")
    if not folder:
        raise ChakuError("set CHAKU_BENCHMARKS to the folder with spider/")
    spider = Path(folder) / "spider"
    gold = spider / "dev_gold.sql"
    databases = options.databases or (options.bird.parent if options.bird else spider / "database")
    measured = {}
    with SQLiteRunner() as runner:
        coverage = Coverage(databases, runner)
        for path in options.predictions or [gold]:
            cases = list(read_bird(options.bird, path) if options.bird else read_cases(gold, path))
            measured[str(path)] = coverage.measure(cases, path.stem)
    _show(measured)
    if options.out:
        write_json(options.out, measured)


def read_cases(gold: Path, predictions: Path) -> Iterator[Case]:
    """The cases of one file of predictions."""
    if predictions.suffix == ".csv":
        with predictions.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                yield Case(row["DATABASE"], row["GOLD SQL"], row["PREDICTED SQL"])
        return
    if predictions.suffix == ".json":
        rows = read_json(predictions)
        if isinstance(rows, list):
            for row in rows:  # these prompts end in SELECT
                yield Case(row["db_id"], row["query"], "SELECT " + row["result"])
            return
    for question in read_questions(gold, predictions):
        yield Case(question.database, question.gold, question.predicted)


def read_bird(questions: Path, predictions: Path) -> Iterator[Case]:
    """The cases of BIRD's form: predictions by the question's id, "SQL<tab>----- bird -----<tab>db_id"."""
    found = read_json(predictions)
    for row in read_json(questions):
        if text := found.get(str(row["question_id"])):
            yield Case(row["db_id"], row["SQL"], text.split("\t----- bird -----\t")[0])


class Coverage:
    """Runs queries and asks the grammars of their databases, each of which is made once."""

    def __init__(self, databases: Path, runner: SQLiteRunner):
        self.databases, self.runner = databases, runner
        self.vocabulary = Vocabulary(train_tokenizer(["SELECT name FROM customers"], 300))
        self.grammars: dict[str, tuple[Schema, Constraint]] = {}
        self.results: dict[tuple[str, str], Result] = {}

    def measure(self, cases: list[Case], name: str) -> dict[str, Any]:
        right = accepted = 0
        forms: Counter[str] = Counter()
        refused: dict[str, list[str]] = {}
        with progress(name, len(cases), "queries") as bar:
            for case in cases:
                bar.advance(1)
                if not self.is_right(case):
                    continue
                right += 1
                schema, constraint = self.grammar(case.database)
                sql = self.written(case.predicted, schema)
                data = sql.encode()
                if constraint.accepts([FIRST_BYTE + byte for byte in data]):
                    accepted += 1
                else:
                    form = refused_form(sql, constraint, schema)
                    forms[form] += 1
                    refused.setdefault(form, []).append(sql)
        if not right:
            raise ChakuError(f"{name}: no query of {len(cases)} is right")
        return {
            "queries": len(cases),
            "right": right,
            "accepted": accepted,
            "share": accepted / right,
            "forms": dict(forms.most_common()),
            "refused": {form: queries[:NUM_EXAMPLES] for form, queries in refused.items()},
        }

    def is_right(self, case: Case) -> bool:
        """Whether the prediction returns the gold query's rows, by Spider's official rule."""
        if not database_file(self.databases, case.database).is_file():
            return False
        gold, predicted = remove_distinct(clean(case.gold)), remove_distinct(clean(case.predicted))
        wanted, found = self.run(case.database, gold), self.run(case.database, predicted)
        return wanted.ok and found.ok and same_result(wanted.rows, found.rows, ordered=order_matters(gold))

    def run(self, database: str, sql: str) -> Result:
        key = (database, sql)
        if key not in self.results:
            self.results[key] = self.runner.run(database_file(self.databases, database), sql, max_rows=50_000)
        return self.results[key]

    def grammar(self, database: str) -> tuple[Schema, Constraint]:
        if database not in self.grammars:
            schema = read_sqlite(database_file(self.databases, database), num_values=0)
            self.grammars[database] = schema, Constraint(self.vocabulary, sql_grammar(schema))
        return self.grammars[database]

    def written(self, sql: str, schema: Schema) -> str:
        try:
            return quote_literals(sql.strip(), schema)
        except NotComparable:
            return sql.strip()


def refused_form(sql: str, constraint: Constraint, schema: Schema) -> str:
    """The word at which the grammar stopped and the one before it; names, strings and numbers by their kind."""
    data = sql.encode()
    read = constraint.matcher().try_consume_tokens([FIRST_BYTE + byte for byte in data])
    place = len(data[:read].decode(errors="ignore"))
    words: list[str] = []
    for token in tokenize(sql):
        if token.kind != "space":
            words.append(_kind(token, schema))
        place -= len(token.text)
        if place < 0 and token.kind != "space":
            return " ".join(words[-2:])
    return " ".join(["the end behind", *words[-1:]])


def _kind(token: Token, schema: Schema) -> str:
    if token.kind in ("string", "number"):
        return token.kind
    name = token.text.strip('"`[]').casefold()
    if any(name == table.name.casefold() for table in schema.tables):
        return "table"
    if any(name == column.name.casefold() for table in schema.tables for column in table.columns):
        return "column"
    return token.text.upper() if token.text.lower() in KEYWORDS or token.kind == "operator" else "name"


KEYWORDS = frozenset(
    """select from where group by order having limit offset as join inner left right full outer cross natural using on
    union all intersect except distinct and or not in is null like between exists case when then else end with recursive
    over partition rows range asc desc nulls first last filter cast interval extract count sum avg min max iif substr
    strftime group_concat round true false""".split()  # noqa: SIM905
)


def _show(measured: dict[str, dict[str, Any]]) -> None:
    rows: list[list[object]] = [
        [Path(name).stem, value["queries"], value["right"], value["accepted"], f"{value['share']:.1%}"]
        for name, value in measured.items()
    ]
    show_table("Right queries that the grammar takes", ["", "queries", "right", "taken", "share"], rows)
    forms: Counter[str] = sum((Counter(system["forms"]) for system in measured.values()), Counter())
    shown: list[list[object]] = [[form, number] for form, number in forms.most_common(MAX_SHOWN)]
    show_table("Where it stops", ["words", "queries"], shown)
    say(f"{sum(forms.values())} refused in {len(forms)} forms")


if __name__ == "__main__":
    main()
