"""Blocks of code as models write them."""

import pytest

from chaku.evals.fences import CodeBlock, clean, code_blocks


def test_blocks_come_in_order_with_their_languages():
    text = "Use:\n```python\nx = 1\n\ny = 2\n```\nor\n  ```\n  z\n  ```\nand `x` and\n```sh\nls"
    assert code_blocks(text) == [
        CodeBlock("python", "x = 1\n\ny = 2\n"),
        CodeBlock("", "z\n"),
        CodeBlock("sh", "ls\n"),
    ]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("```Python\nx\n```", "python"),
        ('```python title="x.py"\nx\n```', "python"),
        ("``` {.python .numberLines}\nx\n```", "python"),
        ("~~~c++\nx\n~~~", "c++"),
        ("````py\nx\n````", "py"),
        ("Here it is: ```python\nx\n```", "python"),
        ("1. first\n   ```python\n   x\n   ```", "python"),
        ("say ```x``` inline", ""),
        ("```python\r\nx\r\n```", "python"),
    ],
)
def test_fences_of_any_kind(text, language):
    assert code_blocks(text) == [CodeBlock(language, "x\n")]


def test_a_fence_closes_with_its_own_sign_and_length():
    assert code_blocks("````\n```\nx\n```\n````") == [CodeBlock("", "```\nx\n```\n")]
    assert code_blocks("~~~\n```\n~~~") == [CodeBlock("", "```\n")]


def test_the_fences_of_a_docstring_close_nothing():
    code = 'def f():\n    """\n    ```\n    f()\n    ```\n    """\n'
    assert code_blocks(f"```python\n{code}```\nmore") == [CodeBlock("python", code)]


def test_a_fence_that_leaves_the_code_unfinished_is_passed_over():
    code = 'text = """\n```\nnot the end\n```\n"""\n'
    assert code_blocks(f"```\n{code}```", lambda code: code.count('"""') == 2) == [CodeBlock("", code)]


def test_a_text_without_fences_has_no_blocks():
    assert code_blocks('x = "```python"\nprint(x)\n') == []


def test_colours_line_ends_and_reasoning_are_taken_away():
    assert clean("<think>\n```python\nx\n```\n</think>\n\x1b[32mhello\x1b[0m\r\n") == "\nhello\n"
    assert clean("thought alone</think>") == "thought alone</think>"
