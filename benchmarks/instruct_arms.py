"""The rehearsal's table: every arm on exercises never seen, over seeds, beside the unfiltered arm.

    for seed in 1 2 3; do chaku run recipes/rehearsal-instruct.toml --out runs/ri-$seed --set seed=$seed; done
    python benchmarks/instruct_arms.py runs/ri-1 runs/ri-2 runs/ri-3 --out arms.json

pass@1 is greedy on all problems, pass@10 of ten samples on some. Intervals are of a paired bootstrap over problems,
whose gains are averaged over the seeds first.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from chaku.console import show_table
from chaku.errors import ChakuError
from chaku.evals.compare import read_scored
from chaku.evals.pass_at_k import pass_at_k
from chaku.files import read_json, write_json
from chaku.intervals import resampled_means

CONTROL = "random"
MEASURES = (("pass@1", "exercises", 1), ("pass@10", "exercises-sampled", 10))


def main() -> None:
    """Read the runs, print the tables, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="run directories of one recipe, a seed each")
    parser.add_argument("--control", default=CONTROL, help="the stage that every other is compared with")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    reports = [read_json(run / "instruct" / "report.json") for run in options.runs]
    rows = compare(options.runs, options.control, reports)
    shown: list[list[object]] = []
    for row in rows:
        cells: list[object] = [row["stage"], _percent(row["truly_correct"])]
        for name, _, _ in MEASURES:
            if name in row:
                cells += [_percent(row[name]["mean"]), " ".join(f"{value:.1%}" for value in row[name]["seeds"])]
                cells.append(" to ".join(f"{value:+.1%}" for value in row[name]["gain_interval_95"]))
        shown.append(cells)
    titles = ["", "truly correct"]
    for name, _, _ in MEASURES:
        if name in rows[0]:
            titles += [name, "seeds", f"against {options.control}"]
    show_table("exercises never seen", titles, shown)
    for report in reports:
        show_table(
            "rates of accepting and rejecting samples",
            ["", "wrong ones accepted", "right ones rejected", "wrong among accepted"],
            [
                [name.removeprefix("rates_").replace("_", " "), *(_percent(rates[key]) for key in RATES)]
                for name, rates in report.items()
                if name.startswith("rates_")
            ],
        )
    if options.out:
        write_json(options.out, {"arms": rows, "reports": reports})


RATES = ("false_accept", "false_reject", "wrong_among_accepted")


def compare(runs: Sequence[Path], control: str, reports: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a stage. Raises ChakuError for a run that is not finished."""
    stages = [path.name for path in sorted((runs[0] / "evals").iterdir()) if (path / "exercises.json").is_file()]
    rows: list[dict[str, Any]] = []
    for stage in stages:
        shares = [report["arms"].get(stage, {}).get("truly_correct") for report in reports]
        known = [share for share in shares if share is not None]
        row: dict[str, Any] = {"stage": stage, "truly_correct": fmean(known) if known else None}
        for name, benchmark, k in MEASURES:
            if not (runs[0] / "evals" / stage / benchmark).is_dir():
                continue
            values = [_values(run, stage, benchmark, k) for run in runs]
            gains = np.mean(
                [np.subtract(v, _values(r, control, benchmark, k)) for r, v in zip(runs, values, strict=True)], 0
            )
            low, high = np.percentile(resampled_means(gains.tolist()), [2.5, 97.5])
            row[name] = {
                "mean": fmean(fmean(value) for value in values),
                "seeds": [fmean(value) for value in values],
                "gain": float(gains.mean()),
                "gain_interval_95": [float(low), float(high)],
            }
        rows.append(row)
    return sorted(rows, key=lambda row: -row["pass@1"]["mean"])


def _values(run: Path, stage: str, benchmark: str, k: int) -> list[float]:
    """pass@k of each problem, in the order of their names."""
    folder = run / "evals" / stage / benchmark
    if not (folder / "results.json").is_file():
        raise ChakuError(f"{folder} has no results; finish the run first")
    counts = read_scored(folder).counts
    return [pass_at_k(*counts[task], k) for task in sorted(counts)]


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


if __name__ == "__main__":
    main()
