"""Next-line completion of long files: LCC (Guo et al. 2023, arXiv 2306.14893); Code Llama used a part of it.

Lines are compared token by token, as in LCC: white space between tokens does not count.
"""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from chaku.errors import ChakuError
from chaku.evals.benchmark import Benchmark, Judgement, Task, unique_tasks
from chaku.evals.benchmarks.bleu import bleu
from chaku.evals.benchmarks.problem_files import find_file, read_rows
from chaku.sandbox.verdict import Verdict

COMMENTS = {"python": ("#",), "java": ("//", "/*", "*"), "csharp": ("//", "/*", "*")}
TOKEN = re.compile(r"\w+|[^\s\w]")


def load_next_line(language: str, path: Path | None = None) -> list[Task]:
    """The files of one language: a `context` and its next line, in `gt` (LCC) or first in `answers` (LongBench)."""
    url = f"https://huggingface.co/datasets/microsoft/LCC_{language} (the test split, as JSON lines)"
    path = find_file(path, f"lcc/{language}.jsonl", url)
    rows = enumerate(read_rows(path, ("context",)))
    tasks = [_task(path, language, number, row) for number, row in rows if row.get("language", language) == language]
    return unique_tasks(tasks, f"{path}, in {language},")


def _task(path: Path, language: str, number: int, row: dict[str, Any]) -> Task:
    answer = row["gt"] if "gt" in row else (row.get("answers") or [""])[0]
    if not answer.strip():
        raise ChakuError(f"{path}, row {number + 1} has no next line: neither `gt` nor `answers`; get the file again")
    return Task(
        task_id=f"{language}/{number}",
        prompt=row["context"].rstrip() + "\n",
        references=(answer,),
        group=language,
        data={"answer": answer},
    )


def first_line(text: str, language: str) -> str:
    """The first line that is not blank, a comment or the fence of a Markdown block."""
    for line in text.split("\n"):
        stripped = line.strip()
        if stripped and not stripped.startswith(("```", *COMMENTS[language])):
            return stripped
    return ""


def edit_similarity(one: str, other: str) -> float:
    """From 0 to 1: twice the length of the longest common subsequence / the sum of lengths (fuzzywuzzy's ratio)."""
    row = [0] * (len(other) + 1)
    for letter in one:
        above = row
        row = [0]
        for at, candidate in enumerate(other):
            row.append(above[at] + 1 if letter == candidate else max(row[at], above[at + 1]))
    total = len(one) + len(other)
    return 2 * row[-1] / total if total else 1.0


def judge(task: Task, completion: str, verdicts: Sequence[Verdict]) -> Judgement:
    """Passed when the tokens equal the true line's tokens. Measures, from 0 to 100: edit similarity and BLEU."""
    line, answer = (" ".join(TOKEN.findall(text)) for text in (first_line(completion, task.group), task.data["answer"]))
    same = line == answer
    measures = {"edit_similarity": 100 * edit_similarity(line, answer), "bleu": 100 * bleu(line, answer)}
    return Judgement("exact" if same else "different", same, "" if same else "is not the true line", measures=measures)


def _benchmark(language: str) -> Benchmark:
    return Benchmark(
        name=f"next-line-{language}",
        load=partial(load_next_line, language),
        prompt_form="the file so far; its end, where it is longer than the context",
        jobs=None,
        max_tokens=96,  # a comment may come first
        judge=judge,
        cut=lambda task, text: first_line(text, language),
        languages=(),
    )


NEXT_LINE = tuple(_benchmark(language) for language in COMMENTS)
