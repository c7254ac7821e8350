"""Scores samples: runs the reference solutions, then every sample, then writes `results.json` and `samples.jsonl`."""

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from chaku.console import say
from chaku.errors import ChakuError
from chaku.evals.benchmark import Benchmark, Judgement, Task, tasks_sha256
from chaku.evals.judging import Judge, Limits, check_machine, check_references, check_wrong
from chaku.evals.pass_at_k import pass_at_k_by_problem
from chaku.evals.samples import Sample, choose_tasks
from chaku.files import sha256_json
from chaku.intervals import score_interval
from chaku.jsonl import write_lines
from chaku.manifest import versions
from chaku.results import BenchmarkResult, GroupScore
from chaku.sandbox.languages import toolchains

FENCE = "```"
SYNTAX_ERRORS = ("syntaxerror", "indentationerror", "taberror", "parseerror")
DEFAULT_KS = (1, 10, 100)
JOURNAL = ".verdicts.jsonl"  # the judgements of an unfinished scoring
ISOLATED = "sandbox"
NOT_ISOLATED = "none: --unsafe-no-sandbox"
# The manifest's fields that are unknown for samples from a file.
UNKNOWN = dict.fromkeys(
    ("model_sha256", "prompt_form", "stops", "max_tokens", "temperature", "top_p", "num_samples", "seed", "healing"),
    None,
)


@dataclass(frozen=True)
class Scoring:
    """The options of scoring; None: the benchmark's own value. `partial`: leave out problems without samples.

    `since` and `until`: take only problems published from and to these days, YYYY-MM-DD. `exclude`: ids of problems to
    leave out.
    """

    ks: tuple[int, ...] | None = None
    timeout: float | None = None
    memory_mb: int | None = None
    num_workers: int | None = None
    isolated: bool = True
    partial: bool = False
    since: str | None = None
    until: str | None = None
    exclude: tuple[str, ...] = ()

    def limits(self, benchmark: Benchmark) -> Limits:
        timeout = benchmark.timeout if self.timeout is None else self.timeout
        memory_mb = benchmark.memory_mb if self.memory_mb is None else self.memory_mb
        for name, value in (("timeout", timeout), ("memory", memory_mb), ("workers", self.num_workers or 1)):
            if value <= 0:
                raise ChakuError(f"{name} is {value}; it must be above 0")
        return Limits(timeout, memory_mb, self.num_workers, self.isolated)


AS_IT_IS = Scoring()


def score_samples(
    benchmark: Benchmark,
    tasks: Sequence[Task],
    samples: Sequence[Sample],
    out: Path,
    scoring: Scoring = AS_IT_IS,
    generation: Mapping[str, Any] | None = None,
    checked: tuple[Judge, int] | None = None,
) -> BenchmarkResult:
    """Score samples, write the result as `results.json`, and a line for each sample in `samples.jsonl`, to `out`.

    `generation`: the manifest of the samples' generation; None for samples from a file. `checked`: the result of
    `check_benchmark` for these tasks, if it was called before. Resumes after a kill. Raises ChakuError for samples that
    do not belong to the tasks, a k above a problem's number of samples, reference solutions that fail, and a machine
    that cannot run the programs.
    """
    chosen = choose_tasks(tasks, samples, partial=scoring.partial)
    by_id = {task.task_id: task for task in chosen}
    ks = choose_ks(Counter(sample.task_id for sample in samples), scoring.ks)
    limits = scoring.limits(benchmark)
    if outside := sum(not task.in_split for task in chosen):
        say(f"{benchmark.name}: {outside} of the {len(chosen)} problems are not in the benchmark's test split")
    judge, num_references = checked or check_benchmark(benchmark, chosen, out, scoring)
    if num_references < len(chosen):
        number = f"{len(chosen) - num_references} of the {len(chosen)}" if num_references else "the"
        say(f"{benchmark.name}: {number} problems have no reference solutions, so their tests were not checked")
    if judge.longer_timeouts:
        named = ", ".join(f"{name} {seconds:g} s" for name, seconds in judge.longer_timeouts.items())
        say(f"{benchmark.name}: problems with slow references may take more than {limits.timeout:g} s of CPU: {named}")
    judgements = judge.judge([(by_id[sample.task_id], sample.completion) for sample in samples], "score samples")
    record = {
        **versions(),
        **(UNKNOWN if generation is None else generation),
        **({"extracted": True} if benchmark.opening is not None else {}),
        "samples_sha256": sha256_json([[sample.task_id, sample.index, sample.completion] for sample in samples]),
        "data_sha256": tasks_sha256(chosen),
        "timeout": limits.timeout,
        "longer_timeouts": judge.longer_timeouts,
        "memory_mb": limits.memory_mb,
        "isolation": ISOLATED if limits.isolated else NOT_ISOLATED,
        "languages": {name: toolchains.version(name) or platform.python_version() for name in benchmark.languages},
        "num_references": num_references,
        "num_outside_split": outside,
        "partial": len(chosen) < sum(task.in_split for task in tasks),
    }
    pairs = list(zip(samples, judgements, strict=True))
    note = unextracted(benchmark, pairs, of_others=record["prompt_form"] is None)
    result = replace(_summary(benchmark.name, record, chosen, pairs, ks), notes=(note,) if note else ())
    write_lines(out / "samples.jsonl", (_line(sample, judgement) for sample, judgement in pairs))
    result.write(out / "results.json")
    (out / JOURNAL).unlink(missing_ok=True)
    return result


def unextracted(benchmark: Benchmark, pairs: Sequence[tuple[Sample, Judgement]], *, of_others: bool) -> str:
    """A warning when most samples are syntax errors with a fence, and so probably chat replies; else empty.

    `of_others`: the samples come from a file, not from a model that was sampled here.
    """
    if benchmark.opening is not None:
        return ""
    number = sum(_is_syntax_error(judgement) and FENCE in sample.completion for sample, judgement in pairs)
    if 2 * number <= len(pairs):
        return ""
    if benchmark.chat is None:
        advice = f"extract the programs from them first, as {benchmark.name} has no chat form"
    elif of_others:
        advice = "extract the programs from them with --extract"
    else:
        advice = "ask a chat model with --chat"
    return (
        f"{number} of {len(pairs)} samples are syntax errors with a Markdown fence ({FENCE}): they look like a chat "
        f"model's replies, so this score does not measure the model; {advice}"
    )


def _is_syntax_error(judgement: Judgement) -> bool:
    reason = judgement.reason.lower().replace(" ", "")
    return judgement.verdict == "compile_error" or any(name in reason for name in SYNTAX_ERRORS)


def check_benchmark(benchmark: Benchmark, tasks: Sequence[Task], out: Path, scoring: Scoring) -> tuple[Judge, int]:
    """A judge that has run the reference solutions, and the number of problems that have some.

    Stores the judgements in `out`, so that a second check costs nothing. Raises ChakuError as `score_samples` does.
    """
    limits = scoring.limits(benchmark)
    check_machine(benchmark, isolated=limits.isolated)
    judge = Judge(benchmark, limits, out / JOURNAL)
    num_references = check_references(judge, tasks)
    check_wrong(judge, benchmark, tasks)
    return judge, num_references


def _summary(
    name: str,
    manifest: dict[str, Any],
    tasks: Sequence[Task],
    pairs: Sequence[tuple[Sample, Judgement]],
    ks: Sequence[int],
) -> BenchmarkResult:
    counts = {task.task_id: [0, 0] for task in tasks}
    for sample, judgement in pairs:
        counts[sample.task_id][0] += 1
        counts[sample.task_id][1] += judgement.passed
    by_task = {task_id: (number, correct) for task_id, (number, correct) in counts.items()}
    values = {k: pass_at_k_by_problem(by_task, k) for k in ks}
    groups = sorted({task.group for task in tasks if task.group})
    names = sorted({name for _, judgement in pairs for name in judgement.measures})
    return BenchmarkResult(
        benchmark=name,
        manifest=manifest,
        num_problems=len(tasks),
        num_samples=len(pairs),
        num_passed=sum(correct > 0 for _, correct in by_task.values()),
        pass_at_k={k: fmean(values[k]) for k in ks},
        intervals_95={k: score_interval(values[k]) for k in ks},
        measures={
            name: fmean(sample.measures[name] for _, sample in pairs if name in sample.measures) for name in names
        },
        verdicts=dict(Counter(judgement.verdict for _, judgement in pairs).most_common()),
        by_group={group: _group(group, tasks, by_task, ks) for group in groups},
    )


def _group(group: str, tasks: Sequence[Task], by_task: Mapping[str, tuple[int, int]], ks: Sequence[int]) -> GroupScore:
    members = {task.task_id: by_task[task.task_id] for task in tasks if task.group == group}
    return GroupScore(len(members), {k: fmean(pass_at_k_by_problem(members, k)) for k in ks})


def choose_ks(numbers: Mapping[str, int], wanted: Sequence[int] | None) -> tuple[int, ...]:
    """The wanted ks; None: the values of DEFAULT_KS that are at most every problem's number of samples.

    Raises ChakuError when a problem has fewer samples than a wanted k.
    """
    if wanted is None:
        return tuple(k for k in DEFAULT_KS if k <= min(numbers.values()))
    for k in wanted:
        pass_at_k_by_problem({task: (number, 0) for task, number in numbers.items()}, k)
    return tuple(sorted(set(wanted)))


def _line(sample: Sample, judgement: Judgement) -> dict[str, Any]:
    line = {
        "task_id": sample.task_id,
        "index": sample.index,
        "verdict": judgement.verdict,
        "passed": judgement.passed,
        "reason": judgement.reason,
        "cpu_seconds": judgement.cpu_seconds,
    }
    return {**line, "measures": dict(judgement.measures)} if judgement.measures else line
