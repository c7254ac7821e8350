"""BIRD's measures (Li et al. 2023, and its mini-dev evaluation): EX on sets, R-VES for speed, Soft-F1 by cells."""

import math
from collections.abc import Sequence

from chaku.sql.scoring.execution_match import Rows


def bird_ex(gold: Rows, predicted: Rows) -> bool:
    """Whether both results have the same set of rows: column order matters, repeated rows do not."""
    return set(gold) == set(predicted)


def soft_f1(gold: Rows, predicted: Rows) -> float:
    """F1 of cells. Drops repeated rows, pairs rows by their position, and ignores the order of cells in a row."""
    if not gold and not predicted:
        return 1.0
    gold, predicted = list(dict.fromkeys(gold)), list(dict.fromkeys(predicted))
    num_pairs = min(len(gold), len(predicted))
    matched, extra, missing = 0.0, float(len(predicted) - num_pairs), float(len(gold) - num_pairs)
    for wanted, found in zip(gold, predicted, strict=False):
        matched += sum(cell in wanted for cell in found) / len(wanted)
        extra += sum(cell not in wanted for cell in found) / len(wanted)
        missing += sum(cell not in found for cell in wanted) / len(wanted)
    return 2 * matched / (2 * matched + extra + missing) if matched else 0.0


def speed_reward(ratios: Sequence[float]) -> float:
    """The reward of a correct query. `ratios`: gold's time divided by the query's time, for each run.

    The mean ratio leaves out runs beyond three standard deviations. R-VES is 100 times the mean of the square roots of
    all rewards, with 0 for a wrong query. The steps come from BIRD's mini-dev.
    """
    mean = sum(ratios) / len(ratios)
    deviation = math.sqrt(sum((ratio - mean) ** 2 for ratio in ratios) / len(ratios))
    kept = [ratio for ratio in ratios if abs(ratio - mean) < 3 * deviation] or [mean]
    ratio = sum(kept) / len(kept)
    return next((reward for least, reward in ((2, 1.25), (1, 1.0), (0.5, 0.75), (0.25, 0.5)) if ratio >= least), 0.25)
