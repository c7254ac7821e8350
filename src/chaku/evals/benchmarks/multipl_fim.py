"""MultiPL-FIM: one line of a solution of MultiPL-E's HumanEval is hidden (SantaCoder: Allal et al. 2023, 2301.03988).

1,969 holes in JavaScript, 1,780 in Java. The prompt ends before the line break of the hole, so a model first writes a
line break. Exact match, as for Qwen2.5-Coder, compares the stripped line. The set's tests are run too.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from chaku.evals.benchmark import Benchmark, Judgement, Task, all_pass, unique_tasks
from chaku.evals.benchmarks.next_line import edit_similarity
from chaku.evals.benchmarks.problem_files import find_file, read_rows
from chaku.sandbox.verdict import Job, Verdict
from chaku.tokens.special import MODES, Mode

URL = "https://huggingface.co/datasets/bigcode/santacoder-fim-task (the rows of one language, as JSON lines)"
FIELDS = ("name", "language", "prompt", "suffix", "canonical_solution", "tests")
REPOSITORY = "humaneval-{}"
MAX_TOKENS = 64  # Qwen2.5-Coder's `gen_length`
_HEAD = re.compile(r"^[ \t]*public static [^\n]*\{", re.MULTILINE)  # the head of a Java function
_CLOSING = re.compile(r"\}\s*\}\s*$")


@dataclass(frozen=True)
class FimLanguage:
    short: str
    name: str
    extension: str


LANGUAGES = (FimLanguage("js", "javascript", "js"), FimLanguage("java", "java", "java"))


def load_multipl_fim(language: FimLanguage, path: Path | None = None) -> list[Task]:
    """The holes of one language, in the file's order."""
    path = find_file(path, f"multipl-fim/{language.short}.jsonl", URL)
    rows = [row for row in read_rows(path, FIELDS) if row["language"] == language.short]
    tasks = [
        Task(
            task_id=row["name"],
            prompt=row["prompt"],
            suffix=row["suffix"],
            references=(row["canonical_solution"],),
            data={
                "line": row["canonical_solution"],
                "tests": row["tests"],
                "path": f"{row['name'].rpartition('.json')[0]}.{language.extension}",
            },
        )
        for row in rows
    ]
    return unique_tasks(tasks, f"{path}, in {language.short},")


def hidden_line(task: Task, text: str) -> str:
    """The line that fills the hole: the line after a first line break, or else the first line."""
    lines = text.replace("\r\n", "\n").split("\n")
    return lines[1] if len(lines) > 1 and not lines[0].strip() else lines[0]


def jobs(language: FimLanguage, task: Task, line: str) -> list[Job]:
    """The whole solution with its tests. Java's tests themselves close the last method and the class."""
    source = f"{task.prompt}\n{line}\n{task.suffix}"
    if language.short == "java":
        source = _CLOSING.sub("", source)
    prelude = source[: head.end()] if (head := _HEAD.search(source)) else ""
    return [Job(source, language=language.name, tests=(task.data["tests"],), prelude=prelude)]


def judge(task: Task, line: str, verdicts: Sequence[Verdict]) -> Judgement:
    """Passed when the tests pass. Measures, from 0 to 100: exact match and edit similarity of the line."""
    judged = all_pass(task, line, verdicts)
    ours, true = line.strip(), task.data["line"].strip()
    measures = {"exact_match": 100.0 * (ours == true), "edit_similarity": 100 * edit_similarity(ours, true)}
    return Judgement(judged.verdict, judged.passed, judged.reason, judged.cpu_seconds, measures)


def _benchmark(language: FimLanguage, mode: Mode, repository: bool = False) -> Benchmark:
    order = {"psm": "prefix, suffix, middle", "spm": "suffix, prefix, middle"}[mode]
    return Benchmark(
        name=f"multipl-fim-{language.short}-{mode}{'-repository' if repository else ''}",
        load=partial(load_multipl_fim, language),
        prompt_form=f"zero-shot infilling: {order}{', after the names of repository and file' if repository else ''}",
        jobs=partial(jobs, language),
        max_tokens=MAX_TOKENS,
        timeout=15.0,  # as MultiPL-E
        judge=judge,
        cut=hidden_line,
        mode=mode,
        repository=REPOSITORY.format(language.short) if repository else "",
        languages=(language.name,),
    )


MULTIPL_FIM = (
    *(_benchmark(language, mode) for language in LANGUAGES for mode in MODES),
    *(_benchmark(language, "psm", repository=True) for language in LANGUAGES),
)
