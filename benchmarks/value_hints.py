"""How often the values that a question is taken to name are those of the gold query, on Spider's dev questions.

    CHAKU_BENCHMARKS=... python benchmarks/value_hints.py --out hints.json

Precision: of the hints, how many stand in the gold query as a literal. Recall: of the literals in gold queries that are
values of the database, how many are hinted. `best`: of the hint with the highest score alone. By how a phrase and a
value were matched, too.
"""

import argparse
import os
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from chaku.console import progress, show_table
from chaku.errors import ChakuError
from chaku.files import write_json
from chaku.sql.execute.database import Database
from chaku.sql.execute.lexer import tokenize
from chaku.sql.schema.definition import database_file, read_sqlite
from chaku.sql.schema.values import CODE, Match, ValueIndex
from chaku.sql.schema.words import normalize
from chaku.sql.scoring.datasets import read_examples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    options = parser.parse_args()
    folder = os.environ.get("CHAKU_BENCHMARKS")
    if not folder:
        raise ChakuError("set CHAKU_BENCHMARKS to the folder with spider/")
    figures = measure(Path(folder) / "spider")
    columns = ["", "hints", "right", "precision"]
    rows: list[list[object]] = [[name, *counts] for name, counts in figures["by_kind"].items()]
    show_table(f"Values of {figures['questions']} questions; recall {figures['recall']:.1%}", columns, rows)
    if options.out:
        write_json(options.out, figures)


def measure(spider: Path) -> dict[str, Any]:
    databases = spider / "database"
    examples = read_examples(spider / "dev.json")
    examples = [question for question in examples if database_file(databases, question.database).is_file()]
    indices: dict[str, ValueIndex] = {}
    counts: dict[str, Counter[bool]] = defaultdict(Counter)
    found_literals = all_literals = 0
    with progress("questions", len(examples), "questions") as bar:
        for example in examples:
            if example.database not in indices:
                path = database_file(databases, example.database)
                with Database(str(path)) as database:
                    indices[example.database] = ValueIndex.build(database, read_sqlite(path))
            index = indices[example.database]
            gold = _literals(example.query)
            matches = index.find(example.question)
            for number, match in enumerate(matches):
                right = match.value.casefold() in gold
                for kind in ("all", _kind(match), *(["best"] if number == 0 else [])):
                    counts[kind][right] += 1
            known = {literal for literal in gold if normalize(literal) in index.places}
            all_literals += len(known)
            found_literals += len(known & {match.value.casefold() for match in matches})
            bar.advance(1)
    return {
        "questions": len(examples),
        "recall": found_literals / all_literals,
        "literals": all_literals,
        "by_kind": {
            kind: [count.total(), count[True], count[True] / count.total()] for kind, count in sorted(counts.items())
        },
    }


def _literals(query: str) -> set[str]:
    """The text literals of a query, without quotes and case."""
    tokens = tokenize(query)
    return {token.text[1:-1].casefold().strip("%") for token in tokens if token.text[:1] in ("'", '"')}


def _kind(match: Match) -> str:
    short = len(normalize(match.value).replace(" ", "")) <= 3
    if normalize(match.value) == match.phrase:
        return "the same words, up to 3 letters" if short else "the same words"
    if match.score == CODE:
        return "initials of the value"
    return "singulars, small words" if match.score >= 0.97 else "a near spelling"


if __name__ == "__main__":
    main()
