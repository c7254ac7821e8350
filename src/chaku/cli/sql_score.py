"""`chaku sql score`: predicted SQL by the official rules."""

import json
from pathlib import Path

import click

from chaku.cli.shared.options import PATH, seed_option
from chaku.cli.shared.verb import verb


@verb("chaku sql score --gold gold.sql --pred pred.sql --databases spider/database --tables spider/tables.json")
@click.option("--gold", type=PATH, required=True, help="The right queries: a line `SQL<tab>database` each.")
@click.option("--pred", type=PATH, required=True, help="The predicted queries: a line each, or BIRD's JSON.")
@click.option("--databases", type=PATH, required=True, help="A directory with NAME/NAME.sqlite.")
@click.option("--tables", type=PATH, help="Spider's tables.json: the keys that exact set match merges.")
@click.option("--json", "json_file", type=PATH, metavar="OUT", help="Write totals and one row a question here.")
@click.option("--timeout", type=float, default=10.0, metavar="SECONDS", help="Let one query run so long.")
@click.option(
    "--variants", type=int, default=20, help="Make so many variants of each database, for test-suite EX; 0: none."
)
@click.option("--ves-runs", type=int, default=5, help="Time a right query so many times, for R-VES; 0: never.")
@click.option("--processes", type=int, default=2, help="Run so many queries at one time.")
@seed_option("The number that the variants follow from.")
def sql_score(
    gold: Path,
    pred: Path,
    databases: Path,
    tables: Path | None,
    json_file: Path | None,
    timeout: float,
    variants: int,
    ves_runs: int,
    processes: int,
    seed: int,
) -> None:
    """Score predicted SQL by the official rules, and print the totals as JSON."""
    from chaku.console import say
    from chaku.files import write_json
    from chaku.sql.scoring import score as scoring

    questions = scoring.read_questions(gold, pred)
    settings = scoring.ScoreSettings(
        num_processes=processes,
        timeout=timeout,
        num_variants=variants,
        ves_runs=ves_runs,
        seed=seed,
    )
    scores = scoring.score(questions, databases, tables=tables, settings=settings)
    scoring.show_scores(scores)
    unscored = [row for row in scores["rows"] if row["ex"] is None]
    if unscored:
        say(f"{len(unscored)} questions are not scored, the first because {unscored[0]['reason']}")
    if json_file:
        write_json(json_file, scores)
    else:
        print(json.dumps({key: value for key, value in scores.items() if key != "rows"}))
