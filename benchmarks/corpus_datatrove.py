"""datatrove's side of `corpus.py --datatrove PYTHON`: StarCoder's rules for code on the rows of a JSONL file.

It imports nothing of chaku and runs in an environment of its own (`pip install 'datatrove[io]' regex orjson`).
datatrove has no rules for code, so they are functions for its LambdaFilter, as its users write them. Prints JSON:
processor seconds of the pipeline, without imports, and the documents that were written.

    PYTHON benchmarks/corpus_datatrove.py rows.jsonl FOLDER
"""

import json
import sys
import time
from pathlib import Path

from datatrove.data import Document
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.filters import LambdaFilter
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import ParquetWriter

MAX_LINE, MEAN_LINE, MIN_ALPHANUMERIC = 1000, 100, 0.25  # StarCoder, section 3.1


def not_empty(document: Document) -> bool:
    return bool(document.text.strip())


def no_long_line(document: Document) -> bool:
    return max(map(len, document.text.splitlines()), default=0) <= MAX_LINE


def short_mean(document: Document) -> bool:
    lines = document.text.splitlines()
    return sum(map(len, lines)) / max(len(lines), 1) <= MEAN_LINE


def alphanumeric(document: Document) -> bool:
    return sum(map(str.isalnum, document.text)) >= MIN_ALPHANUMERIC * len(document.text)


def main() -> None:
    rows, out = map(Path, sys.argv[1:])
    filters = [LambdaFilter(rule) for rule in (not_empty, no_long_line, short_mean, alphanumeric)]
    pipeline = [
        JsonlReader(str(rows.parent), glob_pattern=rows.name, text_key="content"),
        *filters,
        ParquetWriter(str(out / "documents"), compression="zstd"),
    ]
    started = time.process_time()
    stats = LocalPipelineExecutor(pipeline, tasks=1, logging_dir=str(out / "logs"), skip_completed=False).run()
    seconds = time.process_time() - started
    written = next(step for step in stats.stats if "Parquet" in step.name)
    print(json.dumps({"cpu_seconds": seconds, "documents": written.stats["total"].total}))


if __name__ == "__main__":
    main()
