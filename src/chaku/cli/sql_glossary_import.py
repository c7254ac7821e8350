"""`chaku sql glossary import`: descriptions and metrics from dbt, a CSV file, or the database's comments."""

from pathlib import Path

import click

from chaku.cli.shared.options import PATH
from chaku.cli.shared.sql_asking import database_option, glossary_option
from chaku.cli.shared.sql_glossaries import glossary_file, opened
from chaku.cli.shared.verb import verb


@verb("chaku sql glossary import target/semantic_manifest.json --db shop.sqlite")
@click.argument(
    "file",
    type=PATH,
    required=False,
    help="A manifest.json or semantic_manifest.json of dbt, or a CSV file of names and meanings.",
)
@database_option()
@glossary_option()
@click.option("--comments", is_flag=True, help="Take the comments of the database's tables and columns.")
def sql_glossary_import(file: Path | None, db: str, glossary: Path | None, comments: bool) -> None:
    """Add descriptions and metrics from elsewhere to a glossary; what the glossary says already stays."""
    if (file is None) == (not comments):
        raise click.UsageError("give a file or --comments, one of them")
    from chaku.sql.glossary.check import require_fitting
    from chaku.sql.glossary.dbt import from_dbt
    from chaku.sql.glossary.file import Glossary, load_glossary, write_glossary
    from chaku.sql.glossary.imports import from_comments, from_csv, merge

    with opened(db, glossary) as (database, knowledge):
        path, schema = glossary_file(database, glossary), knowledge.schema
        if file is None:
            imported = from_comments(schema)
        else:
            imported = from_csv(file, schema) if file.suffix.lower() == ".csv" else from_dbt(file, schema)
        before = load_glossary(path) if path.exists() else Glossary()
        merged = merge(before, imported, schema)
        require_fitting(merged.glossary, schema, is_unique=database.is_unique)
        write_glossary(path, merged.glossary)
    for reason in merged.left_out:
        print(f"left out: {reason}")
    tables, metrics = len(imported.glossary.tables), len(merged.glossary.metrics) - len(before.metrics)
    print(f"{path}: words for {tables} tables, {metrics} new metrics, {len(merged.left_out)} left out")
