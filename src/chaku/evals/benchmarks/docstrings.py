"""Docstring generation: CodeXGLUE's code-to-text set for Python, as infilling (Code Llama, section 3.2).

The text between a function's docstring quotes is hidden. Smoothed BLEU-4 compares the answer's first paragraph with the
first paragraph of the true docstring, which is CodeXGLUE's target (`docstring_tokens`).
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
    """The functions, in the file's order. Raises ChakuError for a function whose code does not have its docstring."""
    path = find_file(path, FILE, SOURCE)
    rows = read_rows(path, ("code", "docstring", "docstring_tokens"))
    return unique_tasks([_task(path, number, row) for number, row in enumerate(rows)], str(path))


def _task(path: Path, number: int, row: dict[str, Any]) -> Task:
    code, target = row["code"], " ".join(row["docstring_tokens"])
    hole = _find_hole(code, row["docstring"].strip())
    if hole is None:
        raise ChakuError(
            f"{path}, function {number + 1} ({row.get('func_name', '?')}): its code does not have its docstring "
            "between quotes; give CodeXGLUE's file for Python, or remove this row from it"
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
    """(start, end, quotes) of the text between the docstring's quotes; None when the code does not have it."""
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
    """Passed when the tokens equal the target's tokens. `bleu`: from 0 to 100."""
    target = task.data["target"]
    same = tokens(completion) == tokens(target)
    reason = "" if same else "is not the true docstring"
    return Judgement("exact" if same else "different", same, reason, measures={"bleu": 100 * bleu(completion, target)})


DOCSTRINGS = Benchmark(
    name="docstrings",
    load=load_docstrings,
    prompt_form="zero-shot infilling between the docstring's quotes; the answer's first paragraph counts",
    jobs=None,
    stops=(),  # `cut` ends an answer, as the quotes differ between functions
    max_tokens=256,  # CodeXGLUE keeps docstrings of up to 256 tokens
    judge=judge,
    cut=cut,
    mode="psm",
    languages=(),
)
