"""The program in a reply, whatever stands around it: each case is a form that models write."""

import ast

import pytest

from chaku.evals.benchmarks.humaneval import HUMANEVAL
from chaku.evals.benchmarks.mbpp import MBPP_SANITIZED
from chaku.evals.chat import in_chat
from chaku.evals.extract import python_program
from evals.running import benchmark_file

PROMPT = 'from typing import List\n\n\ndef f(x: int) -> int:\n    """One more than x."""\n'


def answers(program, value=2):
    """Whether the program's f(1) is the value. The programs are this file's own."""
    space = {}
    exec(program, space)
    return space["f"](1) == value


F = "def f(x):\n    return x + 1\n"


@pytest.mark.parametrize(
    "reply",
    [
        F,
        f"```python\n{F}```",
        f"Sure! Here is the function:\n\n```py\n{F}```\n\nIt adds one.\n\n- simple\n- fast",
        f"~~~\n{F}~~~",
        f"```python\n{F}",
        f"{F}```\n\nThe block was opened before.",
        f"Here it is.\n\n{F}\nIt adds one to x.\nDone",
        f"```python\n{F}\nprint(f(3))\nassert f(3) == 4\n```\n```\n4\n```",
        f"```python\n{F}\nif __name__ == '__main__':\n    import sys\n    sys.exit(f(1))\n```",
        f"```python\n{F}\nimport doctest\ndoctest.testmod()\n```",
        f"```python\n{F}\nresult = f(3)\nif result != 4:\n    raise ValueError(result)\n```",
        f"```python\n{F}\ndef test_f():\n    assert f(0) == 0\n\ntest_f()\n```",
        f"```bash\npip install numpy\n```\n\n```python\n{F}```",
        "```python\nprint(f(1))\n```\nwith\n```python\n" + F + "```",
        "1. Write it:\n   ```python\n   def f(x):\n       return x + 1\n   ```\n2. Use it.",
        F.replace("\n", "\r\n"),
        "def f(x):\n\tif x:\n        y = x + 1\n\treturn y\n",
        "```python\n>>> def f(x):\n...     return x + 1\n...\n>>> f(1)\n2\n```",
        'def f(x):\n    """\n    >>> f(1)\n    2\n    """\n    return x + 1\n>>> f(1)\n2',
        "```python\nf = lambda x: x + 1\n```",
        "```\ntry:\n    from math import one\nexcept ImportError:\n    one = 1\ndef f(x):\n    return x + one\n```",
        "```python\nONE = 1\nTWO = ONE + 1\ndef f(x):\n    return TWO\n```",
        "```\ntable = []\ndef fill():\n    table.extend(range(1, 9))\nfill()\ndef f(x):\n    return table[x]\n```",
        "```python\nimport sys\nsys.setrecursionlimit(5000)\ndef f(x):\n    return x + 1\n```",
        f"```python\n{F}\ndef g(x):\n    return [x for",
        "```python\nfrom functools import cache\n@cache\ndef f(x):\n    return x + 1\n```",
        f"<think>def f(x): return 0</think>\n```python\n{F}```",
        "\x1b[1m" + F,
    ],
)
def test_a_whole_function_is_found(reply):
    program = python_program(reply, "f", PROMPT)
    assert answers(program)
    assert "print" not in program
    assert python_program(program, "f", PROMPT) == program


@pytest.mark.parametrize(
    "reply",
    [
        "    return x + 1\n",
        "```python\n    return x + 1\n```",
        "return x + 1",
        "y = x\n    return y + 1",
        "```\ny = x\nreturn y + 1\n```",
        "The body is:\n```python\n    for y in [x]:\n        return y + 1\n```",
    ],
)
def test_a_body_alone_completes_the_prompt(reply):
    assert answers(python_program(reply, "f", PROMPT))


def test_the_function_is_taken_from_the_block_that_has_it_and_its_helpers_from_the_others():
    reply = (
        "First a helper:\n```python\nimport math\ndef double(x):\n    return math.floor(2 * x)\n```\n"
        "Then:\n```python\ndef f(x):\n    return double(x)\n```\nAnother way:\n```python\ndef f(x):\n    return 0\n```"
    )
    assert answers(python_program(reply, "f"))


def test_a_stub_is_no_definition():
    stub = 'def f(x):\n    """Complete me."""\n'
    assert answers(python_program(f"You gave me\n```python\n{stub}```\nand here it is:\n```python\n{F}```", "f"))
    assert answers(python_program(f"```python\n{stub}\n{F}```", "f"))
    assert answers(python_program("```python\ndef f(x):\n    raise NotImplementedError\n```\n```\n" + F + "```", "f"))


def test_the_first_definition_of_a_name_counts():
    assert answers(python_program(f"```python\n{F}\ndef f(x):\n    return 'again, as models that loop do'\n```", "f"))


def test_white_space_in_texts_stays():
    reply = '```python\ndef f(x):\n    return len("""\n    \n""") - 4\n```'
    assert answers(python_program(reply, "f"))


def test_future_imports_stay_first():
    reply = f"```python\nimport math\nlog = math.log\n```\n```python\nfrom __future__ import annotations\n{F}y = log\n"
    assert python_program(reply.replace("x + 1", "x + 1 or log"), "f").startswith("from __future__")


def test_names_that_the_tests_use_are_kept():
    reply = f"class Node:\n    pass\nclass Other:\n    pass\n{F}"
    assert "Node" not in python_program(reply, "f")
    assert "class Node" in python_program(reply, "f", also=["Node"])
    assert "Other" not in python_program(reply, "f", also=["Node"])


def test_without_an_entry_point_the_blocks_are_joined():
    assert python_program("```python\nx = 1\n```\nand\n```python\ny = x\nprint(y)\n```") == "x = 1\ny = x\n"


def test_a_reply_that_nests_too_deeply_stays_as_it_is():
    reply = f"x = {'-' * 3000}1; y = 2\n{F}"
    assert python_program(reply, "f") in (reply, F)


def test_a_reply_without_code_stays_as_it_is():
    assert python_program("I cannot do that, sorry.", "f", PROMPT) == "I cannot do that, sorry."


WRAPPINGS = (
    "{}",
    "Sure!\n```python\n{}\n```\nIt works.",
    "Below is it:\n~~~py\n{}",
    "```python\n{}\nprint(1)\n```\n```python\nassert False\n```",
)


@pytest.mark.filterwarnings("ignore:invalid escape sequence")
@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize(
    ("benchmark", "file"),
    [(HUMANEVAL, "humaneval/HumanEval.jsonl.gz"), (MBPP_SANITIZED, "mbpp/sanitized-mbpp.json")],
    ids=["humaneval", "mbpp"],
)
def test_every_reference_program_survives(benchmark, file, wrapping):
    chat = in_chat(benchmark, {})
    for task in chat.load(benchmark_file(file)):
        [reference] = task.references
        program = chat.cut_text(task, wrapping.replace("{}", reference))
        assert ast.dump(ast.parse(program)) == ast.dump(ast.parse(reference)), task.task_id
