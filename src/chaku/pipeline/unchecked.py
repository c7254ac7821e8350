"""Says at the start of a run which benchmarks its corpus cannot be checked against."""

from chaku.console import say
from chaku.corpus.cleaning.benchmark_problems import at_hand
from chaku.recipe.schema import Recipe


def say_what_is_not_checked(recipe: Recipe) -> None:
    """Print one line when the corpus is checked against the benchmarks at hand, and files of some are missing."""
    if not recipe.corpus.sources or recipe.corpus.decontaminate is not True:
        return
    _, missing = at_hand()
    if missing:
        say(
            f"the corpus is NOT checked against {', '.join(missing)}: no file of them is under $CHAKU_BENCHMARKS "
            "(docs/recipes.md says which; corpus.decontaminate = false ends this message)"
        )
