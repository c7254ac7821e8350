"""HumanEval-X: HumanEval written by hand in five more languages (Zheng et al. 2023, arXiv 2303.17568).

Programs are assembled as in CodeGeeX's `evaluate_humaneval_x.py`, with two differences that do not affect right
solutions: Go's assertions are part of the program, so that no module is fetched; and unused crates are removed from
Rust programs, so that rustc alone can build them. Four of Rust's problems are left out (`lacks`): three tests need a
crate, and one problem has no test. C++ problems whose libraries are not installed are left out too. Some of the files'
solutions fail although the tests are right; these solutions are not references.
"""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from chaku.evals.benchmark import Benchmark, Task, cut_at, unique_tasks
from chaku.evals.benchmarks.problem_files import find_file, read_rows
from chaku.sandbox.languages import toolchains
from chaku.sandbox.verdict import Job

URL = "https://github.com/THUDM/CodeGeeX/raw/main/codegeex/benchmark/humaneval-x/{0}/data/humaneval_{0}.jsonl.gz"
FIELDS = ("task_id", "prompt", "declaration", "canonical_solution", "test")
NAMES = {"python": "python", "cpp": "cpp", "java": "java", "js": "javascript", "go": "go", "rust": "rust"}
# CodeGeeX's imports, except numpy, which are put before every program.
PYTHON_IMPORTS = """\
import math, re, sys, copy, datetime, itertools, collections, heapq, statistics, functools, hashlib, string
from typing import *
from collections import *
"""
CPP_INCLUDES = ("stdlib.h", "algorithm", "math.h", "stdio.h", "vector", "string", "climits", "cstring", "iostream")
COMMENTS_AT_END = re.compile(r"(?:\s*(?:/\*(?:(?!\*/).)*\*/|//[^\n]*))*\s*$", re.DOTALL)  # after a function's bracket
GO_PACKAGES = ("math", "strings", "fmt", "strconv", "time", "bytes", "regexp", "sort", "math/rand", "crypto/md5")
# The part of github.com/stretchr/testify/assert that the tests use: Equal, for equal values of the same type.
GO_ASSERT = """
type assertionsOf struct{ t *testing.T }
type newAssertions struct{}
var assert newAssertions
func (newAssertions) New(t *testing.T) assertionsOf { return assertionsOf{t} }
func (a assertionsOf) Equal(expected, actual interface{}, about ...interface{}) {
    if !reflect.DeepEqual(expected, actual) { a.t.Fatalf("expected %v, got %v", expected, actual) }
}
"""
TESTIFY = '"github.com/stretchr/testify/assert"'
RUST_CRATES = ("rand", "regex", "md5")
# JavaScript 112 returns a value in a comma expression, 155 forgets 0, and 162 needs js-md5. Go's 95 passes or fails
# depending on the random order of a map.
NOT_REFERENCES = {"JavaScript/112", "JavaScript/155", "JavaScript/162", "Go/95"}


def load_humaneval_x(language: str, path: Path | None = None) -> list[Task]:
    """The problems of one language, in the file's order."""
    path = find_file(path, f"humaneval-x/humaneval_{language}.jsonl.gz", URL.format(language))
    fields = (*FIELDS, "import", "test_setup") if language == "go" else FIELDS
    tasks = [
        Task(
            task_id=row["task_id"],
            prompt=_prompt(language, row),
            references=(row["canonical_solution"],) if _is_reference(language, row) else (),
            data={name: row.get(name, "") for name in ("test", "import", "test_setup")},
            lacks=_lacks(language, row),
        )
        for row in read_rows(path, fields)
    ]
    return unique_tasks(tasks, str(path))


def _prompt(language: str, row: Mapping[str, Any]) -> str:
    """The prompt. Rust's first file has only the comment in `prompt`, and the declaration in `declaration`."""
    if language == "rust" and "\nfn " not in row["prompt"]:
        return str(row["prompt"] + row["declaration"].lstrip("\n")).lstrip("\n")
    return str(row["prompt"])


def python(task: Task, completion: str) -> Job:
    """The Python job. As in CodeGeeX, the completion ends before the first line without an indent."""
    lines = completion.split("\n")
    end = next((at for at, line in enumerate(lines) if line.strip() and line[0] not in " \t"), len(lines))
    found = re.findall(r"^check\((\w+)\)", task.data["test"], re.MULTILINE)
    entry_point = found[-1] if found else ""
    return Job(
        PYTHON_IMPORTS + task.prompt + "\n".join(lines[:end]),
        tests=(task.data["test"],),
        prelude=PYTHON_IMPORTS + task.prompt.partition(f"def {entry_point}(")[0],
        entry_point=entry_point,
    )


def cpp(task: Task, completion: str) -> Job:
    """The C++ job, with CodeGeeX's headers before the prompt."""
    includes = (f"#include<{name}>" for name in CPP_INCLUDES)
    missing = "".join(f"{line}\n" for line in includes if line not in task.prompt)
    prompt = f"{missing}\n{task.prompt}"
    return Job(prompt + completion, language="cpp", tests=(task.data["test"],), prelude=COMMENTS_AT_END.sub("", prompt))


def java(task: Task, completion: str) -> Job:
    """The Java job: class Solution, then class Main with the tests."""
    return Job(task.prompt + completion, language="java", tests=(task.data["test"],), prelude=task.prompt)


def javascript(task: Task, completion: str) -> Job:
    """The JavaScript job. Node's `console.assert` only prints; in the sandbox it fails the test, as output does in
    CodeGeeX.
    """
    return Job(task.prompt + completion, language="javascript", tests=(task.data["test"],))


def go(task: Task, completion: str) -> Job:
    """The Go job, with only the imports that the program uses: an unused import is an error in Go."""
    prompt = task.prompt.replace(task.data["import"], "", 1)
    used = re.sub(r"//.*|/\*[\s\S]*?\*/", "", prompt + completion)
    wanted = dict.fromkeys([*re.findall(r'"([\w./]+)"', task.data["import"]), *GO_PACKAGES])
    names = [name for name in wanted if re.search(rf"(?<![\w.]){name.split('/')[-1]}\.", used)]
    imports = f"import ({'; '.join(f'{name!r}' for name in names)})".replace("'", '"') if names else ""
    setup = task.data["test_setup"].replace(TESTIFY, '"reflect"')
    return Job(
        f"package main\n{imports}\n{prompt}{completion}\n",
        language="go",
        tests=(GO_ASSERT + task.data["test"],),
        prelude=f"{setup}\n{task.data['import']}\n{prompt}",
    )


def rust(task: Task, completion: str) -> Job:
    """The Rust job, without the imports of unused crates, so that rustc alone can build it."""
    prompt, test = task.prompt, task.data["test"]
    for crate in RUST_CRATES:
        line = re.compile(rf"^use {crate}\b.*;\n", re.MULTILINE)
        if not _mentions(line.sub("", prompt) + completion + test, crate):
            prompt = line.sub("", prompt)
    return Job(prompt + completion, language="rust", tests=(test,), prelude=prompt)


def _is_reference(language: str, row: Mapping[str, Any]) -> bool:
    """Whether a row's solution can pass with only the language's own modules."""
    needs_crate = language == "rust" and any(_mentions(row["canonical_solution"], name) for name in RUST_CRATES)
    return not needs_crate and row["task_id"] not in NOT_REFERENCES


def _lacks(language: str, row: Mapping[str, Any]) -> str:
    """Why a problem cannot be judged: its Rust test is missing or needs a crate, or a C++ library is not installed."""
    if language == "rust":
        test = _uncommented(row["test"])
        crates = [name for name in RUST_CRATES if _mentions(test, name)]
        return f"needs the crate {crates[0]}" if crates else "" if "#[test]" in test else "has no test"
    return toolchains.missing_library(language, row["prompt"] + row["test"]) if language == "cpp" else ""


def _mentions(code: str, crate: str) -> bool:
    """Whether code uses a crate, by the crate's name or by a type's name such as `Regex`."""
    return re.search(rf"\b({crate}::|{crate.capitalize()}\b)", _uncommented(code)) is not None


def _uncommented(code: str) -> str:
    return re.sub(r"/\*.*?\*/", "", code, flags=re.DOTALL)


PROGRAMS = {"python": python, "cpp": cpp, "java": java, "js": javascript, "go": go, "rust": rust}
# In other languages, `cut` ends a completion by counting brackets, as CodeGeeX does.
PYTHON_STOPS = ("\nclass", "\ndef", "\n#", "\n@", "\nprint", "\nif", "\nassert", "\n```")


def cut(language: str, text: str) -> str:
    """Cut after the bracket that closes the function, and close Java's class. Python's text is not cut here."""
    depth = 1
    for at, character in enumerate(text if language != "python" else ""):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth == 0:
            return text[: at + 1] + ("\n}\n" if language == "java" else "\n")
    return text


def _benchmark(language: str) -> Benchmark:
    program = PROGRAMS[language]
    stops = PYTHON_STOPS if language == "python" else ("\n```",)
    return Benchmark(
        name=f"humaneval-x-{language}",
        load=partial(load_humaneval_x, language),
        prompt_form="zero-shot, unstripped",
        jobs=lambda task, completion: [program(task, completion)],
        stops=stops,
        cut=lambda task, text: cut(language, cut_at(text, stops)),
        timeout=10.0,  # CodeGeeX allows 5 s of wall time, in the JVM too
        languages=(NAMES[language],),
    )


HUMANEVAL_X = tuple(map(_benchmark, PROGRAMS))
