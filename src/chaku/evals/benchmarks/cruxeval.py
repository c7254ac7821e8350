"""CRUXEval: predict a Python function's output, or find an input for an output (Gu et al. 2024, arXiv 2401.03065).

800 short functions; `o` asks for the output, `i` for an input, `-cot` asks for reasoning first. The answer is a Python
expression. The candidate's process evaluates the answer; the tests' process calls the trusted function and compares:
`f(input) == answer`. The paper's runner executes any text beside the function; here an input must be one call of `f`.
"""

import ast
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

from chaku.evals.benchmark import Benchmark, ChatForm, Task, unique_tasks
from chaku.evals.benchmarks import cruxeval_prompts as prompts
from chaku.evals.benchmarks.problem_files import find_file, read_rows
from chaku.evals.fences import clean, code_blocks
from chaku.sandbox.verdict import Job

FILE = "cruxeval/cruxeval.jsonl"
URL = "https://github.com/facebookresearch/cruxeval/raw/main/data/cruxeval.jsonl"
FIELDS = ("id", "code", "input", "output")
Asked = Literal["output", "input"]
PROMPTS = {
    ("output", False): prompts.DIRECT_OUTPUT,
    ("output", True): prompts.REASONED_OUTPUT,
    ("input", False): prompts.DIRECT_INPUT,
    ("input", True): prompts.REASONED_INPUT,
}
STOPS = ("[/ANSWER]",)
MAX_TOKENS, MAX_TOKENS_REASONED = 1024, 2048  # inference/scripts of the paper's repository


def load_cruxeval(asked: Asked, reasoned: bool, path: Path | None = None) -> list[Task]:
    """The functions, in the file's order."""
    path = find_file(path, FILE, URL)
    return unique_tasks([_task(asked, reasoned, row) for row in read_rows(path, FIELDS)], str(path))


def _task(asked: Asked, reasoned: bool, row: dict[str, Any]) -> Task:
    told = row["input"] if asked == "output" else row["output"]
    prompt = PROMPTS[asked, reasoned].replace("<VALUE>", told).replace("<CODE>", row["code"])
    reference = row["output"] if asked == "output" else f"f({row['input']})"
    return Task(str(row["id"]), prompt, references=(reference,), data={name: row[name] for name in FIELDS[1:]})


def answer_of(asked: Asked, text: str) -> str:
    """The answer in a reply: the text between [ANSWER] tags if there are any; in an assertion, only the answer's side.

    In a longer text, tries a line with an assertion, then the first line, then the last.
    """
    text = clean(text)
    text = text.partition("[ANSWER]")[2] if "[ANSWER]" in text else text
    text = text.partition("[/ANSWER]")[0]
    if blocks := code_blocks(text):
        text = blocks[-1].code
    text = text.strip()
    lines = text.split("\n")
    for part in (text, *(line for line in lines if line.lstrip().startswith("assert f(")), lines[0], lines[-1]):
        if (answer := _side(asked, part.strip())) is not None:
            return answer
    return _split(asked, text)


def _side(asked: Asked, text: str) -> str | None:
    """The answer in an assertion or expression that Python can parse; None for any other text."""
    try:
        node: ast.AST = ast.parse(text).body[0]
    except (SyntaxError, ValueError, RecursionError, MemoryError, IndexError):
        return None
    if not isinstance(node, ast.Assert | ast.Expr):
        return None
    value = node.test if isinstance(node, ast.Assert) else node.value
    if isinstance(value, ast.Compare) and isinstance(value.ops[0], ast.Eq) and _is_call_of_f(value.left):
        value = value.comparators[0] if asked == "output" else value.left
    return ast.get_source_segment(text, value)


def _is_call_of_f(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "f"


def _split(asked: Asked, text: str) -> str:
    """Extract the answer from any text as the paper's scripts do."""
    if "==" in text:
        text = text.split("==")[1 if asked == "output" else 0].strip()
    if asked == "input" and "assert f" in text:
        text = "f" + text.split("assert f")[1].strip()
    return text.strip()


def jobs(asked: Asked, task: Task, answer: str) -> list[Job]:
    """The job of an answer: the candidate evaluates the answer; the tests compare it with the trusted function."""
    code, given, output = (task.data[name] for name in ("code", "input", "output"))
    if asked == "output":  # without the function, so that the answer cannot call it
        source = f"def answer():\n    return (\n{answer}\n)\n"
        test = f"assert answer() == f({given})"
    else:
        call = answer if _is_one_call(answer) else f"{answer}\nraise ValueError('the answer is not one call of f')"
        source = f"{code}\n\ndef _given(*arguments, **named):\n    return arguments, named\n\ndef answer():\n"
        source += f"    return (\n_given{call[1:]}\n)\n" if call is answer else f"    pass\n{call}\n"
        test = f"_arguments, _named = answer()\nassert f(*_arguments, **_named) == {output}"
    return [Job(source, tests=(test,), prelude=code, entry_point="answer")]


def _is_one_call(answer: str) -> bool:
    try:
        return _is_call_of_f(ast.parse(answer, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _benchmark(asked: Asked, reasoned: bool) -> Benchmark:
    extract: Callable[[Task, str], str] = lambda task, text: answer_of(asked, text)  # noqa: E731
    form = f"the paper's, {'with reasoning' if reasoned else 'direct'}: an assertion in [ANSWER] tags"
    max_tokens = MAX_TOKENS_REASONED if reasoned else MAX_TOKENS
    judged = partial(jobs, asked)
    return Benchmark(
        name=f"cruxeval-{asked[0]}{'-cot' if reasoned else ''}",
        load=partial(load_cruxeval, asked, reasoned),
        prompt_form=form,
        jobs=judged,
        stops=STOPS,
        max_tokens=max_tokens,
        cut=extract,
        chat=ChatForm(
            prompt_form=f"chat: {form}",
            message=lambda task: task.prompt,
            extract=extract,
            jobs=judged,
            program=lambda task, completion: completion,
            stops=STOPS,
            max_tokens=max_tokens,
        ),
    )


CRUXEVAL = (
    *(_benchmark("output", False), _benchmark("output", True)),
    *(_benchmark("input", False), _benchmark("input", True)),
)
