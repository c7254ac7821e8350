"""`chaku eval`: list, run, score, compare. Parses, calls, prints; no logic."""

import argparse
import json
from pathlib import Path
from typing import Any

from chaku.cli.loading import SERVED, add_loading, loading, refuse_loading


def add_commands(evaluating: "argparse._SubParsersAction[Any]", common: argparse.ArgumentParser) -> None:
    """The verbs under `chaku eval`."""
    listing = evaluating.add_parser("list", parents=[common], help="the benchmarks, and whether their data is here")
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(command=_list)

    run = evaluating.add_parser(
        "run", parents=[common], help="measure a model: generate and score, or held-out measures"
    )
    run.add_argument("model", help=SERVED)
    run.add_argument("--benchmark", action="append", required=True, help="may be given several times")
    run.add_argument("--problems", type=Path, help="a file in the benchmark's format, in place of $CHAKU_BENCHMARKS's")
    run.add_argument("--endpoint", metavar="URL", help="ask an OpenAI-compatible server; its key is $OPENAI_API_KEY")
    run.add_argument("--chat", action="store_true", help="ask as a chat model: a message, and a reply with the program")
    run.add_argument("--temperature", type=float, default=0.0, help="0 is greedy")
    run.add_argument("--top-p", type=float, default=1.0)
    run.add_argument("--num-samples", type=int, default=1, help="of each problem")
    run.add_argument("--seed", type=int, default=0)
    run.add_argument("--max-tokens", type=int, help="of a sample (default: the benchmark's)")
    run.add_argument("--max-prompt-tokens", type=int, metavar="N", help="of a longer prompt, ask its end only")
    run.add_argument("--limit", type=int, metavar="N", help="the first N problems only")
    add_loading(run, quantize="measure a second time with quantised weights")
    run.add_argument("--corpus", type=Path, help="a built corpus, for the held-out measures")
    run.add_argument("--training-length", type=int, help="tokens of a training sequence (default: the model's)")
    _add_scoring(run)
    run.set_defaults(command=_run)

    score = evaluating.add_parser("score", parents=[common], help="score anybody's samples")
    score.add_argument("--benchmark", required=True)
    score.add_argument("--samples", type=Path, required=True, help="a file or folder; see docs/evals.md")
    score.add_argument(
        "--problems", type=Path, help="a file in the benchmark's format, in place of $CHAKU_BENCHMARKS's"
    )
    score.add_argument(
        "--extract", action="store_true", help="the samples are a chat model's replies: take the programs out of them"
    )
    score.add_argument(
        "--partial", action="store_true", help="leave out problems without a sample, and samples without a problem"
    )
    _add_scoring(score)
    score.set_defaults(command=_score)

    compare = evaluating.add_parser("compare", parents=[common], help="two results side by side, with significance")
    compare.add_argument("a", type=Path, help="a directory that `chaku eval` wrote, or its results.json")
    compare.add_argument("b", type=Path)
    compare.add_argument("--anyway", action="store_true", help="also where they were not measured alike")
    compare.add_argument("--json", action="store_true")
    compare.set_defaults(command=_compare)


def _add_scoring(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--k", type=int, nargs="+", metavar="K", help="of pass@k (default: those of 1, 10, 100 possible)"
    )
    parser.add_argument(
        "--timeout", type=float, metavar="S", help="least CPU seconds of a program (default: the benchmark's)"
    )
    parser.add_argument("--since", metavar="DAY", help="problems published on YYYY-MM-DD or later (livecodebench)")
    parser.add_argument("--until", metavar="DAY", help="problems published on YYYY-MM-DD or earlier")
    parser.add_argument("--exclude", nargs="+", default=[], metavar="ID", help="problems to leave out; recorded")
    parser.add_argument("--memory", type=int, metavar="MB", help="of a program (default: the benchmark's)")
    parser.add_argument("--workers", type=int, metavar="N", help="programs at a time (default: one a core)")
    parser.add_argument("--unsafe-no-sandbox", action="store_true", help="run programs with your rights; recorded")
    parser.add_argument("--out", type=Path, help="keep results and samples here; a killed command goes on from them")
    parser.add_argument("--json", action="store_true")


def _list(options: argparse.Namespace) -> None:
    from chaku.evals.listing import list_benchmarks, listing_in_lines

    if options.json:
        print(json.dumps(list(list_benchmarks()), ensure_ascii=False))
        return
    for line in listing_in_lines():
        print(line)


def _run(options: argparse.Namespace) -> None:
    from chaku.evals.command import EvalRun, run_benchmarks
    from chaku.evals.generate import Sampling
    from chaku.ownership import EVALUATION, make_ours

    if options.out:
        make_ours(options.out, EVALUATION)
    if options.endpoint:
        refuse_loading(options)
    asked = EvalRun(
        model=options.model,
        benchmarks=tuple(dict.fromkeys(options.benchmark)),
        endpoint=options.endpoint,
        problems=options.problems,
        limit=options.limit,
        quantize=options.quantize,
        loading=loading(options),
        corpus=options.corpus,
        training_length=options.training_length,
        chat=options.chat,
        sampling=Sampling(
            temperature=options.temperature,
            top_p=options.top_p,
            num_samples=options.num_samples,
            max_prompt_tokens=options.max_prompt_tokens,
            seed=options.seed,
            max_tokens=options.max_tokens,
        ),
        scoring=_scoring(options),
        out=options.out,
    )
    for result in run_benchmarks(asked):
        _show(result, options.json)


def _score(options: argparse.Namespace) -> None:
    from chaku.evals.run import score_file
    from chaku.evals.suite import BENCHMARKS, find_benchmark
    from chaku.ownership import EVALUATION, make_ours

    benchmark = find_benchmark(options.benchmark)
    if options.extract:
        from chaku.evals.chat import in_chat

        benchmark = in_chat(benchmark, BENCHMARKS)
    scoring = _scoring(options)
    if options.out:
        make_ours(options.out, EVALUATION)
    result = score_file(benchmark, options.samples, options.out, problems=options.problems, scoring=scoring)
    _show(result, options.json)


def _scoring(options: argparse.Namespace) -> Any:
    from chaku.evals.score import Scoring

    return Scoring(
        ks=tuple(options.k) if options.k else None,
        timeout=options.timeout,
        memory_mb=options.memory,
        num_workers=options.workers,
        isolated=not options.unsafe_no_sandbox,
        partial=getattr(options, "partial", False),
        since=options.since,
        until=options.until,
        exclude=tuple(options.exclude),
    )


def _show(result: dict[str, Any], as_json: bool) -> None:
    from chaku.evals.in_words import result_in_lines

    if as_json:
        print(json.dumps(result, ensure_ascii=False))
    elif "pass_at_k" in result:
        print("\n".join(result_in_lines(result)))
    else:
        print(json.dumps(result, indent=2, ensure_ascii=False))


def _compare(options: argparse.Namespace) -> None:
    from chaku.evals.compare import compare, read_scored
    from chaku.evals.in_words import comparison_in_lines

    comparison = compare(read_scored(options.a), read_scored(options.b), anyway=options.anyway)
    print(json.dumps(comparison) if options.json else "\n".join(comparison_in_lines(comparison)))
