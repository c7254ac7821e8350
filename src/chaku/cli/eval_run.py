"""`chaku eval run`: a model on benchmarks, or on held-out documents."""

from pathlib import Path

import click

from chaku.cli.eval_score import OUT, PROBLEMS
from chaku.cli.shared.judging import Judging, judging_options, show_result
from chaku.cli.shared.loading import KEY, Loading, loading_options, served_argument
from chaku.cli.shared.names import Named, measures
from chaku.cli.shared.options import PATH, json_option, ray_option, seed_option, warn_if_alike
from chaku.cli.shared.several_values import Several
from chaku.cli.shared.verb import verb


@verb("chaku eval run qwen2.5-coder-0.5b-instruct --benchmark humaneval mbpp --k 1 --out results", keeps="with --out")
@served_argument()
@click.option(
    "--benchmark",
    cls=Several,
    type=Named(measures),
    takes=lambda word: word in measures(),
    names=measures,
    required=True,
    metavar="NAME...",
    help="Names that `chaku eval list` shows; several may follow each other. "
    "A model directory that has a benchmark's name stands before it, or is written ./NAME.",
)
@click.option("--problems", type=PATH, help=PROBLEMS)
@click.option("--endpoint", metavar="URL", help=f"Ask an OpenAI-compatible server; {KEY}.")
@click.option("--chat", is_flag=True, help="Ask as a chat model is asked: a message, and a reply with the program.")
@click.option("--temperature", type=float, default=0.0, help="Sample at this temperature; 0 is greedy.")
@click.option(
    "--top-p", type=float, default=1.0, help="Sample from the likeliest tokens whose probabilities sum to this."
)
@click.option("--num-samples", type=int, default=1, help="Write so many samples of each problem.")
@seed_option()
@click.option(
    "--max-tokens", type=int, help="Write at most so many tokens a sample; without it, as the benchmark says."
)
@click.option("--max-prompt-tokens", type=int, metavar="N", help="Ask only the last N tokens of a longer prompt.")
@click.option("--limit", type=int, metavar="N", help="Take the first N problems only.")
@loading_options(quantize="Measure a second time with weights in 8 or 4 bits.")
@click.option("--corpus", type=PATH, help="A built corpus, for the held-out measures.")
@click.option(
    "--training-length",
    type=int,
    help="The tokens of a training sequence, for the held-out measures; without it, as the model says.",
)
@judging_options()
@ray_option()
@click.option("--out", type=PATH, help=OUT)
@json_option("Print a line of JSON a benchmark.")
def eval_run(
    model: str,
    benchmark: tuple[str, ...],
    problems: Path | None,
    endpoint: str | None,
    chat: bool,
    temperature: float,
    top_p: float,
    num_samples: int,
    seed: int,
    max_tokens: int | None,
    max_prompt_tokens: int | None,
    limit: int | None,
    loading: Loading,
    corpus: Path | None,
    training_length: int | None,
    judging: Judging,
    out: Path | None,
    as_json: bool,
) -> None:
    """Measure a model: generate samples and score them, or score held-out documents."""
    from chaku.evals.command import EvalRun, run_benchmarks
    from chaku.evals.generate import Sampling

    if endpoint:
        loading.refuse()
    asked = EvalRun(
        model=model,
        benchmarks=tuple(dict.fromkeys(benchmark)),
        endpoint=endpoint,
        problems=problems,
        limit=limit,
        quantize=loading.quantize,
        loading=loading.for_engine(),
        corpus=corpus,
        training_length=training_length,
        chat=chat,
        sampling=Sampling(
            temperature=temperature,
            top_p=top_p,
            num_samples=num_samples,
            max_prompt_tokens=max_prompt_tokens,
            seed=seed,
            max_tokens=max_tokens,
        ),
        scoring=judging.scoring(),
        out=out,
    )
    warn_if_alike(num_samples, temperature)
    for result in run_benchmarks(asked):
        show_result(result, as_json)
