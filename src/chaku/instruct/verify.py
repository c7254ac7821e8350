"""Does a ledger hold what it says? Keys are made again from their content, and a sample of runs is run again."""

import random
from dataclasses import dataclass

from chaku.instruct.asks import Ask
from chaku.instruct.ledger import Ledger, ask_key, run_key
from chaku.instruct.triples import KEPT
from chaku.sandbox.pool import Pool


@dataclass(frozen=True)
class Report:
    """`problems` in words; empty when the ledger holds."""

    num_kept: int
    num_runs: int
    num_replayed: int
    problems: list[str]


def verify(ledger: Ledger, num_replayed: int = 100, seed: int = 0, num_workers: int | None = None) -> Report:
    """Check every kept triple's evidence, and run a sample of all runs again; a verdict must be what it was.

    Verdicts that hang on time or memory are not compared: the machine may be another.
    """
    problems: list[str] = []
    runs = {key: (kind, job, limits, verdict) for key, kind, job, limits, verdict in ledger.runs()}
    for key, (kind, job, limits, _) in runs.items():
        if run_key(job, limits) != key:
            problems.append(f"run {key[:12]} ({kind}): its key is not its content's")
    num_kept = 0
    for key, text, _, outcome, detail in ledger.questions():
        if outcome != KEPT:
            continue
        num_kept += 1
        accepted = detail["accepted"]
        solution, run = detail["solutions"][accepted], runs.get(detail["verdicts"][accepted])
        where = f"question {key[:12]} ({text[:40]})"
        if run is None:
            problems.append(f"{where}: the verdict of its solution is missing")
        elif run[1].source != solution or run[1].tests != tuple(detail["tests"]):
            problems.append(f"{where}: its verdict is of another solution or other tests")
        elif not run[3].passed or any(run[3].tests) or len(run[3].tests) != len(detail["tests"]):
            problems.append(f"{where}: its solution did not pass")
        if any(detail["passed"][:accepted]):
            problems.append(f"{where}: an earlier solution passed")
        for name in ("tests_ask", "solutions_ask"):
            if name in detail:
                asked = ledger.asked(detail[name])
                sampling = {**asked["sampling"], "stop": tuple(asked["sampling"]["stop"])}
                if ask_key(Ask(asked["kind"], asked["prompt"], **sampling), asked["model"]) != detail[name]:
                    problems.append(f"{where}: the key of its {asked['kind']} is not its prompt's")
    sample = random.Random(seed).sample(sorted(runs), min(num_replayed, len(runs)))
    by_limits: dict[tuple[float, int, bool], list[str]] = {}
    for key in sample:
        limits = runs[key][2]
        by_limits.setdefault((limits["timeout"], limits["memory_mb"], limits["isolated"]), []).append(key)
    num_compared = 0
    for (timeout, memory_mb, isolated), keys in by_limits.items():
        with Pool(timeout=timeout, memory_mb=memory_mb, num_workers=num_workers, isolated=isolated) as pool:
            futures = {key: pool.submit(runs[key][1]) for key in keys}
            for key, future in futures.items():
                before, now = runs[key][3], future.result()
                if {before.status, now.status} & {"timed_out", "out_of_memory", "sandbox_error"}:
                    continue
                num_compared += 1
                same = (before.status, before.tests, before.stdout) == (now.status, now.tests, now.stdout)
                if not same:
                    problems.append(
                        f"run {key[:12]} ({runs[key][0]}): was {before.status} ({before.reason}), is {now.status} "
                        f"({now.reason})"
                    )
    return Report(num_kept, len(runs), num_compared, problems)
