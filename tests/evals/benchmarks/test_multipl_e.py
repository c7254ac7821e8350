"""MultiPL-E: programs, stops, and a completion that fails in every language that can be run here."""

import json

import pytest

from chaku import ChakuError
from chaku.evals.benchmarks.multipl_e import LANGUAGES, MULTIPL_E
from evals.running import benchmark_file, judge

BY_NAME = {name.name: name for name in MULTIPL_E}
CPP = {
    "name": "HumanEval_53_add",
    "language": "cpp",
    "prompt": "#include<assert.h>\n// Add two numbers\nlong add(long x, long y) {\n",
    "tests": "}\nint main() {\n    auto candidate = add;\n    assert(candidate((2), (3)) == (5));\n}\n",
    "stop_tokens": ["\n}"],
}
JAVASCRIPT = {
    "name": "HumanEval_53_add",
    "language": "js",
    "prompt": "//Add two numbers\nfunction add(x, y){\n",
    "tests": "const assert = require('node:assert');\nassert.deepEqual(add(2, 3), 5);\n",
}
D = {
    "name": "HumanEval_53_add",
    "language": "d",
    "prompt": "import std.math;\n/*\nAdd two numbers\n*/\nlong add(long x, long y) \n",
    "tests": "unittest\n{\n    alias candidate = add;\n\n    assert(candidate(2L, 3L) == 5L);\n}\nvoid main(){}",
}
# For HumanEval_53_add of the real files.
RIGHT = {
    "cpp": "\n    return x + y;",
    "cs": "\n        return x + y;",
    "d": "\n{\n    return x + y;\n}",
    "go": "\n\treturn x + y\n}",
    "java": "\n        return x + y;",
    "js": "\n  return x + y;\n}",
    "lua": "\n    return x + y\nend",
    "php": "\n    return $x + $y;\n}",
    "pl": "\n    return $x + $y;\n}",
    "r": "\n    return(x + y)\n}",
    "rb": "\n  x + y\nend",
    "rs": "\n    x + y",
    "scala": "\n        x + y",
    "sh": "\n  echo $(($1 + $2))",
    "ts": "\n  return x + y;\n}",
}
REAL = tuple(RIGHT)


def load(tmp_path, short, *rows):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return BY_NAME[f"multipl-e-{short}"].load(path)


def test_the_prompt_is_stripped_at_the_end_and_the_tests_follow(tmp_path):
    [task] = load(tmp_path, "cpp", CPP)
    assert task.prompt == CPP["prompt"].rstrip()
    assert task.references == ()
    [job] = BY_NAME["multipl-e-cpp"].jobs(task, "\n    return x + y;")
    assert (job.source, job.language, job.tests) == (task.prompt + "\n    return x + y;", "cpp", (CPP["tests"],))
    assert (job.prelude, job.entry_point) == (task.prompt, "add")


def test_a_rows_own_stops_come_before_the_languages(tmp_path):
    [own] = load(tmp_path, "js", {**JAVASCRIPT, "stop_tokens": ["\nEND"]})
    [none] = load(tmp_path, "js", JAVASCRIPT)
    text = "\n  return x + y\n}\n\n// next\nEND\nmore"
    assert BY_NAME["multipl-e-js"].cut_text(own, text) == "\n  return x + y\n}\n\n// next"
    assert BY_NAME["multipl-e-js"].cut_text(none, text) == "\n  return x + y\n}\n"


def test_the_completion_that_raises_an_error_closes_what_it_opens(tmp_path):
    [task] = load(tmp_path, "d", D)
    [job] = BY_NAME["multipl-e-d"].jobs(task, BY_NAME["multipl-e-d"].wrong(task))
    assert job.source.endswith("long add(long x, long y)\n{\n    assert(false);\n}")


@pytest.mark.parametrize(("short", "row"), [("cpp", CPP), ("js", JAVASCRIPT)])
def test_right_and_wrong_completions(short, row, tmp_path):
    benchmark = BY_NAME[f"multipl-e-{short}"]
    [task] = load(tmp_path, short, row)
    end = "" if short == "cpp" else "\n}"
    right, wrong, broken = judge(
        benchmark,
        [(task, f"\n  return x + y;{end}"), (task, f"\n  return x - y;{end}"), (task, f"\n  return x +;{end}")],
        tmp_path,
    )
    assert right.passed
    assert not wrong.passed
    assert not broken.passed
    assert wrong.reason != broken.reason


def test_mbpps_translations_have_names_and_files_of_their_own(tmp_path, monkeypatch):
    (tmp_path / "multipl-e").mkdir()
    row = {**CPP, "name": "mbpp_2_similar_elements"}
    (tmp_path / "multipl-e" / "mbpp-cpp.jsonl").write_text(json.dumps(row) + "\n")
    monkeypatch.setenv("CHAKU_BENCHMARKS", str(tmp_path))
    [task] = BY_NAME["multipl-e-mbpp-cpp"].load(None)
    assert task.task_id == "mbpp_2_similar_elements"
    with pytest.raises(ChakuError, match=r"humaneval-cpp\.jsonl does not exist"):
        BY_NAME["multipl-e-cpp"].load(None)


@pytest.mark.parametrize("short", REAL)
def test_the_stops_are_those_of_the_real_rows(short):
    tasks = BY_NAME[f"multipl-e-{short}"].load(benchmark_file(f"multipl-e/humaneval-{short}.jsonl"))
    assert len(tasks) >= 154
    [language] = [language for language in LANGUAGES if language.short == short]
    for task in tasks:
        assert set(task.data["stops"]) <= set(language.stops)


@pytest.mark.parametrize("short", REAL)
def test_a_right_completion_passes_the_real_tests_and_one_that_raises_an_error_fails(short, tmp_path):
    benchmark = BY_NAME[f"multipl-e-{short}"]
    tasks = {task.task_id: task for task in benchmark.load(benchmark_file(f"multipl-e/humaneval-{short}.jsonl"))}
    task = tasks["HumanEval_53_add"]
    off_by_one = RIGHT[short].replace("x", "1 + x", 1).replace("$1 +", "1 + $1 +", 1).replace("$1 + x", "1 + $x", 1)
    completions = [RIGHT[short], off_by_one, benchmark.wrong(task)]
    right, wrong, raised = judge(benchmark, [(task, completion) for completion in completions], tmp_path)
    assert right.passed, right.reason
    assert wrong.verdict in ("failed", "crashed"), wrong.reason
    assert raised.verdict in ("failed", "crashed"), raised.reason
