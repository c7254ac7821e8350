"""`chaku eval score`: anybody's samples, judged."""

from pathlib import Path

import click

from chaku.cli.shared.judging import Judging, judging_options, show_result
from chaku.cli.shared.names import Named, benchmarks
from chaku.cli.shared.options import PATH, json_option, ray_option
from chaku.cli.shared.verb import verb

PROBLEMS = "Read the problems from this file in the benchmark's format, in place of the one in $CHAKU_BENCHMARKS."
OUT = "Keep results and samples in this directory; a killed command goes on from them."


@verb("chaku eval score --benchmark humaneval --samples samples.jsonl --k 1 10 --out results", keeps="with --out")
@click.option("--benchmark", type=Named(benchmarks), required=True, help="A name that `chaku eval list` shows.")
@click.option("--samples", type=PATH, required=True, help="The samples: a file or folder; see docs/evals.md.")
@click.option("--problems", type=PATH, help=PROBLEMS)
@click.option("--extract", is_flag=True, help="Take the programs out of the samples, which are a chat model's replies.")
@click.option("--partial", is_flag=True, help="Leave out problems without a sample, and samples without a problem.")
@judging_options()
@ray_option()
@click.option("--out", type=PATH, help=OUT)
@json_option()
def eval_score(
    benchmark: str,
    samples: Path,
    problems: Path | None,
    extract: bool,
    partial: bool,
    judging: Judging,
    out: Path | None,
    as_json: bool,
) -> None:
    """Score samples, whoever wrote them, by running them in the sandbox."""
    from chaku import api

    scoring = judging.scoring(partial)
    result = api.score(benchmark, samples, out=out, problems=problems, extract=extract, scoring=scoring)
    show_result(result, as_json)
