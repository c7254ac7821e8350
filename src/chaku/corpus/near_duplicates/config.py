"""The settings of near-deduplication in a recipe's [corpus]."""

from dataclasses import dataclass
from typing import Literal

from chaku.settings import setting


@dataclass(frozen=True)
class NearDuplicatesConfig:
    """Of near-duplicates, a corpus keeps one copy. `threshold`: of the Jaccard similarity of their 5-grams of words.

    `by`: "file" compares files; "repository" compares all files of a repository with all files of another, and drops
    whole repositories; "both" does this first, and then compares the files that are left. `against`: directories of
    corpora that chaku built; what they hold is dropped here.
    """

    by: Literal["file", "repository", "both"] = "file"
    threshold: float = setting(0.7, above=0, at_most=1)  # Kocetkov et al. 2022 (The Stack), 3.3; Lozhkov et al. 2024
    against: tuple[str, ...] = ()
