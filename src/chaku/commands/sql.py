"""`chaku sql`: score predictions."""

import argparse
import json
from pathlib import Path
from typing import Any


def add_commands(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add `sql` and its commands to the command line's verbs."""
    sql = verbs.add_parser("sql", help="questions to SQL").add_subparsers(required=True, metavar="COMMAND")

    scoring = sql.add_parser("score", parents=[common], help="score predicted SQL by the official rules")
    scoring.add_argument("--gold", type=Path, required=True, help="one `SQL<tab>database` a line")
    scoring.add_argument("--pred", type=Path, required=True, help="one SQL a line, or BIRD's JSON")
    scoring.add_argument("--databases", type=Path, required=True, help="a directory with NAME/NAME.sqlite")
    scoring.add_argument("--tables", type=Path, help="Spider's tables.json: the keys that exact set match merges")
    scoring.add_argument("--json", type=Path, metavar="OUT", help="write totals and one row a question here")
    scoring.add_argument("--timeout", type=float, default=10.0, help="seconds of one query (default: 10)")
    scoring.add_argument("--variants", type=int, default=20, help="of each database, for test-suite EX; 0: none")
    scoring.add_argument("--ves-runs", type=int, default=5, help="timed runs of a right query, for R-VES; 0: none")
    scoring.add_argument("--processes", type=int, default=2, help="queries that run at one time (default: 2)")
    scoring.add_argument("--seed", type=int, default=0, help="of the variants")
    scoring.set_defaults(command=_score)


def _score(options: argparse.Namespace) -> None:
    from chaku.console import say
    from chaku.files import write_json
    from chaku.sql.score import ScoreSettings, read_questions, score, show_scores

    questions = read_questions(options.gold, options.pred)
    settings = ScoreSettings(
        num_processes=options.processes,
        timeout=options.timeout,
        num_variants=options.variants,
        ves_runs=options.ves_runs,
        seed=options.seed,
    )
    scores = score(questions, options.databases, tables=options.tables, settings=settings)
    show_scores(scores)
    unscored = [row for row in scores["rows"] if row["ex"] is None]
    if unscored:
        say(f"{len(unscored)} questions are not scored, the first because {unscored[0]['reason']}")
    if options.json:
        write_json(options.json, scores)
    else:
        print(json.dumps({key: value for key, value in scores.items() if key != "rows"}))
