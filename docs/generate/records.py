"""The tables of the JSON files that chaku writes, from the dataclasses that write and read them."""

import dataclasses
import inspect

from chaku.record import Record
from chaku.results import BenchmarkResult, MeasureResult
from chaku.training.finished_stage import FinishedStage
from docs.generate.markdown import code, table, words
from docs.generate.python_api import type_of

FILES: dict[str, type[Record]] = {
    "stages/NAME/stage.json": FinishedStage,
    "evals/STAGE/BENCHMARK.json, results.json": BenchmarkResult,
    "evals/STAGE/MEASURE.json": MeasureResult,
}


def tables() -> str:
    """A section for each file, with its keys."""
    parts = []
    for file, kind in FILES.items():
        rows = [(code(field.name), code(type_of(field.type))) for field in dataclasses.fields(kind)]
        own = inspect.getdoc(kind) or ""
        parts.append(f"### `{file}`\n\n{words(own)}\n\n{table(['key', 'type'], rows)}")
    return "\n".join(parts)
