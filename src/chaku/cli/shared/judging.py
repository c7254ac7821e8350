"""The options of `eval run` and `eval score` that say how samples are judged, and how a result is printed."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from chaku.cli.shared.options import Decorator, gathered, no_sandbox_option
from chaku.cli.shared.several_values import Several, is_integer

if TYPE_CHECKING:
    from chaku.evals.score import Scoring
    from chaku.results import EvalResult


@dataclass(frozen=True)
class Judging:
    """The options as they were given."""

    k: tuple[int, ...]
    timeout: float | None
    since: str | None
    until: str | None
    exclude: tuple[str, ...]
    memory: int | None
    workers: int | None
    unsafe_no_sandbox: bool

    def scoring(self, partial: bool = False) -> "Scoring":
        """The options as `score_samples` takes them; `partial`: samples and problems need not match."""
        from chaku.evals.score import Scoring

        return Scoring(
            ks=self.k or None,
            timeout=self.timeout,
            memory_mb=self.memory,
            num_workers=self.workers,
            isolated=not self.unsafe_no_sandbox,
            partial=partial,
            since=self.since,
            until=self.until,
            exclude=self.exclude,
        )


def judging_options() -> Decorator:
    """The options, in the parameter `judging`."""
    return gathered(
        "judging",
        Judging,
        click.option(
            "--k",
            cls=Several,
            type=int,
            takes=is_integer,
            metavar="K...",
            help="Report pass@k for these k, as in --k 1 10; without it, for those of 1, 10, 100 that are possible.",
        ),
        click.option(
            "--timeout",
            type=float,
            metavar="SECONDS",
            help="Let a program use at least so much CPU time; without it, as the benchmark says.",
        ),
        click.option("--since", metavar="DAY", help="Take problems published on YYYY-MM-DD or later (livecodebench)."),
        click.option("--until", metavar="DAY", help="Take problems published on YYYY-MM-DD or earlier."),
        click.option(
            "--exclude",
            cls=Several,
            metavar="ID...",
            help="Leave these problems out; results record it. Arguments stand before it, or after --.",
        ),
        click.option(
            "--memory",
            type=int,
            metavar="MB",
            help="Let a program use so much memory; without it, as the benchmark says.",
        ),
        click.option(
            "--workers", type=int, metavar="N", help="Run so many programs at a time; without it, one a core."
        ),
        no_sandbox_option(),
    )


def show_result(result: "EvalResult", as_json: bool) -> None:
    """Print a result: in words where it is a score, else as JSON."""
    from chaku.evals.in_words import result_in_lines
    from chaku.results import BenchmarkResult

    if isinstance(result, BenchmarkResult) and not as_json:
        print("\n".join(result_in_lines(result)))
    else:
        print(json.dumps(result.plain(), indent=None if as_json else 2, ensure_ascii=False))
