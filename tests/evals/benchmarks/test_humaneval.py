"""HumanEval's form: the program that is judged, and where a completion ends."""

import json

from chaku.evals.benchmarks.humaneval import HUMANEVAL, before_function
from chaku.sandbox.verdict import Job

ROW = {
    "task_id": "HumanEval/900",
    "prompt": 'import math\n\n\ndef helper(a):\n    return a\n\n\ndef f(a):\n    """ Twice a.\n    """\n',
    "canonical_solution": "    return 2 * a\n",
    "test": "def check(candidate):\n    assert candidate(helper(2)) == math.floor(4.5)\n",
    "entry_point": "f",
}


def test_the_prompt_is_asked_unstripped_and_the_tests_see_what_comes_before_the_function(tmp_path):
    (tmp_path / "problems.jsonl").write_text(json.dumps(ROW) + "\n")
    [task] = HUMANEVAL.load(tmp_path / "problems.jsonl")
    assert (task.task_id, task.prompt) == ("HumanEval/900", ROW["prompt"])
    assert HUMANEVAL.jobs(task, "    return 3\n") == [
        Job(
            ROW["prompt"] + "    return 3\n",
            tests=(ROW["test"] + "\ncheck(f)",),
            prelude="import math\n\n\ndef helper(a):\n    return a\n\n\n",
            entry_point="f",
        )
    ]


def test_a_prompt_may_be_no_whole_program():
    assert before_function("import re\ndef f(a):\n", "f") == "import re\n"
    assert before_function("def f_not(a):\n    pass\ndef f(", "f") == "def f_not(a):\n    pass\n"
    assert before_function("# write f\n", "f") == ""


def test_a_completion_ends_before_the_next_definition():
    for end in ("\nclass A:", "\ndef g():", "\n# Test", "\nif __name__", "\nprint(f(1))", "\n@cache", "\n```"):
        text = f"    return 2 * a\n    # more\n{end} and on"
        assert HUMANEVAL.cut_text(None, text) == "    return 2 * a\n    # more\n"
