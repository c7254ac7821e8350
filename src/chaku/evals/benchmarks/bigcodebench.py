"""BigCodeBench: Python functions that call many libraries (Zhuo et al. 2024, arXiv 2406.15877).

`complete` shows a docstring to complete, `instruct` an instruction in words. The tests are a `unittest.TestCase` that
patches modules and inspects data frames and plots, so a program and its tests share a process: unlike in chaku's other
benchmarks, a program could be written to fool its tests. Problems whose imports are not installed are left out.
"""

import ast
from collections.abc import Callable, Iterable
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from chaku.evals.benchmark import Benchmark, ChatForm, Task, unique_tasks
from chaku.evals.benchmarks.evalplus_chat import INSTRUCTION, PYTHON_STOPS, RESPONSE
from chaku.evals.benchmarks.problem_files import find_file, read_rows
from chaku.evals.extract import python_program
from chaku.sandbox.verdict import Job

URL = "https://huggingface.co/datasets/bigcode/{} (the newest split, as Parquet or JSON lines)"
FIELDS = ("task_id", "complete_prompt", "instruct_prompt", "canonical_solution", "code_prompt", "test", "entry_point")
STOPS = (*PYTHON_STOPS[:-1], "\ndef ", "\nclass ", "\nimport ", "\nfrom ", "\nassert ")  # from its provider/utility.py
MAX_TOKENS = 1280
Split = Literal["complete", "instruct"]
# As in BigCodeBench's own runner, program and tests are one module named __test__, which some tests patch.
RUNNER = """\
import builtins as _builtins, os as _os, sys as _sys, types as _types, unittest as _unittest
_module = _types.ModuleType("__test__")
_module.__dict__.update(__builtins__=_builtins, __file__="__test__.py", sys=_sys, os=_os, environ=_os.environ)
exec(compile({source!r}, "__test__.py", "exec"), _module.__dict__)
_sys.modules["__test__"] = _module
_result = _unittest.TestResult()
_unittest.TestLoader().loadTestsFromTestCase(_module.TestCases).run(_result)
for _test, _trace in _result.errors + _result.failures:
    raise AssertionError(_test.id().split(".")[-1] + ": " + _trace.strip().split("\\n")[-1])
if not _result.testsRun:
    raise AssertionError("no test was run")
"""


def load_bigcodebench(name: str, split: Split, path: Path | None = None) -> list[Task]:
    """The problems in the file's order. `lacks` names the packages of a problem that are not installed."""
    path = find_file(path, f"bigcodebench/{name}.jsonl", URL.format(name))
    return unique_tasks([_task(split, row) for row in read_rows(path, FIELDS)], str(path))


def _task(split: Split, row: dict[str, Any]) -> Task:
    solution = row["canonical_solution"]
    missing = missing_modules([f"{row['code_prompt']}\n    pass\n", row["complete_prompt"] + solution, row["test"]])
    return Task(
        task_id=str(row["task_id"]),
        prompt=row[f"{split}_prompt"],
        references=(solution if split == "complete" else f"{row['complete_prompt']}\n{solution}",),
        data={name: row[name] for name in ("complete_prompt", "code_prompt", "test", "entry_point")},
        lacks=f"needs {', '.join(missing)}" if missing else "",
    )


def missing_modules(codes: Iterable[str]) -> list[str]:
    """The packages that the programs import and that are not installed."""
    names: set[str] = set()
    for code in codes:
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Import):
                names |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                names.add(node.module.partition(".")[0])
    return sorted(name for name in names if not _is_here(name))


@cache
def _is_here(name: str) -> bool:
    return find_spec(name) is not None


def jobs(task: Task, program: str) -> list[Job]:
    """The prompt's imports (BigCodeBench's "calibrated" form), the program and the tests, as one program."""
    source = f"{task.data['code_prompt']}\n    pass\n{program}\n{task.data['test']}"
    return [Job(RUNNER.format(source=source))]


def extract(task: Task, reply: str) -> str:
    return python_program(reply, task.data["entry_point"], task.data["complete_prompt"])


def _benchmark(name: str, split: Split) -> Benchmark:
    is_complete = split == "complete"
    instruction = INSTRUCTION.format("Python")
    fence = "```\n" if is_complete else ""

    def message(task: Task) -> str:
        return f"{instruction}\n{fence}{task.prompt.strip()}\n{fence}"

    def program(task: Task, completion: str) -> str:
        return f"{task.data['complete_prompt']}{completion}" if is_complete else completion

    completed: Callable[[Task, str], list[Job]] = lambda task, completion: jobs(task, program(task, completion))  # noqa: E731
    return Benchmark(
        name=f"{name}-{split}",
        load=partial(load_bigcodebench, name, split),
        prompt_form="zero-shot, unstripped" if is_complete else "the instruction as it is; the program of the answer",
        jobs=completed,
        stops=STOPS if is_complete else (),
        cut=None if is_complete else extract,
        max_tokens=MAX_TOKENS,
        timeout=60.0,
        memory_mb=4096,
        chat=ChatForm(
            prompt_form="chat: BigCodeBench's instruction, and its beginning of the reply",
            message=message,
            extract=extract,
            jobs=jobs,
            program=program,
            opening=f"{RESPONSE.format('Python')}\n```python\n",
            stops=PYTHON_STOPS,
            max_tokens=MAX_TOKENS,
        ),
    )


BIGCODEBENCH = (
    *(_benchmark("bigcodebench", "complete"), _benchmark("bigcodebench", "instruct")),
    *(_benchmark("bigcodebench-hard", "complete"), _benchmark("bigcodebench-hard", "instruct")),
)
