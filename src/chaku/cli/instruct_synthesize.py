"""`chaku instruct`: synthesize, verify, export. Parses, calls, prints; no logic."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chaku.cli.loading import SERVED, add_loading, load, refuse_loading
from chaku.errors import ChakuError

if TYPE_CHECKING:
    from chaku.inference.generator import Generator
    from chaku.instruct.contamination import Contamination


def add_commands(verbs: "argparse._SubParsersAction[Any]", common: argparse.ArgumentParser) -> None:
    """The verbs under `chaku instruct`."""
    instruct = verbs.add_parser("instruct", help="instruction data made and judged by running code")
    commands = instruct.add_subparsers(required=True, metavar="COMMAND")

    make = commands.add_parser(
        "synthesize", parents=[common], help="questions, tests, solutions; what passes is kept. Goes on where it was"
    )
    make.add_argument("model", help=SERVED)
    make.add_argument("--ledger", type=Path, required=True, help="the SQLite file that all goes into")
    make.add_argument("--endpoint", metavar="URL", help="ask an OpenAI-compatible server; its key is $OPENAI_API_KEY")
    make.add_argument("--chat", action="store_true", help="with --endpoint: its chat API in place of completions")
    make.add_argument("--questions", type=Path, metavar="FILE", help="lines, or JSON lines with question, tests")
    make.add_argument("--seeds", type=Path, metavar="FILE", help="lines to be inspired by, one a prompt")
    make.add_argument("--prompts", type=Path, metavar="FILE", help="TOML with questions, tests, solution templates")
    make.add_argument("--max-questions", type=int, default=1000)
    make.add_argument("--max-tokens", type=int, help="of all answers together; then nothing new is asked")
    make.add_argument("--num-solutions", type=int, default=10, help="of each question")
    make.add_argument("--temperature", type=float, default=0.8)
    make.add_argument("--top-p", type=float, default=0.95)
    make.add_argument("--max-tokens-each", type=int, default=512, help="of a reply with tests or a solution")
    make.add_argument("--seed", type=int, default=0)
    make.add_argument(
        "--near-duplicates", type=float, default=0.7, metavar="J", help="Jaccard similarity of word triples"
    )
    make.add_argument("--no-mutants", action="store_true", help="do not ask that tests kill the solution's mutants")
    make.add_argument("--timeout", type=float, default=3.0, metavar="S", help="CPU seconds of a program")
    make.add_argument("--memory", type=int, default=1024, metavar="MB", help="of a program")
    make.add_argument("--workers", type=int, metavar="N", help="programs at a time (default: one a core)")
    add_loading(make)
    _add_common(make)
    make.set_defaults(command=_synthesize)

    check = commands.add_parser("verify", parents=[common], help="check a ledger's evidence, run a sample of it again")
    check.add_argument("ledger", type=Path)
    check.add_argument("--sample", type=int, default=100, help="runs to run again")
    check.add_argument("--seed", type=int, default=0)
    check.add_argument("--json", action="store_true")
    check.set_defaults(command=_verify)

    give = commands.add_parser("export", parents=[common], help="write conversations, preference pairs, a data card")
    give.add_argument("ledger", type=Path)
    give.add_argument("--out", type=Path, required=True)
    give.add_argument("--form", choices=["fenced", "plain"], default="fenced", help="of the code in an answer")
    _add_common(give)
    give.set_defaults(command=_export)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--against", action="append", metavar="BENCHMARK", help="check for its problems (default: those that are here)"
    )
    parser.add_argument("--unsafe-no-sandbox", action="store_true", help="run programs with your rights; recorded")
    parser.add_argument("--json", action="store_true")


def _synthesize(options: argparse.Namespace) -> None:
    from chaku.instruct.prompts import Prompts, load_prompts
    from chaku.instruct.questions import read_file, read_seeds
    from chaku.instruct.synthesize import Bounds, show_funnel, synthesize
    from chaku.instruct.triples import Settings

    if options.questions and options.seeds:
        raise ChakuError("give --questions or --seeds: with questions of your own there is nothing to be inspired for")
    for name in ("max_questions", "num_solutions", "max_tokens_each"):
        if getattr(options, name) < 1:
            raise ChakuError(f"--{name.replace('_', '-')} is {getattr(options, name)}; it must be at least 1")
    settings = Settings(
        load_prompts(options.prompts) if options.prompts else Prompts(),
        options.num_solutions,
        options.temperature,
        options.top_p,
        options.max_tokens_each,
        options.seed,
        not options.no_mutants,
    )
    bounds = Bounds(
        options.max_questions,
        options.max_tokens,
        options.timeout,
        options.memory,
        options.workers,
        not options.unsafe_no_sandbox,
    )
    summary = synthesize(
        options.ledger,
        _generator(options),
        settings,
        bounds,
        questions=read_file(options.questions) if options.questions else None,
        seeds=[text for _, text in read_seeds(options.seeds)] if options.seeds else (),
        benchmarks=_benchmarks(options.against),
        near_duplicates=options.near_duplicates,
    )
    show_funnel(summary.funnel)
    if options.json:
        print(json.dumps(asdict(summary)))


def _generator(options: argparse.Namespace) -> "Generator":
    if options.endpoint:
        from chaku.inference.endpoint import Endpoint

        refuse_loading(options)
        return Endpoint(options.endpoint, options.model, options.chat)
    if options.chat:
        raise ChakuError("--chat is for an --endpoint; a checkpoint here completes texts")
    return load(options).generator


def _benchmarks(names: list[str] | None) -> "Contamination":
    """The named benchmarks, or without names those of the default whose files are here; what is left out is said."""
    from chaku.instruct.contamination import Contamination, available, load_problems

    return Contamination(load_problems(names)) if names else available()


def _verify(options: argparse.Namespace) -> None:
    from chaku.instruct.ledger import Ledger
    from chaku.instruct.verify import verify

    with Ledger(_existing(options.ledger)) as ledger:
        report = verify(ledger, options.sample, options.seed)
    if options.json:
        print(json.dumps(asdict(report)))
    else:
        print(f"{report.num_kept} triples are kept; {report.num_replayed} of {report.num_runs} runs were run again")
    if not report.problems and not options.json:
        print("every key, every triple's evidence and every repeated verdict is as the ledger says")
    if report.problems:
        shown = "\n  ".join(report.problems[:20])
        raise ChakuError(f"{options.ledger} does not hold: {len(report.problems)} problems\n  {shown}")


def _export(options: argparse.Namespace) -> None:
    from chaku.instruct.export import export
    from chaku.instruct.ledger import Ledger
    from chaku.ownership import make_ours

    with Ledger(_existing(options.ledger)) as ledger:
        make_ours(options.out, "data set")
        counts = export(
            ledger,
            options.out,
            _benchmarks(options.against),
            form=options.form,
            isolated=not options.unsafe_no_sandbox,
        )
    words = (
        f"{counts['triples']} conversations, {counts['pairs']} pairs in {options.out}; {counts['left_out']} left out"
    )
    print(json.dumps(counts) if options.json else words)


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise ChakuError(f"{path} does not exist; `chaku instruct synthesize --ledger {path}` makes it")
    return path
