"""CRUXEval: prompts, answers out of replies, and verdicts that an answer cannot force."""

import json

import pytest

from chaku.evals.benchmarks.cruxeval import CRUXEVAL, answer_of
from chaku.evals.chat import in_chat
from evals.running import benchmark_file, judge

BY_NAME = {name.name: name for name in CRUXEVAL}
ROW = {"id": "sample_0", "code": "def f(a, b=1):\n    return [a] * b", "input": "'==', b=2", "output": "['==', '==']"}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "cruxeval.jsonl"
    path.write_text(json.dumps(ROW))
    return path


def test_prompts_end_where_the_answer_begins(path):
    prompts = {name: benchmark.load(path)[0].prompt for name, benchmark in BY_NAME.items()}
    assert list(prompts) == ["cruxeval-o", "cruxeval-o-cot", "cruxeval-i", "cruxeval-i-cot"]
    asked = f"\n\n[PYTHON]\n{ROW['code']}\nassert f({ROW['input']}) == ??\n[/PYTHON]\n"
    assert prompts["cruxeval-o"].endswith(f"{asked}[ANSWER]\n")
    assert prompts["cruxeval-o-cot"].endswith(f"{asked}[THOUGHT]\n")
    asked = f"\n\n[PYTHON]\n{ROW['code']}\nassert f(??) == {ROW['output']}\n[/PYTHON]\n"
    assert prompts["cruxeval-i"].endswith(f"{asked}[ANSWER]\n")
    assert prompts["cruxeval-i-cot"].endswith(f"{asked}[THOUGHT]\n")
    assert prompts["cruxeval-i-cot"].count("[ANSWER]") == 2  # in the instruction, and in the example
    assert BY_NAME["cruxeval-o"].stops == ("[/ANSWER]",)


@pytest.mark.parametrize(
    ("text", "output", "given"),
    [
        ("assert f(1) == [2, 3]", "[2, 3]", "f(1)"),
        ("assert f('a == b') == 'c == d'", "'c == d'", "f('a == b')"),
        ("f(1, b=2) == 'x'", "'x'", "f(1, b=2)"),
        ("assert f(1) == 2, 'because'", "2", "f(1)"),
        ("Let us see.\n[/THOUGHT]\n[ANSWER]\nassert f(1) == 2\n[/ANSWER]\nmore", "2", "f(1)"),
        ("[ANSWER]\n```python\nassert f(1) == 2\n```\n[/ANSWER]", "2", "f(1)"),
        ("The answer:\nassert f(1) == 2", "2", "f(1)"),
        ("assert f(1) == 2\n\n[PYTHON]\ndef f(x):", "2", "f(1)"),
        ("assert f(1) == 2 words", "2 words", "f(1)"),
    ],
)
def test_the_asked_side_is_taken_out_of_a_reply(text, output, given):
    assert answer_of("output", text) == output
    assert answer_of("input", text) == given


def test_an_expression_alone_is_an_answer():
    assert answer_of("output", " [1, 2]\n") == "[1, 2]"
    assert answer_of("input", "f([1, 2])") == "f([1, 2])"


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        (
            "cruxeval-o",
            ["['==', '==']", "['=='] * 2"],
            ["['==']", "f('==', b=2)", "nonsense here", "(", "__import__('os')._exit(0)", "10 ** 10 ** 10"],
        ),
        (
            "cruxeval-i",
            ["f('==', 2)", "f(b=2, a='==')", "f(a='==', b=len(f(1, 2)))"],
            ["f('==', 3)", "'==', 2", "f() or ['==', '==']", "['==', '==']", "f(", "f(1, 2, 3)", ""],
        ),
    ],
)
def test_answers_are_judged_by_running(name, right, wrong, path, tmp_path):
    benchmark = BY_NAME[name]
    [task] = benchmark.load(path)
    judgements = judge(benchmark, [(task, reference) for reference in (*task.references, *right, *wrong)], tmp_path)
    passed = [judgement.passed for judgement in judgements]
    assert passed == [True] * (1 + len(right)) + [False] * len(wrong), judgements


def test_an_answer_that_is_equal_to_everything_does_not_pass(path, tmp_path):
    benchmark = BY_NAME["cruxeval-o"]
    [task] = benchmark.load(path)
    cheat = "type('E', (), {'__eq__': lambda *_: True})()"
    [judgement] = judge(benchmark, [(task, cheat)], tmp_path)
    assert not judgement.passed


def test_a_chat_model_reads_the_same_prompt(path):
    benchmark = BY_NAME["cruxeval-o-cot"]
    chat = in_chat(benchmark, BY_NAME)
    assert chat.load(path)[0].prompt == benchmark.load(path)[0].prompt
    assert (chat.opening, chat.stops) == ("", ("[/ANSWER]",))


@pytest.mark.parametrize("name", ["cruxeval-o", "cruxeval-i"])
def test_the_references_of_the_real_file_pass(name, tmp_path):
    benchmark = BY_NAME[name]
    tasks = benchmark.load(benchmark_file("cruxeval/cruxeval.jsonl.gz"))
    assert len(tasks) == 800
    some = tasks[::20]
    assert all(verdict.passed for verdict in judge(benchmark, [(task, task.references[0]) for task in some], tmp_path))
