"""What the share of votes says of an answer: how often answers of each share are right, and what refusing some costs.

    chaku sql eval MODEL --questions spider --samples 8 --limit 60 --out evals/votes
    python benchmarks/confidence.py evals/votes

Reads the samples.jsonl of `chaku sql eval --out`. A share of 0 means that no query ran, so there is no answer. The
calibration error is the mean distance between share and accuracy over the bins, weighted by their answers. The second
table says for each `--min-confidence` how many questions get an answer, and how many of these answers are right.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chaku.console import show_table
from chaku.errors import ChakuError
from chaku.files import write_json
from chaku.intervals import wilson_interval
from chaku.jsonl import read_lines

BINS = ((0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0))  # above the first number, up to the second
THRESHOLDS = (0.0, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0)


@dataclass(frozen=True)
class Voted:
    """A question: the share of samples that agree on its answer, and whether the answer is right."""

    share: float
    right: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("evaluations", type=Path, nargs="+", help="folders that chaku sql eval --out wrote")
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    options = parser.parse_args()
    asked = [
        Voted(float(row["share"]), bool(row["passed"]))
        for folder in options.evaluations
        for _, row in read_lines(folder / "samples.jsonl")
    ]
    if not asked:
        raise ChakuError("there are no scored questions; name folders that chaku sql eval --out wrote")
    answered = [one for one in asked if one.share > 0]
    bins = [reliability(answered, low, high) for low, high in BINS]
    error = sum(row["answers"] * abs(row["mean_share"] - row["right"]) for row in bins if row["answers"]) / len(
        answered
    )
    curve = [abstention(asked, threshold) for threshold in THRESHOLDS]
    show_table(
        f"Answers by share of votes: {len(answered)} of {len(asked)} questions; calibration error {error:.1%}",
        ["share above", "up to", "answers", "mean share", "right", "95% interval"],
        [[*map(_percent, row["bin"]), row["answers"], _percent(row["mean_share"]), _percent(row["right"]),
          " to ".join(map(_percent, row["interval_95"]))] for row in bins if row["answers"]],
    )  # fmt: skip
    show_table(
        "--min-confidence",
        ["at least", "answered", "right of the answers", "95% interval", "right answers lost", "wrong answers refused"],
        [[_percent(row["threshold"]), _percent(row["answered"]), _percent(row["right"]),
          " to ".join(map(_percent, row["interval_95"])), row["right_lost"], row["wrong_refused"]] for row in curve],
    )  # fmt: skip
    if options.out:
        write_json(options.out, {"questions": len(asked), "calibration_error": error, "bins": bins, "curve": curve})


def reliability(answered: Sequence[Voted], low: float, high: float) -> dict:
    """The answers with a share in (low, high]: their number, their mean share, and how many are right."""
    inside = [one for one in answered if low < one.share <= high]
    right = sum(one.right for one in inside)
    number = max(len(inside), 1)
    return {
        "bin": (low, high),
        "answers": len(inside),
        "mean_share": sum(one.share for one in inside) / number,
        "right": right / number,
        "interval_95": wilson_interval(right, number),
    }


def abstention(asked: Sequence[Voted], threshold: float) -> dict:
    """What refusing answers with a share below the threshold does to all questions."""
    kept = [one for one in asked if one.share > 0 and one.share >= threshold]
    refused = [one for one in asked if 0 < one.share < threshold]
    right = sum(one.right for one in kept)
    return {
        "threshold": threshold,
        "answered": len(kept) / len(asked),
        "right": right / max(len(kept), 1),
        "interval_95": wilson_interval(right, max(len(kept), 1)),
        "right_lost": sum(one.right for one in refused),
        "wrong_refused": sum(not one.right for one in refused),
    }


def _percent(share: float) -> str:
    return f"{share:.1%}"


if __name__ == "__main__":
    main()
