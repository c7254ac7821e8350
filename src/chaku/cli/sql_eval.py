"""`chaku sql eval`: a model on published questions."""

import json
from pathlib import Path

import click

from chaku.cli.shared.loading import Loading, loading_options
from chaku.cli.shared.options import PATH, json_option
from chaku.cli.shared.sql_prompting import Prompting, prompting_options
from chaku.cli.shared.verb import verb


@verb(
    "chaku sql eval smollm2-135m-instruct --questions spider/dev.json --limit 100 --out evals/smollm2",
    keeps="with --out",
)
@prompting_options()
@click.option(
    "--questions",
    type=PATH,
    required=True,
    help="Spider's dev.json, Spider-Syn's, BIRD's, plain JSONL; or a folder of $CHAKU_BENCHMARKS: spider.",
)
@click.option(
    "--databases", type=PATH, help="A folder with NAME/NAME.sqlite; without it, the folder beside the questions."
)
@click.option(
    "--tables",
    type=PATH,
    help="A tables.json: keys that the databases lack; without it, the file beside the questions.",
)
@loading_options()
@click.option("--limit", type=int, metavar="N", help="Ask a plain random sample of N questions.")
@click.option(
    "--variants", type=int, default=0, help="Make so many variants of each database, for test-suite EX; 0: none."
)
@click.option("--out", type=PATH, help="Keep predictions and results in this directory; a killed command goes on.")
@json_option("Print the results as JSON.")
def sql_eval(
    prompting: Prompting,
    questions: Path,
    databases: Path | None,
    tables: Path | None,
    loading: Loading,
    limit: int | None,
    variants: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Ask a model published questions, and score its queries by execution accuracy."""
    from chaku.ownership import EVALUATION, make_ours
    from chaku.sql.scoring.benchmark import result_in_lines, run_benchmark
    from chaku.sql.scoring.question_files import find_questions

    if out:
        make_ours(out, EVALUATION)
    found = find_questions(questions, databases, tables)
    asking = prompting.asking
    writer, prompt = prompting.writer(loading)
    result = run_benchmark(
        found,
        writer,
        prompt=prompt,
        asking=asking,
        limit=limit,
        seed=prompting.seed,
        num_variants=variants,
        out=out,
    )
    print(json.dumps(result.plain(), ensure_ascii=False) if as_json else "\n".join(result_in_lines(result)))
