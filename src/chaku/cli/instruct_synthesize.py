"""`chaku instruct synthesize`: questions, tests and solutions that a model writes, judged by running them."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from chaku.cli.shared.contamination import against_option, benchmarks_to_avoid
from chaku.cli.shared.loading import KEY, Loading, loading_options, served_argument
from chaku.cli.shared.options import PATH, at_least_one, json_option, no_sandbox_option, ray_option, seed_option
from chaku.cli.shared.verb import verb
from chaku.cli.shared.writer import writer
from chaku.errors import ChakuError


@verb("chaku instruct synthesize qwen2.5-coder-0.5b-instruct --ledger data.sqlite --max-questions 1000", keeps="always")
@served_argument()
@click.option("--ledger", type=PATH, required=True, help="The SQLite file that holds all that is written and run.")
@click.option("--endpoint", metavar="URL", help=f"Ask an OpenAI-compatible server; {KEY}.")
@click.option(
    "--chat", is_flag=True, help="Prompt the model through its chat template; with --endpoint, use its chat API."
)
@click.option(
    "--questions", type=PATH, metavar="FILE", help="Questions of your own: lines, or JSON lines with question, tests."
)
@click.option("--seeds", type=PATH, metavar="FILE", help="Lines to be inspired by, one a prompt.")
@click.option(
    "--inspire", type=PATH, metavar="CORPUS", help="Draw lines of this corpus, and ask for a question on each."
)
@click.option("--prompts", type=PATH, metavar="FILE", help="TOML with templates for questions, tests, solutions.")
@click.option("--max-questions", type=int, default=1000, callback=at_least_one, help="Stop after so many questions.")
@click.option("--max-tokens", type=int, help="Ask nothing new when all answers together have so many tokens.")
@click.option(
    "--num-solutions", type=int, default=10, callback=at_least_one, help="Write so many solutions of each question."
)
@click.option(
    "--corrections", type=int, default=0, metavar="N", help="Where all fail, let the model correct the best, N times."
)
@click.option("--temperature", type=float, default=0.8, help="Sample at this temperature; 0 is greedy.")
@click.option(
    "--top-p", type=float, default=0.95, help="Sample from the likeliest tokens whose probabilities sum to this."
)
@click.option(
    "--max-tokens-each",
    type=int,
    default=512,
    callback=at_least_one,
    help="Write at most so many tokens a reply with tests or a solution.",
)
@seed_option()
@click.option(
    "--near-duplicates",
    type=float,
    default=0.7,
    metavar="J",
    help="Drop a question whose word triples have this Jaccard similarity with those of another.",
)
@click.option("--no-mutants", is_flag=True, help="Do not ask that tests kill the solution's mutants.")
@click.option("--timeout", type=float, default=3.0, metavar="SECONDS", help="Let a program use so much CPU time.")
@click.option("--memory", type=int, default=1024, metavar="MB", help="Let a program use so much memory.")
@click.option("--workers", type=int, metavar="N", help="Run so many programs at a time; without it, one a core.")
@loading_options()
@against_option()
@ray_option()
@no_sandbox_option()
@json_option("Print a summary as JSON.")
def instruct_synthesize(
    model: str,
    ledger: Path,
    endpoint: str | None,
    chat: bool,
    questions: Path | None,
    seeds: Path | None,
    inspire: Path | None,
    prompts: Path | None,
    max_questions: int,
    max_tokens: int | None,
    num_solutions: int,
    corrections: int,
    temperature: float,
    top_p: float,
    max_tokens_each: int,
    seed: int,
    near_duplicates: float,
    no_mutants: bool,
    timeout: float,
    memory: int,
    workers: int | None,
    loading: Loading,
    against: tuple[str, ...],
    unsafe_no_sandbox: bool,
    as_json: bool,
) -> None:
    """Write questions, tests and solutions, and keep the solutions that pass; go on where a ledger stopped."""
    from chaku.instruct.inspire import draw_snippets
    from chaku.instruct.prompts import Prompts, load_prompts
    from chaku.instruct.questions import read_file, read_seeds
    from chaku.instruct.synthesize import Bounds, show_funnel, synthesize
    from chaku.instruct.triples import Settings

    if sum(map(bool, (questions, seeds, inspire))) > 1:
        raise ChakuError("give one of --questions, --seeds and --inspire: each says where the questions come from")
    if corrections < 0:
        raise ChakuError(f"--corrections is {corrections}; it must be 0 or more")
    templates = load_prompts(prompts) if prompts else Prompts()
    settings = Settings(
        templates, num_solutions, temperature, top_p, max_tokens_each, seed, not no_mutants, corrections
    )
    bounds = Bounds(max_questions, max_tokens, timeout, memory, workers, not unsafe_no_sandbox)
    summary = synthesize(
        ledger,
        writer(model, endpoint, chat, loading),
        settings,
        bounds,
        questions=read_file(questions) if questions else None,
        seeds=[text for _, text in read_seeds(seeds)] if seeds else (),
        snippets=draw_snippets(inspire, max_questions, seed) if inspire else (),
        benchmarks=benchmarks_to_avoid(against),
        near_duplicates=near_duplicates,
    )
    show_funnel(summary.funnel)
    if as_json:
        print(json.dumps(asdict(summary)))
