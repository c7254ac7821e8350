"""HumanEval infilling: a line, several lines or a random span of a solution is hidden; the completed program must pass.

Single-line and multi-line sets: Fried et al. 2022 (InCoder, arXiv 2204.05999). Random spans: Bavarian et al. 2022
(arXiv 2207.14255). Program: prompt, completion, suffix, test and the call of the test, as in human-eval-infilling.
"""

from functools import partial
from pathlib import Path

from chaku.evals.benchmark import Benchmark, Task, unique_tasks
from chaku.evals.benchmarks.problem_files import find_file, read_rows
from chaku.sandbox.verdict import Job
from chaku.tokens.special import MODES, Mode

URL = "https://github.com/openai/human-eval-infilling/raw/master/data/"
FILES = {
    "single-line": "HumanEval-SingleLineInfilling.jsonl.gz",
    "multi-line": "HumanEval-MultiLineInfilling.jsonl.gz",
    "random-span": "HumanEval-RandomSpanInfilling.jsonl.gz",
    "random-span-light": "HumanEval-RandomSpanInfillingLight.jsonl.gz",
}
FIELDS = ("task_id", "entry_point", "prompt", "suffix", "canonical_solution", "test")


def load_infilling(kind: str, path: Path | None = None) -> list[Task]:
    """The holes of one set, in the file's order."""
    path = find_file(path, f"humaneval-infilling/{FILES[kind]}", URL + FILES[kind])
    tasks = [
        Task(
            task_id=row["task_id"],
            prompt=row["prompt"],
            suffix=row["suffix"],
            references=(row["canonical_solution"],),
            data={name: row[name] for name in ("entry_point", "test")},
        )
        for row in read_rows(path, FIELDS)
    ]
    return unique_tasks(tasks, str(path))


def jobs(task: Task, completion: str) -> list[Job]:
    """The whole function, and the test that calls it. The text before the function, with its helpers, is trusted."""
    entry_point, test = task.data["entry_point"], task.data["test"]
    return [
        Job(
            f"{task.prompt}{completion}{task.suffix}",
            tests=(f"{test}\ncheck({entry_point})",),
            prelude=task.prompt.partition(f"def {entry_point}(")[0],
            entry_point=entry_point,
        )
    ]


def whole_line(task: Task, text: str) -> str:
    """The first line, with a line break: the suffixes of the single-line set do not begin with a line break."""
    return text.partition("\n")[0] + "\n"


def _benchmark(kind: str, mode: Mode, healing: bool = False) -> Benchmark:
    form = {"psm": "prefix, suffix, middle", "spm": "suffix, prefix, middle"}[mode]
    return Benchmark(
        name=f"humaneval-{kind}-{mode}{'-healing' if healing else ''}",
        load=partial(load_infilling, kind),
        prompt_form=f"zero-shot infilling: {form}{', with token healing' if healing else ''}",
        jobs=jobs,
        stops=("\n",) if kind == "single-line" else (),
        cut=whole_line if kind == "single-line" else None,
        mode=mode,
        healing=healing,
    )


# Lines begin at token boundaries. Only before a random span can a prefix end inside a token, so that SPM needs healing.
INFILLING = (
    *(_benchmark(kind, mode) for kind in FILES for mode in MODES),
    *(_benchmark(kind, "spm", healing=True) for kind in FILES if kind.startswith("random")),
)
