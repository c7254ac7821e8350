"""Best of n by execution: a model writes n programs for each problem, and the first that passes one public test is
its answer.

    python examples/best_of_n.py MODEL --samples 8 --limit 12

The problems are `first_steps`, which comes with chaku. The first assert of each is public; the answer is judged by
all of them. Printed: pass@1 of a random sample, of the chosen one, and pass@n, which only somebody who knows the
hidden tests can reach.
"""

import argparse
import json
import re
import tempfile
from pathlib import Path

import chaku
from chaku.evals.benchmarks.first_steps import FIRST_STEPS
from chaku.sandbox.pool import run_many
from chaku.sandbox.verdict import Job


def public_test(test: str) -> str:
    """The tests of a problem, cut behind their first assert."""
    first = re.search(r"^    assert .*$", test, re.MULTILINE)
    assert first is not None, test
    return test[: first.end()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--limit", type=int, default=24, help="problems")
    parser.add_argument("--temperature", type=float, default=0.8)
    options = parser.parse_args()
    sampling = {"num_samples": options.samples, "temperature": options.temperature, "limit": options.limit}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "results"
        chaku.evaluate(chaku.load(options.model), "first_steps", chat=True, out=out, **sampling)
        written = [json.loads(line) for line in (out / "completions.jsonl").read_text().splitlines()]
        judged = [json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines()]
    passed = {(row["task_id"], row["index"]): row["passed"] for row in judged}
    tasks = {task.task_id: task for task in FIRST_STEPS.load(None)}
    jobs = []
    for row in written:
        data = tasks[row["task_id"]].data
        tests = (public_test(data["test"]), f"check({data['entry_point']})")
        jobs.append(Job(row["completion"], tests=tests, entry_point=data["entry_point"]))
    chosen: dict[str, tuple[str, int]] = {}
    for row, verdict in zip(written, run_many(jobs, description="public tests"), strict=True):
        key = (row["task_id"], row["index"])
        if verdict.passed:
            chosen.setdefault(row["task_id"], key)
    names = list(dict.fromkeys(row["task_id"] for row in written))
    anybody = sum(any(passed[name, index] for index in range(options.samples)) for name in names)
    right = sum(passed[chosen.get(name, (name, 0))] for name in names)
    print(f"{len(names)} problems, {options.samples} samples of each at temperature {options.temperature:g}")
    print(f"a random sample    {sum(passed.values()) / len(passed):.1%}")
    print(f"chosen by one test {right / len(names):.1%}")
    print(f"any sample         {anybody / len(names):.1%}")


if __name__ == "__main__":
    main()
