"""Verifies a ledger: computes its keys again from their content, and runs a sample of its programs again."""

import random
from dataclasses import dataclass

from chaku.instruct.asks import Ask
from chaku.instruct.evidence import KEPT
from chaku.instruct.ledger import Ledger, ask_key, run_key
from chaku.sandbox.pool import Pool


@dataclass(frozen=True)
class Report:
    """The result of a verification. `problems`: a sentence for each problem; empty for a sound ledger."""

    num_kept: int
    num_runs: int
    num_replayed: int
    problems: list[str]


def verify(ledger: Ledger, num_replayed: int = 100, seed: int = 0, num_workers: int | None = None) -> Report:
    """Check the evidence of every kept triple, run a sample of all runs again, and compare the verdicts.

    Verdicts that depend on time or memory are not compared, since the machine may be another.
    """
    problems: list[str] = []
    runs = {run.key: run for run in ledger.runs()}
    for run in runs.values():
        if run_key(run.job, run.limits) != run.key:
            problems.append(f"run {run.key[:12]} ({run.kind}): its key does not match its content")
    num_kept = 0
    for question in ledger.questions():
        if question.outcome != KEPT:
            continue
        num_kept += 1
        evidence = question.evidence
        assert evidence.accepted is not None
        found = runs.get(evidence.verdicts[evidence.accepted])
        where = f"question {question.key[:12]} ({question.text[:40]})"
        if found is None:
            problems.append(f"{where}: the verdict of its solution is missing")
        elif found.job.source != evidence.solution or found.job.tests != evidence.tests:
            problems.append(f"{where}: its verdict belongs to another solution or to other tests")
        elif not found.verdict.passed or found.verdict.tests != ("",) * len(evidence.tests):
            problems.append(f"{where}: its solution did not pass")
        if any(evidence.passed[: evidence.accepted]):
            problems.append(f"{where}: an earlier solution passed")
        for key in filter(None, (evidence.tests_ask, evidence.solutions_ask, *evidence.corrections)):
            asked = ledger.asked(key)
            sampling = {**asked["sampling"], "stop": tuple(asked["sampling"]["stop"])}
            if ask_key(Ask(asked["kind"], asked["prompt"], **sampling), asked["model"]) != key:
                problems.append(f"{where}: the key of its {asked['kind']} does not match their prompt")
    sample = random.Random(seed).sample(sorted(runs), min(num_replayed, len(runs)))
    by_limits: dict[tuple[float, int, bool], list[str]] = {}
    for key in sample:
        limits = runs[key].limits
        by_limits.setdefault((limits["timeout"], limits["memory_mb"], limits["isolated"]), []).append(key)
    num_compared = 0
    for (timeout, memory_mb, isolated), keys in by_limits.items():
        with Pool(timeout=timeout, memory_mb=memory_mb, num_workers=num_workers, isolated=isolated) as pool:
            futures = {key: pool.submit(runs[key].job) for key in keys}
            for key, future in futures.items():
                before, now = runs[key].verdict, future.result()
                if {before.status, now.status} & {"timed_out", "out_of_memory", "sandbox_error"}:
                    continue
                num_compared += 1
                same = (before.status, before.tests, before.stdout) == (now.status, now.tests, now.stdout)
                if not same:
                    problems.append(
                        f"run {key[:12]} ({runs[key].kind}): was {before.status} ({before.reason}), is {now.status} "
                        f"({now.reason})"
                    )
    return Report(num_kept, len(runs), num_compared, problems)
