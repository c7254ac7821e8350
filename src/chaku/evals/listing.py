"""Lists the benchmarks: their names, the purpose of their family, and whether this machine can run them."""

from collections.abc import Iterator
from typing import Any

from chaku.errors import ChakuError
from chaku.evals.judging import why_not_here
from chaku.evals.suite import FAMILIES, HELDOUT_MEASURES


def list_benchmarks() -> Iterator[dict[str, Any]]:
    """A row a benchmark. `chat`: has a chat form. `num_problems`: None without data. `why_not`: None if it can run."""
    for measures, family in FAMILIES:
        for benchmark in family:
            number, why_not = None, why_not_here(benchmark)
            try:
                number = sum(task.in_split and not task.lacks for task in benchmark.load(None))
            except ChakuError as error:
                why_not = str(error)
            row = {"name": benchmark.name, "measures": measures, "chat": benchmark.chat is not None}
            yield {**row, "num_problems": number, "why_not": why_not}


def listing_in_lines() -> Iterator[str]:
    """The list for a terminal: a line for every family, and below it a line for every benchmark."""
    shown = ""
    for row in list_benchmarks():
        if row["measures"] != shown:
            shown = row["measures"]
            yield f"{shown}:"
        number = "no data here" if row["num_problems"] is None else f"{row['num_problems']:,} problems"
        missing = f"  NOT HERE: {row['why_not']}" if row["why_not"] and row["num_problems"] is not None else ""
        yield f"  {row['name']:42} {number:>14}{'  --chat' if row['chat'] else ''}{missing}"
    yield f"Measures on the held-out documents of --corpus: {', '.join(HELDOUT_MEASURES)}"
