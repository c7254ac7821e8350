"""HumanEval+ and MBPP+ in both formats; EvalPlus's rule for answers, and the strict one beside it."""

import json
import math

import pytest

from chaku import ChakuError
from chaku.evals.benchmarks import evalplus, evalplus_check
from chaku.evals.benchmarks.evalplus_inputs import restore_types
from chaku.sandbox.probe import check_sandbox
from evals.running import benchmark_file, judge

sandboxed = pytest.mark.skipif(check_sandbox() is not None, reason=f"programs are NOT run: {check_sandbox()}")

OWN = {
    "task_id": "HumanEval/900",
    "prompt": 'import math\n\n\ndef half(a):\n    """Half of a."""\n',
    "entry_point": "half",
    "canonical_solution": "    return a / 2\n",
    "test": "def check(candidate):\n    assert candidate(2) == 1\n",  # the base test, which is not enough
    "contract": "",
    "base_input": [[2]],
    "plus_input": [[3], [1e9], [-1]],
    "atol": 0,
}
HUB = {
    "task_id": 901,
    "code": "def pairs(n):\n    return [(k, k / 2) for k in range(n)]",
    "prompt": "Write a function to give pairs.",
    "source_file": "",
    "test_imports": [],
    "test_list": ["assert pairs(1) == [(0, 0.0)]"],
    "test": (
        "import numpy as np\nfrom math import inf\n\ndef assertion(out, exp, atol):\n    assert out == exp\n\n"
        "inputs = [[0], [1], [5]]\nresults = [[], [], []]\n"
        "for i, (inp, exp) in enumerate(zip(inputs, results)):\n    assertion(pairs(*inp), exp, 0.5)\n"
    ),
}


def load(loader, tmp_path, *rows):
    path = tmp_path / "plus.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return loader(path)


def test_evalplus_own_format_takes_all_inputs(tmp_path):
    [task] = load(evalplus.load_humaneval_plus, tmp_path, OWN)
    assert (task.prompt, task.references) == (OWN["prompt"], (OWN["canonical_solution"],))
    assert task.data["inputs"] == ["[[2]]", "[[3], [1000000000.0], [-1]]"]


def test_the_hubs_format_is_read_from_its_test(tmp_path):
    [task] = load(evalplus.load_mbpp_plus, tmp_path, HUB)
    assert task.task_id == "Mbpp/901"
    assert task.prompt == '"""\nWrite a function to give pairs.\nassert pairs(1) == [(0, 0.0)]\n"""\n'
    about = [task.data[name] for name in ("entry_point", "inputs", "atol")]
    assert about == ["pairs", ["[[0], [1], [5]]"], 0.5]
    with pytest.raises(ChakuError, match="Mbpp/901 has neither `plus_input` nor a `test` with inputs"):
        load(evalplus.load_mbpp_plus, tmp_path, {**HUB, "test": "assert True"})


@sandboxed
def test_an_answer_that_only_passes_the_base_tests_fails(tmp_path):
    [task] = load(evalplus.load_humaneval_plus, tmp_path, OWN)
    [other] = load(evalplus.load_mbpp_plus, tmp_path, HUB)
    completions = (
        "    return a / 2\n",
        "    return a // 2\n",
        "    return math.fsum([a / 4, a / 4])\n",
        "    return 0\n",
    )
    judged = judge(evalplus.HUMANEVAL_PLUS, [(task, completion) for completion in completions], tmp_path / "own")
    assert [verdict.passed for verdict in judged] == [True, False, True, False]
    assert [verdict.measures["base"] for verdict in judged] == [100, 100, 100, 0]
    assert judged[1].reason == "AssertionError: half(3,) is 1, not 1.5"
    programs = (HUB["code"], HUB["code"].replace("k / 2", "k"))
    judged = judge(evalplus.MBPP_PLUS, [(other, program) for program in programs], tmp_path / "hub")
    assert [(verdict.passed, dict(verdict.measures)) for verdict in judged] == [
        (True, {"strict": 100.0}),
        (False, {"strict": 0.0}),
    ]


CASES = [  # answer, expected, the problem's tolerance, right by EvalPlus's rule, right by the strict one
    (1.0 + 1e-7, 1.0, 0, True, True),
    (1.0 + 1e-5, 1.0, 0, False, False),
    ([0.1 + 0.2, 1.0], [0.3, 1.0], 0, True, True),
    ((0.3, 1.0), [0.3, 1.0], 0, False, False),
    ([0.3], [0.3, 1.0], 0, False, False),
    (1.05, 1.0, 0.1, True, True),
    ([[1.05]], [[1.0]], 0.1, True, True),
    (math.inf, math.inf, 0, True, True),
    (1.0, math.inf, 0.1, False, False),
    (math.inf, 1e308, 0.1, False, False),
    (True, 1, 0, True, False),
    (1, True, 0, True, False),
    (0, False, 0, True, False),  # HumanEval/147's reference answers False, its prompt asks for a number
    ([1, 0], [1, False], 0, True, False),  # MBPP 632's
    ({"a": 1}, {"a": True}, 0, True, False),
    (True, True, 0, True, True),
    (2, True, 0, False, False),
    (1, 1.0, 0, True, True),
    (3, 3.0000001, 0, False, False),  # a tolerance is for answers of the expected type
    ("a", "a", 0, True, True),
    ("a", ["a"], 0, False, False),
    (None, None, 0, True, True),
    (None, 0, 0, False, False),
    ({"a": 1}, {"a": 1}, 0, True, True),
    ({"a": 1, "b": 2}, {"a": 1}, 0, False, False),
    ({1, 2}, {2, 1}, 0, True, True),
    (frozenset({1}), {1}, 0, True, True),
    ([], [], 0, True, True),
    ([], (), 0, False, False),
]


@pytest.mark.parametrize(("answer", "expected", "atol", "official", "strict"), CASES)
def test_an_answer_is_judged_by_evalplus_rule_and_by_the_strict_one(answer, expected, atol, official, strict):
    def check():
        return evalplus_check.check_answers(lambda: answer, lambda: expected, [[]], atol, "f")

    if official:
        assert (check() == "") is strict
    else:
        with pytest.raises(AssertionError, match=r"f\(\) is .*, not "):
            check()


class Equal:
    """Claims to be equal to everything."""

    def __eq__(self, other):
        return True

    __hash__ = None


@pytest.mark.parametrize("expected", [1, 1.5, "a", None, True, [1], (1,), {"a": 1}, {1}])
def test_an_object_that_claims_to_be_equal_is_not(expected):
    with pytest.raises(AssertionError):
        evalplus_check.check_answers(lambda: Equal(), lambda: expected, [[]], 0.1, "f")


def test_a_tolerance_stays_for_the_answers_after_it_but_not_by_the_strict_rule():
    answers = iter([0.5, 1.0000001])
    loose = evalplus_check.check_answers(lambda a: next(answers), lambda a: a, [[0.5], [1.0]], 0, "f")
    assert loose == ""
    answers = iter([0.5, [[1.0, 1.0000001]]])
    with pytest.raises(AssertionError):  # before a tolerance was given
        evalplus_check.check_answers(lambda a: [[1.0, 1.0000001]], lambda a: [[1, 1]], [[0]], 0, "f")
    loose = evalplus_check.check_answers(lambda a: next(answers), lambda a: 0.5 if a else [[1, 1]], [[1], [0]], 0, "f")
    assert loose == "f(0,) is [[1.0, 1.0000001]], not [[1, 1]]"


@sandboxed
def test_zero_where_false_is_due_passes_as_it_does_officially_and_is_told_apart(tmp_path):
    row = OWN | {"canonical_solution": "    return a > 2 and a\n"}
    [task] = load(evalplus.load_humaneval_plus, tmp_path, row)
    completions = ("    return a if a > 2 else 0\n", "    return a > 2 and a\n", "    return a\n")
    judged = judge(evalplus.HUMANEVAL_PLUS, [(task, completion) for completion in completions], tmp_path)
    assert [(verdict.verdict, verdict.passed) for verdict in judged] == [("passed", True)] * 2 + [("failed", False)]
    assert [dict(verdict.measures) for verdict in judged] == [
        {"base": 100.0, "strict": 0.0},
        {"base": 100.0, "strict": 100.0},
        {"base": 0.0, "strict": 0.0},
    ]


@sandboxed
@pytest.mark.parametrize(
    ("file", "task_id", "completion"),
    [
        (
            "humaneval",
            "HumanEval/147",
            "    z = (n + 1) // 3\n    o = n - z\n    t = lambda k: k*(k-1)*(k-2)//6\n    return t(o) + t(z)\n",
        ),
        (
            "mbpp",
            "Mbpp/632",
            "def move_zero(a):\n    return [x for x in a if x != 0] + [x for x in a if x == 0]\n",
        ),
    ],
)
def test_right_answers_whose_type_is_another_than_the_references_pass(file, task_id, completion, tmp_path):
    benchmark = {"humaneval": evalplus.HUMANEVAL_PLUS, "mbpp": evalplus.MBPP_PLUS}[file]
    path = benchmark_file({"humaneval": evalplus.HUMANEVAL_FILE, "mbpp": evalplus.MBPP_FILE}[file])
    task = next(task for task in benchmark.load(path) if task.task_id == task_id)
    [judgement] = judge(benchmark, [(task, completion)], tmp_path)
    assert (judgement.reason, judgement.passed, judgement.measures["strict"]) == ("", True, 0.0)


def test_a_candidate_that_changes_its_arguments_changes_nothing_else():
    def popping(values):
        return values.pop()

    evalplus_check.check_answers(popping, popping, [[[1, 2]], [[3]]], 0, "f")


@pytest.mark.parametrize(
    ("name", "answer", "expected", "arguments", "right"),
    [
        ("find_zero", 2.0, 1.0, [[-6.0, 1.0, 1.0]], True),  # the other root of (x - 2)(x + 3) counts as well
        ("find_zero", 2.1, 2.0, [[-6.0, 1.0, 1.0]], False),
        ("sum_div", 0, 7, [8], True),
        ("sum_div", 6, 7, [8], False),
        ("similar_elements", [3, 1], (1, 3), [], True),
        ("similar_elements", (1,), (1, 3), [], False),
        ("check_str", True, object(), [], True),
        ("check_str", "a match", object(), [], True),
        ("check_str", None, object(), [], False),
        ("check_str", False, None, [], True),
        ("surface_Area", 33, 33, [3, 4], True),
        ("surface_Area", 35, 33, [3, 4], True),
        ("surface_Area", 34, 33, [3, 4], False),
        ("digit_distance_nums", 1, 1, [1, 2], True),
        ("digit_distance_nums", 6, 3, [123, 256], False),
        ("digit_distance_nums", 3, 2, [12, 2], False),
        ("digit_distance_nums", 1, 2, [12, 2], True),
    ],
)
def test_problems_with_several_right_answers(name, answer, expected, arguments, right):
    assert evalplus_check.ORACLES[name](answer, expected, arguments, evalplus_check.equal) is right


def test_json_inputs_get_their_types_again():
    assert restore_types("Mbpp/2", [[[1, 2], [3]]]) == [[(1, 2), (3,)]]
    assert restore_types("Mbpp/63", [[[[1, 2], [3, 4]]]]) == [[[(1, 2), (3, 4)]]]
    assert restore_types("Mbpp/75", [[[[1, 2]], 6]]) == [[[(1, 2)], 6]]
    assert restore_types("Mbpp/106", [[[1], [2]]]) == [[[1], (2,)]]
    assert restore_types("Mbpp/115", [[[[1, 2], []]]]) == [[[{1, 2}, {}]]]
    assert restore_types("Mbpp/124", [["1.5", "2j"]]) == [[1.5, 2j]]
    assert restore_types("Mbpp/252", [["(1+2j)"]]) == [[1 + 2j]]
    assert restore_types("Mbpp/259", [[[[1], [2]], [[3]]]]) == [[((1,), (2,)), ((3,),)]]
    assert restore_types("Mbpp/278", [[[4, [5, 6]]]]) == [[(4, (5, 6))]]
    assert restore_types("Mbpp/307", [[[1, 2], 0, 5]]) == [[(1, 2), 0, 5]]
    assert restore_types("Mbpp/580", [[[1, [2, [3]]]]]) == [((1, (2, (3,))),)]
    assert restore_types("Mbpp/722", [[{"a": [1, 2]}, 6]]) == [[{"a": (1, 2)}, 6]]
    assert restore_types("Mbpp/3", [[[1]]]) == [[[1]]]


@sandboxed
@pytest.mark.parametrize("name", ["difference", "cut", "equal", "check_answers", "math", "copy"])
def test_a_function_may_be_called_as_one_of_the_checkers_is(tmp_path, name):
    """MBPP 555's is `difference`."""
    row = {**HUB, "code": HUB["code"].replace("pairs", name), "test": HUB["test"].replace("pairs", name)}
    row["test_list"] = [test.replace("pairs", name) for test in HUB["test_list"]]
    [task] = load(evalplus.load_mbpp_plus, tmp_path, row)
    assert task.data["entry_point"] == name
    judged = judge(evalplus.MBPP_PLUS, [(task, row["code"]), (task, row["code"].replace("k / 2", "k"))], tmp_path / "o")
    assert [verdict.passed for verdict in judged] == [True, False]
