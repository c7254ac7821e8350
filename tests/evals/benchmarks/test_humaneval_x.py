"""HumanEval-X: the program of each language, on rows written in the files' form."""

import json

import pytest

from chaku.evals.benchmarks.humaneval_x import HUMANEVAL_X
from chaku.evals.judging import why_not_here
from chaku.evals.run import score_file
from evals.running import benchmark_file, judge

BY_NAME = {name.name.removeprefix("humaneval-x-"): name for name in HUMANEVAL_X}
PYTHON = {
    "task_id": "Python/53",
    "prompt": 'def add(x: int, y: int):\n    """Add two numbers x and y"""\n',
    "declaration": "def add(x: int, y: int):\n",
    "canonical_solution": "    return x + y\n",
    "test": "def check(add):\n    assert add(2, 3) == 5\n    assert add(-1, 1) == 0\n\ncheck(add)",
    "example_test": "def check(add):\n    assert add(2, 3) == 5\ncheck(add)\n",
}
CPP = {
    "task_id": "CPP/53",
    "prompt": "/*\nAdd two numbers x and y\n*/\n#include<stdio.h>\nusing namespace std;\nint add(int x,int y){\n",
    "declaration": "#include<stdio.h>\nusing namespace std;\nint add(int x,int y){\n",
    "canonical_solution": "    return x+y;\n}\n",
    "test": "#undef NDEBUG\n#include<assert.h>\nint main(){\n    assert (add(2, 3) == 5);\n"
    "    assert (max(1, 2) == 2);\n}\n",
}
JAVA = {
    "task_id": "Java/53",
    "prompt": "import java.util.*;\n\nclass Solution {\n    /** Add. */\n    public int add(int x, int y) {\n",
    "declaration": "import java.util.*;\n\nclass Solution {\n    public int add(int x, int y) {\n",
    "canonical_solution": "        return x + y;\n    }\n}",
    "test": "public class Main {\n    public static void main(String[] args) {\n        Solution s = new Solution();\n"
    "        if (s.add(2, 3) != 5) {\n            throw new AssertionError();\n        }\n    }\n}\n",
}
JAVASCRIPT = {
    "task_id": "JavaScript/53",
    "prompt": "/* Add two numbers x and y\n  */\nconst add = (x, y) => {\n",
    "declaration": "\nconst add = (x, y) => {\n",
    "canonical_solution": "  return x + y;\n}\n\n",
    "test": "const testAdd = () => {\n  console.assert(add(2, 3) === 5)\n"
    "  console.assert(\n    add(-1, 1) === 0\n  )\n}\n\ntestAdd()\n",
}
GO = {
    "task_id": "Go/53",
    "prompt": 'import (\n    "math"\n)\n\n// Add two numbers, see strings. Or not.\nfunc Add(x int, y int) int {\n',
    "import": 'import (\n    "math"\n)\n',
    "docstring": "// Add two numbers.\n",
    "declaration": "\nfunc Add(x int, y int) int {\n",
    "canonical_solution": "    return x + y\n}\n\n",
    "test": "func TestAdd(t *testing.T) {\n    assert := assert.New(t)\n    assert.Equal(5, Add(2, 3))\n"
    '    assert.Equal(0, Add(-1, 1), "and a word about it")\n}\n',
    "test_setup": 'package main\n\nimport (\n    "testing"\n    "github.com/stretchr/testify/assert"\n)\n',
}
RUST = {
    "task_id": "Rust/53",
    "prompt": "\n/*\nAdd two numbers x and y\n*/\n",
    "declaration": "\nuse std::collections::HashMap;\nuse rand::Rng;\nuse regex::Regex;\nuse md5;\n\n"
    "fn add(x:i32, y:i32) -> i32{\n",
    "canonical_solution": "\n    return x + y;\n}\n",
    "test": "\n#[cfg(test)]\nmod tests {\n    use super::*;\n\n    #[test]\n    fn test_add() {\n"
    "        assert_eq!(add(2, 3), 5);\n    }\n    #[test]\n    fn test_more() {\n"
    "        assert!(add(-1, 1) == 0);\n    }\n}\n",
    "example_test": "None",
}
ROWS = {"python": PYTHON, "cpp": CPP, "java": JAVA, "js": JAVASCRIPT, "go": GO, "rust": RUST}
WRONG = {"python": "    return x - y\n", "java": "        return x - y;\n    }\n}", "go": "    return x - y\n}\n"}


def load(tmp_path, language, **changes):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({**ROWS[language], **changes}) + "\n")
    return BY_NAME[language].load(path)[0]


def program(language, task, completion):
    [job] = BY_NAME[language].jobs(task, completion)
    return job


@pytest.mark.parametrize("language", ROWS)
def test_the_reference_passes_and_another_answer_fails(language, tmp_path):
    task = load(tmp_path, language)
    wrong = WRONG.get(language, "  return x - y;\n}\n")
    right, not_right = judge(BY_NAME[language], [(task, task.references[0]), (task, wrong)], tmp_path)
    assert right.passed, right.reason
    assert not_right.verdict in ("failed", "crashed"), not_right.reason


def test_python_ends_before_what_is_not_indented(tmp_path):
    job = program("python", load(tmp_path, "python"), "    return x + y\n\n    # more\nprint(add(1, 2))\n")
    assert job.source.endswith("    return x + y\n\n    # more")
    assert "import math" in job.source
    assert (job.entry_point, job.tests) == ("add", (PYTHON["test"],))


def test_cpp_gets_the_headers_that_it_lacks(tmp_path):
    source = program("cpp", load(tmp_path, "cpp"), CPP["canonical_solution"]).source
    assert source.count("#include<stdio.h>") == 1
    assert source.count("#include<algorithm>") == 1


def test_go_imports_what_is_used_and_nothing_else(tmp_path):
    task = load(tmp_path, "go")
    source = program("go", task, "    return x + y\n}\n").source
    assert "math" not in source
    assert "testify" not in source
    assert '"strings"' not in source  # a word in a comment
    source = program("go", task, "    return int(math.Abs(float64(sort.SearchInts(nil, x))))\n}\n").source
    assert 'import ("math"; "sort")' in source
    assert source.startswith("package main\n")
    assert 'import (\n    "testing"' in program("go", task, "").prelude


def test_rusts_crates_are_asked_for_only_where_used(tmp_path):
    task = load(tmp_path, "rust")
    assert task.prompt.startswith("/*\nAdd two numbers x and y\n*/\nuse std::collections::HashMap;\nuse rand::Rng;")
    job = program("rust", task, RUST["canonical_solution"])
    assert not any(line in job.source for line in ("use rand", "use regex", "use md5"))
    assert "use std::collections::HashMap;" in job.source
    assert job.tests == (RUST["test"],)
    job = program("rust", task, '    Regex::new("a"); md5::compute(""); 1\n}\n')
    assert "use regex::Regex;" in job.source
    assert "use md5;" in job.source
    assert "use rand" not in job.source


def test_rusts_other_file_has_the_declaration_in_its_prompt(tmp_path):
    first = load(tmp_path, "rust")
    second = load(tmp_path, "rust", prompt=first.prompt)
    assert second.prompt == first.prompt


def test_what_cannot_be_judged_says_what_it_lacks_and_what_cannot_pass_is_no_reference(tmp_path, monkeypatch):
    assert load(tmp_path, "rust").lacks == ""
    assert load(tmp_path, "rust", test=f"/*{RUST['test']}*/").lacks == "has no test"
    with_crate = RUST["test"].replace("add(2, 3)", "add(2, rand::random::<i32>() * 0 + 3)")
    assert load(tmp_path, "rust", test=with_crate).lacks == "needs the crate rand"
    needy = load(tmp_path, "rust", canonical_solution='    Regex::new("x"); x + y\n}\n')
    assert (needy.in_split, needy.lacks, needy.references) == (True, "", ())
    assert load(tmp_path, "js", task_id="JavaScript/155").references == ()  # its solution is wrong
    monkeypatch.setattr("chaku.sandbox.languages.toolchains.find_library", lambda language, library: None)
    assert load(tmp_path, "cpp").lacks == ""
    boost = load(tmp_path, "cpp", prompt="#include<boost/any.hpp>\n" + CPP["prompt"])
    assert boost.lacks == "needs boost: apt-get install libboost-dev"


def test_a_complete_file_of_samples_is_scored_without_the_problems_that_cannot_be_judged(tmp_path):
    rows = [RUST, {**RUST, "task_id": "Rust/32", "test": f"/*{RUST['test']}*/"}]
    problems, samples = tmp_path / "rows.jsonl", tmp_path / "samples.jsonl"
    problems.write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = [{"task_id": row["task_id"], "completion": row["canonical_solution"]} for row in rows]
    samples.write_text("".join(json.dumps(sample) + "\n" for sample in given))
    if problem := why_not_here(BY_NAME["rust"]):
        pytest.skip(f"NOT run: {problem}")
    result = score_file(BY_NAME["rust"], samples, problems=problems)
    assert (result.num_problems, result.num_passed) == (1, 1)
    assert result.manifest["left_out"] == {"Rust/32": "has no test"}


def test_a_function_ends_with_its_bracket(tmp_path):
    task = load(tmp_path, "js")
    text = "  if (x) { return 1 }\n  return y\n}\n\nconst other = 1"
    assert BY_NAME["js"].cut_text(task, text) == "  if (x) { return 1 }\n  return y\n}\n"
    java = "        if (x) { return 1; }\n        return y;\n    }\n    int other() { return 1; }\n}\n"
    expected = "        if (x) { return 1; }\n        return y;\n    }\n}\n"
    assert BY_NAME["java"].cut_text(task, java) == expected
    assert BY_NAME["js"].cut_text(task, "  return y\n") == "  return y\n"
    assert BY_NAME["python"].cut_text(task, "    return {}\n\ndef g():\n") == "    return {}\n"


@pytest.mark.parametrize(
    ("language", "number"), [("python", 164), ("js", 161), ("java", 164), ("rust", 158), ("go", 163), ("cpp", 164)]
)
def test_the_real_references_pass(language, number, tmp_path):
    path = benchmark_file(f"humaneval-x/humaneval_{language}.jsonl.gz")
    tasks = [task for task in BY_NAME[language].load(path) if not task.lacks and task.references]
    assert len(tasks) == number
    judgements = judge(BY_NAME[language], [(task, task.references[0]) for task in tasks], tmp_path)
    assert [task.task_id for task, judgement in zip(tasks, judgements, strict=True) if not judgement.passed] == []
