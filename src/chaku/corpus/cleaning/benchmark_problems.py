"""The problems that a corpus must not repeat: of the benchmarks that are here, or of named benchmarks and files."""

import json
import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from chaku.corpus.cleaning.decontamination import Decontamination
from chaku.errors import ChakuError
from chaku.evals.problems import Problem, load_problems
from chaku.evals.suite import BENCHMARKS
from chaku.jsonl import read_lines

# The benchmarks that a corpus is checked against by default, by family: the published checks of StarCoder's and
# OpenCoder's data, and their translations.
FAMILIES: dict[str, tuple[str, ...]] = {
    "humaneval": ("humaneval",),
    "mbpp": ("mbpp",),
    "apps": ("apps",),
    "multipl-e": tuple(name for name in BENCHMARKS if name.startswith("multipl-e") and not name.endswith("-chat")),
}
DS_1000 = "ds1000/ds1000.jsonl"  # under $CHAKU_BENCHMARKS, plain or gzipped
ROW_FILES = (".jsonl", ".json", ".parquet", ".gz")
# The keys of a row in a file of problems: HumanEval's, MBPP's, APPS's, DS-1000's, and usual other ones.
TEXTS = ("text", "prompt", "question", "problem", "description", "instruction", "docstring")
SOLUTIONS = ("canonical_solution", "reference_code", "solution", "code", "solutions", "answer")
NAMES = ("task_id", "id", "name", "problem_id")


@cache
def at_hand() -> tuple[tuple[Problem, ...], tuple[str, ...]]:
    """The problems of the default benchmarks whose files are here, and the families without any file."""
    problems: list[Problem] = []
    missing: list[str] = []
    for family, names in FAMILIES.items():
        before = len(problems)
        for name in names:
            try:
                problems += load_problems([name])
            except ChakuError:  # no file of this language
                continue
        if len(problems) == before:
            missing.append(family)
    folder = os.environ.get("CHAKU_BENCHMARKS")
    files = [Path(folder) / name for name in (DS_1000, f"{DS_1000}.gz")] if folder else []
    if file := next((path for path in files if path.is_file()), None):
        problems += read_problems(file)
    return tuple(problems), tuple(missing)


def named_problems(names: tuple[str, ...]) -> tuple[Problem, ...]:
    """The problems of benchmarks by name (a family's name stands for its languages) and of files of problems.

    Raises ChakuError for a name that is neither, and for a missing or damaged file.
    """
    problems: list[Problem] = []
    for name in names:
        if name.endswith(ROW_FILES) or Path(name).is_file():
            problems += read_problems(Path(name))
        elif len(FAMILIES.get(name, ())) > 1:
            problems += [problem for problem in at_hand()[0] if problem.name.startswith(FAMILIES[name])]
        else:
            problems += load_problems([name])
    return tuple(problems)


@cache
def decontamination(against: bool | tuple[str, ...]) -> Decontamination:
    """What finds the problems in documents. True: the benchmarks at hand; False: none."""
    if isinstance(against, tuple):
        return Decontamination(named_problems(against))
    return Decontamination(at_hand()[0] if against else ())


def read_problems(path: Path) -> list[Problem]:
    """The problems in a file of JSON lines, a JSON list or Parquet, by the keys of TEXTS and SOLUTIONS.

    APPS's rows hold the list of solutions as JSON in a string; DS-1000's names stand in `metadata`. Raises ChakuError
    for a row without a text or a solution.
    """
    problems = []
    for number, row in read_lines(path):
        about: dict[str, Any] = row if isinstance(row, dict) else {}
        text = next((about[key] for key in TEXTS if isinstance(about.get(key), str)), "")
        found: Any = next((about[key] for key in SOLUTIONS if about.get(key)), [])
        solutions = tuple(part for part in _solutions(found) if isinstance(part, str))
        if not text and not solutions:
            raise ChakuError(f"{path}, line {number} has no problem; a row has one of the keys {', '.join(TEXTS)}")
        inner = about.get("metadata")
        named = about | inner if isinstance(inner, dict) else about
        name = next((named[key] for key in NAMES if key in named), number)
        problems.append(Problem(f"{path.name} {name}", text, solutions, None))
    return problems


def _solutions(found: Any) -> list[Any]:
    if isinstance(found, str) and found.startswith("["):
        with suppress(ValueError):  # a solution that begins with a list
            found = json.loads(found)
    return found if isinstance(found, list) else [found]
