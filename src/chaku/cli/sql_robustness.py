"""`chaku sql robustness`: where a model's answers break when the questions change."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import click

from chaku.cli.shared.loading import Loading, loading_options
from chaku.cli.shared.options import PATH, json_option
from chaku.cli.shared.several_values import Several
from chaku.cli.shared.sql_prompting import Prompting, prompting_options
from chaku.cli.shared.verb import verb


@verb(
    "chaku sql robustness smollm2-135m-instruct --questions spider spider-syn bird --limit 100 --out evals/broken",
    keeps="always",
)
@prompting_options()
@click.option(
    "--questions",
    cls=Several,
    type=PATH,
    required=True,
    help="Files of questions as for `chaku sql eval`. The first is asked with all changes too. A further file with the "
    "same gold queries, such as Spider-Syn, is compared with the first question by question; so is a .tsv file of "
    "translations, with lines NUMBER<tab>TEXT: the number of a question in the first file, from 0, and other words.",
)
@click.option(
    "--change",
    "changes",
    cls=Several,
    type=click.Choice(["typos", "paraphrases", "none"]),
    default=("typos", "paraphrases"),
    help="Ask the first file's questions with typing errors, or in other words; none: only the files as they are.",
)
@click.option("--databases", type=PATH, help="A folder with NAME/NAME.sqlite; without it, the folder beside each file.")
@loading_options()
@click.option("--limit", type=int, metavar="N", help="Ask a plain random sample of N questions of each file.")
@click.option("--variants", type=int, default=20, help="Make so many variants of each database; 0: none.")
@click.option("--out", type=PATH, required=True, help="Keep everything in this directory; a killed command goes on.")
@json_option("Print the figures as JSON.")
def sql_robustness(
    prompting: Prompting,
    questions: tuple[Path, ...],
    changes: tuple[Literal["typos", "paraphrases", "none"], ...],
    databases: Path | None,
    loading: Loading,
    limit: int | None,
    variants: int,
    out: Path,
    as_json: bool,
) -> None:
    """Ask a model the same questions in other ways, and report where its answers break, the worst first."""
    from chaku.ownership import EVALUATION, make_ours
    from chaku.sql.scoring.breakage import in_lines
    from chaku.sql.scoring.question_files import find_questions
    from chaku.sql.scoring.robustness import read_paired, run_robustness, suites

    make_ours(out, EVALUATION)
    first = find_questions(questions[0], databases)
    others = [read_paired(path, first, databases) for path in questions[1:]]
    wanted = [change for change in ("typos", "paraphrases") if change in changes]
    asked = suites(first, others, wanted, limit, prompting.seed)
    asking = prompting.asking
    writer, prompt = prompting.writer(loading)
    figures = run_robustness(
        asked, writer, out, prompt=prompt, asking=asking, seed=prompting.seed, num_variants=variants
    )
    print(json.dumps([asdict(row) for row in figures], ensure_ascii=False) if as_json else "\n".join(in_lines(figures)))
