"""What is read from answers, and templates from a file."""

from pathlib import Path

import pytest

from chaku.errors import ChakuError
from chaku.instruct.prompts import Prompts, between, load_prompts, read_question, read_questions


def test_questions_are_numbered_lines_and_a_cut_one_is_left_out() -> None:
    assert read_questions(" First one?\n2. Second  one?\n\nWords.\n3) Third?\n4. Cut") == [
        "First one?",
        "Second one?",
        "Third?",
    ]
    assert read_questions("1. Again numbered?\n") == ["Again numbered?"]
    assert read_questions("only a beginning") == []


@pytest.mark.parametrize(
    "label", ["", "New: ", "**New question:** ", "### Rewritten Question:\n", "[QUESTION]\nTask: "]
)
def test_a_label_before_a_question_is_left_out(label: str) -> None:
    question = "New lists: write a function that takes [them](x), new: sorted."
    assert read_question(f"{label}{question}\n[/QUESTION] more") == question


@pytest.mark.parametrize(
    "answer",
    [
        "def f():\n    return 1\n[/PYTHON]\nand more",
        "Sure:\n[PYTHON]\ndef f():\n    return 1\n[/PYTHON]",
        "```python\ndef f():\n    return 1\n```\n[/PYTHON]",
        "[PYTHON]\n```\ndef f():\n    return 1\n```",
        " def f():\n    return 1",
    ],
)
def test_code_is_read_whether_the_answer_goes_on_or_opens_its_tag_again(answer: str) -> None:
    assert between(answer, "PYTHON") == "def f():\n    return 1\n"


def test_the_prompts_have_one_worked_example_and_show_one_test() -> None:
    prompts = Prompts()
    asked = prompts.solution.format(question="Q?", test="assert f(1) == 2")
    assert asked.count("[PYTHON]\ndef ") == 1
    assert asked.endswith("Test: assert f(1) == 2\n[PYTHON]\n")
    assert "# Test case 1:\nassert" in prompts.tests.format(question="Q?")
    assert "50 different" in prompts.questions.format(count=50, seed="")


def test_templates_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "prompts.toml"
    path.write_text('solution = "{question} -> "')
    assert load_prompts(path) == Prompts(solution="{question} -> ")
    for text, problem in (
        ('solutions = ""', "no template"),
        ('tests = "{test}"', r"its fields are question"),
        ('tests = "{"', "write a literal brace twice"),
        ("tests = ", "cannot read"),
    ):
        path.write_text(text)
        with pytest.raises(ChakuError, match=problem):
            load_prompts(path)
