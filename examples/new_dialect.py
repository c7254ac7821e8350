"""A new SQL dialect: describe it once, and the grammar, the check and the prompts follow.

    python examples/new_dialect.py

Describes Amazon Athena, which is Trino behind another address, asks which queries its grammar takes and which its
check refuses, and runs the taken ones on a shop in SQLite by sqlglot's translation, so that no account is needed. For
a description that stays, see "Add a database engine" in CONTRIBUTING.md. Takes seconds; no model.
"""

import argparse
import sqlite3
import tempfile
from dataclasses import replace
from pathlib import Path

import sqlglot

from chaku.inference.constraints import Constraint, Vocabulary
from chaku.sql.ask.grammar import sql_grammar
from chaku.sql.engines.known import ENGINES
from chaku.sql.engines.trino import TRINO
from chaku.sql.execute.check import check
from chaku.sql.execute.read_only import Refused, check_read_only
from chaku.sql.schema.definition import Schema, read_sqlite
from chaku.synthetic.shop import write_database
from chaku.tokens.tokenizer_training import train_tokenizer

DIALECT = "athena"
ATHENA = replace(TRINO, dialect=DIALECT, title="Amazon Athena", schemes=("athena",), extra="athena", connect={})
QUERIES = (
    "SELECT count(*) FROM customer WHERE country = 'Peru'",
    "SELECT country, count(*) FROM customer GROUP BY country ORDER BY count(*) DESC LIMIT 3",
    "SELECT year(day), sum(amount) FROM purchase GROUP BY year(day) ORDER BY year(day)",
    "SELECT nickname FROM customer",  # no such column
    "DELETE FROM customer",
    "SELECT * FROM TABLE(system.query(query => 'DROP TABLE customer'))",  # Trino's way around a SELECT
)
FIRST_BYTE = 3  # the id of byte 0 in a tokenizer that knows bytes alone, behind its special tokens


def why_not(query: str, schema: Schema) -> str:
    """Why the query may not run; nothing for one that may."""
    try:
        check_read_only(query, DIALECT)  # type: ignore[arg-type]
    except Refused as refused:
        return str(refused)
    problems = check(query, schema)
    return problems[0].message if problems else ""


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    ENGINES[DIALECT] = ATHENA  # type: ignore[index]
    with tempfile.TemporaryDirectory() as folder:
        shop = Path(folder) / "shop.sqlite"
        write_database(shop)
        schema = replace(read_sqlite(shop), dialect=DIALECT)  # type: ignore[arg-type]
        constraint = Constraint(Vocabulary(train_tokenizer(["SELECT name FROM customers"], 300)), sql_grammar(schema))
        for query in QUERIES:
            taken = constraint.accepts([FIRST_BYTE + byte for byte in query.encode()])
            problem = why_not(query, schema)
            print(f"\n{query}\n  grammar: {'takes it' if taken else 'refuses it'}")
            print(f"  check:   {problem or 'passes'}")
            if taken and not problem:
                [translated] = sqlglot.transpile(query, read="athena", write="sqlite")
                try:
                    print(f"  rows:    {sqlite3.connect(shop).execute(translated).fetchall()[:3]}")
                except sqlite3.Error as error:
                    print(f"  SQLite:  {error}")


if __name__ == "__main__":
    main()
