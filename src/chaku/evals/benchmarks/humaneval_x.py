"""HumanEval-X: HumanEval written by hand in five more languages (Zheng et al. 2023, arXiv 2303.17568).

Programs are put together as CodeGeeX's `evaluate_humaneval_x.py` does, with two differences that no right solution
feels: Go's assertions come with the program, so that no module is fetched, and crates that a Rust program does not use
are not asked for, so that rustc alone builds it. Four of Rust's problems are left out (`lacks`): three tests need a
crate, and one problem has no test. So are those of C++ whose libraries are not here. Some solutions of the files cannot
pass, though the tests are right: those are not references.
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
# The protocol's imports (numpy aside), added where a program has not got them.
PYTHON_IMPORTS = """\
import math, re, sys, copy, datetime, itertools, collections, heapq, statistics, functools, hashlib, string
from typing import *
from collections import *
"""
CPP_INCLUDES = ("stdlib.h", "algorithm", "math.h", "stdio.h", "vector", "string", "climits", "cstring", "iostream")
COMMENTS_AT_END = re.compile(r"(?:\s*(?:/\*(?:(?!\*/).)*\*/|//[^\n]*))*\s*$", re.DOTALL)  # after a function's bracket
GO_PACKAGES = ("math", "strings", "fmt", "strconv", "time", "bytes", "regexp", "sort", "math/rand", "crypto/md5")
# What the tests use of github.com/stretchr/testify/assert: equal, and of the same type.
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
# 112 returns a value in a comma expression, 155 forgets 0, 162 needs js-md5 where Node's own crypto would do; Go's 95
# passes or fails by the order in which a map happens to be walked.
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
    """The prompt; Rust's first file has the comment alone there, and what it describes in `declaration`."""
    if language == "rust" and "\nfn " not in row["prompt"]:
        return str(row["prompt"] + row["declaration"].lstrip("\n")).lstrip("\n")
    return str(row["prompt"])


def python(task: Task, completion: str) -> Job:
    """As in the protocol, the completion ends before the first line that is not indented."""
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
    """The usual headers in front."""
    includes = (f"#include<{name}>" for name in CPP_INCLUDES)
    missing = "".join(f"{line}\n" for line in includes if line not in task.prompt)
    prompt = f"{missing}\n{task.prompt}"
    return Job(prompt + completion, language="cpp", tests=(task.data["test"],), prelude=COMMENTS_AT_END.sub("", prompt))


def java(task: Task, completion: str) -> Job:
    """Class Solution, then class Main with the tests."""
    return Job(task.prompt + completion, language="java", tests=(task.data["test"],), prelude=task.prompt)


def javascript(task: Task, completion: str) -> Job:
    """Whose `console.assert` only prints in Node; in the sandbox it fails, as any output does in the protocol."""
    return Job(task.prompt + completion, language="javascript", tests=(task.data["test"],))


def go(task: Task, completion: str) -> Job:
    """An import that is not used is an error in Go, so only those that are stand in the program."""
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
    """Without the crates that are not used, so that rustc alone can build it."""
    prompt, test = task.prompt, task.data["test"]
    for crate in RUST_CRATES:
        line = re.compile(rf"^use {crate}\b.*;\n", re.MULTILINE)
        if not _mentions(line.sub("", prompt) + completion + test, crate):
            prompt = line.sub("", prompt)
    return Job(prompt + completion, language="rust", tests=(test,), prelude=prompt)


def _is_reference(language: str, row: Mapping[str, Any]) -> bool:
    """Whether a row's solution can pass where there are no modules but the language's own."""
    needs_crate = language == "rust" and any(_mentions(row["canonical_solution"], name) for name in RUST_CRATES)
    return not needs_crate and row["task_id"] not in NOT_REFERENCES


def _lacks(language: str, row: Mapping[str, Any]) -> str:
    """What keeps a problem from being judged: a Rust test that there is not, or that a crate is missing for, or C++'s
    libraries where they are not installed."""
    if language == "rust":
        test = _uncommented(row["test"])
        crates = [name for name in RUST_CRATES if _mentions(test, name)]
        return f"needs the crate {crates[0]}" if crates else "" if "#[test]" in test else "has no test"
    return toolchains.missing_library(language, row["prompt"] + row["test"]) if language == "cpp" else ""


def _mentions(code: str, crate: str) -> bool:
    """Whether a crate is used, by its name or, as `Regex` is, by its type's."""
    return re.search(rf"\b({crate}::|{crate.capitalize()}\b)", _uncommented(code)) is not None


def _uncommented(code: str) -> str:
    return re.sub(r"/\*.*?\*/", "", code, flags=re.DOTALL)


PROGRAMS = {"python": python, "cpp": cpp, "java": java, "js": javascript, "go": go, "rust": rust}
# Other languages end where the protocol's count of brackets says: see `cut`.
PYTHON_STOPS = ("\nclass", "\ndef", "\n#", "\n@", "\nprint", "\nif", "\nassert", "\n```")


def cut(language: str, text: str) -> str:
    """Up to the bracket that closes the function; Java's class is closed after it. Python has no brackets."""
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
        timeout=10.0,  # the protocol gives 5 s by the clock, in the JVM too
        languages=(NAMES[language],),
    )


HUMANEVAL_X = tuple(map(_benchmark, PROGRAMS))
