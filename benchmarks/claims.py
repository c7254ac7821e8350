"""The paper's claims, from a finished rehearsal: each stage beside its control, one column a seed.

chaku run recipes/rehearsal.toml && python benchmarks/claims.py runs/rehearsal --out claims.json
"""

import argparse
from pathlib import Path
from typing import Any

from chaku.console import show_table
from chaku.errors import ChakuError
from chaku.files import write_json
from chaku.results import MeasureResult

SEEDS = (1, 2)
# claim, better stage, control, benchmark, where the number lies, whether less is better
CLAIMS = (
    ("infilling: left-to-right bits per byte", "code", "ltr", "bits_per_byte", ("overall", "bits_per_byte"), True),
    ("infilling: lines, prefix-suffix-middle", "code", "ltr", "infilling", ("psm", "exact_match"), False),
    ("infilling: lines, suffix-prefix-middle", "code", "ltr", "infilling", ("spm", "exact_match"), False),
    ("infilling: lines, left to right", "code", "ltr", "infilling", ("left_to_right", "exact_match"), False),
    ("from base: bits per byte", "code", "scratch", "bits_per_byte", ("overall", "bits_per_byte"), True),
    ("long, base 1e6 against before: perplexity at {0}", "long", "code", "perplexity", ("perplexity",), True),
    ("long, base 1e6 against 1e4: perplexity at {0}", "long", "unchanged", "perplexity", ("perplexity",), True),
    ("long, base 1e6 against /4: perplexity at {0}", "long", "interpolated", "perplexity", ("perplexity",), True),
    (
        "Python: bits per byte, Python",
        "python",
        "more",
        "bits_per_byte",
        ("by_language", "Python", "bits_per_byte"),
        True,
    ),
    ("Python: bits per byte of C", "python", "more", "bits_per_byte", ("by_language", "C", "bits_per_byte"), True),
)


def main() -> None:
    """Read the results, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = [row for claim in CLAIMS for row in compare(options.run, *claim)]
    shown: list[list[object]] = []
    for row in rows:
        pairs = [f"{ours:.4f} | {control:.4f}" for ours, control in row["pairs"]]
        shown.append([row["claim"], f"{row['stage']} | {row['control']}", *pairs, row["better_in"]])
    show_table(
        "stage | control, and the seeds in which the stage is better",
        ["", "pair", *(f"seed {seed}" for seed in SEEDS), "better in"],
        shown,
    )
    if options.out:
        write_json(options.out, rows)


def compare(
    run: Path, claim: str, stage: str, control: str, benchmark: str, keys: tuple[str, ...], less: bool
) -> list[dict[str, Any]]:
    """One row for a number, several for a list of numbers by position. Raises ChakuError for a missing result."""
    results = []
    for seed in SEEDS:
        pair = []
        for name in (stage, control):
            path = run / "evals" / f"{name}-{seed}" / f"{benchmark}.json"
            if not path.is_file():
                raise ChakuError(f"{path} does not exist; finish the run first")
            pair.append(MeasureResult.read(path).results)
        results.append(pair)
    if benchmark != "perplexity":
        found = [tuple(_at(side, keys) for side in pair) for pair in results]
        return [_row(claim, stage, control, found, less)]
    edges = results[0][0]["edges"]
    return [
        _row(
            claim.format(f"{edges[bin_] + 1:,}-{edges[bin_ + 1]:,}"),
            stage,
            control,
            [tuple(side["perplexity"][bin_] for side in pair) for pair in results],
            less,
        )
        for bin_ in range(len(edges) - 1)
        if edges[bin_ + 1] >= 512
    ]


def _at(results: Any, keys: tuple[str, ...]) -> float:
    for key in keys:
        results = results[key]
    return float(results)


def _row(claim: str, stage: str, control: str, pairs: list[tuple[float, ...]], less: bool) -> dict[str, Any]:
    better = sum((ours < other) if less else (ours > other) for ours, other in pairs)
    return {
        "claim": claim,
        "stage": stage,
        "control": control,
        "pairs": pairs,
        "better_in": f"{better} of {len(pairs)}",
    }


if __name__ == "__main__":
    main()
