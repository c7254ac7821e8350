"""Plans a large corpus from rates that are measured on this machine: hours, memory, disk and cost, step by step.

A sample goes through the real steps; the figures grow with the bytes. Processor time is measured, not wall-clock time,
so that other programs change it little.
"""

import re
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chaku.corpus.cleaning.cleaner import Cleaning
from chaku.corpus.reading.file_list import list_files
from chaku.corpus.reading.sources import guess_source, machine_sources
from chaku.errors import ChakuError
from chaku.pipeline.corpus_rates import SMALLEST_SAMPLE, Rates, measure_rates

CORE_PRICE = 0.04  # dollars for an hour of one core with 4 GB: an assumption, not an offer
LIST, BUILD, PACK = "list the files", "build", "plan the packing"  # steps
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}


@dataclass(frozen=True)
class StepPlan:
    """One step. `shared`: processor hours of tasks for workers. `alone`: hours of the one process that leads it.

    `hours`: until it ends. `memory`: bytes of the leading process that grow with the corpus. `disk`: bytes that it
    leaves.
    """

    name: str
    shared: float
    alone: float
    hours: float
    memory: float = 0
    disk: float = 0


@dataclass(frozen=True)
class CorpusPlan:
    """A corpus of `bytes` of source files on `workers` cores. `sample`, in words: what was measured."""

    bytes: float
    workers: int
    files: float
    documents: float
    tokens: float
    sample: str
    steps: tuple[StepPlan, ...]
    core_price: float

    @property
    def hours(self) -> float:
        """From the first step to the last."""
        return sum(step.hours for step in self.steps)

    @property
    def dollars(self) -> float:
        """The price of all cores until the last step ends: they wait while one process works."""
        return self.hours * self.workers * self.core_price

    @property
    def useful_workers(self) -> int:
        """Workers with which the shared work takes as long as the work of one process."""
        alone = sum(step.alone for step in self.steps)
        return max(1, round(sum(step.shared for step in self.steps) / alone)) if alone else self.workers

    def as_json(self) -> dict[str, Any]:
        """Plain values, for programs."""
        return {**asdict(self), "hours": self.hours, "dollars": self.dollars, "useful_workers": self.useful_workers}


def plan_corpus(
    corpus: str, workers: int, *, core_price: float = CORE_PRICE, cleaning: Cleaning | None = None
) -> CorpusPlan:
    """Plan a corpus from a directory, a checkout or a file of rows, or of a size ("10TB").

    For a size, the sample is of the files of this machine that the source "machine" reads. Raises ChakuError for a
    path that is not there, or has too little to measure.
    """
    size = parse_size(corpus)
    sources = [guess_source(corpus)] if size is None else machine_sources()
    files = list_files(sources)
    present = sum(file.size for file in files.values())
    if present < SMALLEST_SAMPLE:
        raise ChakuError(
            f"{corpus} has {present:,} bytes of files, too few to measure (at least {SMALLEST_SAMPLE:,}); name a "
            "directory with more files, or a size such as 10TB"
        )
    with tempfile.TemporaryDirectory(prefix="chaku-plan-") as name:
        rates = measure_rates(sources, Path(name), cleaning or Cleaning())
    what = corpus if size is None else "this machine's packages, headers and documentation"
    return scaled(rates, size or present, max(1, workers), f"{rates.bytes / 1e6:.1f} MB of {what}", core_price)


def scaled(rates: Rates, total: float, workers: int, sample: str, core_price: float) -> CorpusPlan:
    """The plan of `total` bytes of source files on `workers` cores, from the rates of a sample."""
    times = total / rates.bytes
    files, documents = rates.files * times, rates.documents * times

    def step(name: str, key: str, memory: float = 0, disk: float = 0) -> StepPlan:
        shared, alone = (seconds[key] * times / 3600 for seconds in (rates.shared, rates.alone))
        return StepPlan(name, shared, alone, alone + shared / workers, memory, disk * times)

    steps = (
        step(LIST, "list", rates.list_memory * files),
        step(BUILD, "build", rates.build_memory * files, rates.corpus_disk),
        step("drop near-duplicates", "near-duplicates", disk=rates.work_disk),
        step("encode", "encode", disk=rates.tokens_disk),
        step(PACK, "pack", rates.store_memory * documents),
    )
    return CorpusPlan(total, workers, files, documents, rates.tokens * times, sample, steps, core_price)


def parse_size(text: str) -> int | None:
    """The bytes of "10TB", "500 GB" or "3e12"; None for a text that is no size."""
    match = re.fullmatch(r"([\d.]+(?:e\d+)?)\s*([KMGTP]?)B?", text.strip(), re.I)
    if match is None or Path(text).exists():
        return None
    try:
        return int(float(match[1]) * UNITS[match[2].upper()])
    except (ValueError, OverflowError):
        return None
