"""Docstring generation: CodeXGLUE's code-to-text set for Python, asked for by infilling (Code Llama, section 3.2).

What stands between a function's docstring quotes is hidden. The answer's first paragraph is compared with the first
paragraph of the true one, which is CodeXGLUE's target (`docstring_tokens`), by smoothed BLEU-4.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chaku.errors import ChakuError
from chaku.evals.benchmark import Benchmark, Judgement, Task, unique_tasks
from chaku.evals.benchmarks.bleu import bleu, tokens
from chaku.evals.benchmarks.problem_files import find_file, read_rows
from chaku.sandbox.verdict import Verdict

FILE = "codexglue-docstrings/python/test.jsonl"
SOURCE = "python/test.jsonl, made as https://github.com/microsoft/CodeXGLUE/tree/main/Code-Text/code-to-text says,"
QUOTES = ('"""', "'''", '"', "'")


def load_docstrings(path: Path | None = None) -> list[Task]:
    """The functions, in the file's order. Raises ChakuError for one whose docstring cannot be found in its code."""
    path = find_file(path, FILE, SOURCE)
    rows = read_rows(path, ("code", "docstring", "docstring_tokens"))
    return unique_tasks([_task(path, number, row) for number, row in enumerate(rows)], str(path))


def _task(path: Path, number: int, row: dict[str, Any]) -> Task:
    code, target = row["code"], " ".join(row["docstring_tokens"])
    hole = _find_hole(code, row["docstring"].strip())
    if hole is None:
        raise ChakuError(
            f"{path}, function {number + 1} ({row.get('func_name', '?')}): its docstring does not stand between quotes "
            "in its code; the file is not CodeXGLUE's for Python, take the row out if it is"
        )
    start, end, quotes = hole
    return Task(
        task_id=str(row.get("idx", number)),
        prompt=code[:start],
        suffix=code[end:],
        references=(target,),
        data={"target": target, "quotes": quotes},
    )


def _find_hole(code: str, docstring: str) -> tuple[int, int, str] | None:
    """Where the text between the quotes begins and ends, and the quotes."""
    at = code.find(docstring)
    while docstring and at >= 0:
        before, after = code[:at].rstrip(), code[at + len(docstring) :].lstrip()
        for quotes in QUOTES:
            if before.endswith(quotes) and after.startswith(quotes):
                return len(before), len(code) - len(after), quotes
        at = code.find(docstring, at + 1)
    return None


def cut(task: Task, text: str) -> str:
    """The first paragraph, up to the closing quotes."""
    return text.split(task.data["quotes"])[0].strip().split("\n\n")[0]


def judge(task: Task, completion: str, verdicts: Sequence[Verdict]) -> Judgement:
    """BLEU from 0 to 100; passed when the tokens are those of the target."""
    target = task.data["target"]
    same = tokens(completion) == tokens(target)
    reason = "" if same else "is not the true docstring"
    return Judgement("exact" if same else "different", same, reason, measures={"bleu": 100 * bleu(completion, target)})


DOCSTRINGS = Benchmark(
    name="docstrings",
    load=load_docstrings,
    prompt_form="zero-shot infilling between the docstring's quotes; the answer's first paragraph counts",
    jobs=None,
    stops=(),  # an answer ends where `cut` says: the quotes differ from function to function
    max_tokens=256,  # CodeXGLUE keeps docstrings of up to 256 tokens
    judge=judge,
    cut=cut,
    mode="psm",
    languages=(),
)
