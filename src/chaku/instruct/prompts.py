"""What a model is asked: for questions, for unit tests, for solutions; and what is read from its answers.

The forms are those of the paper's appendix: 50 questions a prompt; one worked example, tests between [TESTS] tags, each
assert under a numbered comment; one worked example, code between [PYTHON] tags, one of the tests shown.
"""

import re
import string
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

from chaku.errors import ChakuError
from chaku.evals.fences import code_blocks
from chaku.files import sha256_json

QUESTIONS = """\
Below are {count} different programming interview questions, easy to medium hard and as varied as possible. \
Each can be solved by one standalone Python function that uses nothing but the standard library, and says what the \
function takes and what it returns. One question a line, numbered.
{seed}
1."""
TESTS = """\
Write unit tests for a Python question: asserts, each under a numbered comment, between [TESTS] and [/TESTS].

Question: Write a Python function that returns the longest word of a text, the first of them if several are as long, \
and an empty string for a text without words.
[TESTS]
# Test case 1:
assert longest_word("a bird in the hand") == "bird"
# Test case 2:
assert longest_word("one two six") == "one"
# Test case 3:
assert longest_word("") == ""
# Test case 4:
assert longest_word("  word ") == "word"
[/TESTS]

Question: {question}
[TESTS]
"""
SOLUTION = """\
Write a Python function that answers a question, between [PYTHON] and [/PYTHON]. It has to pass the given test, and \
others that are not shown.

Question: Write a Python function that returns the longest word of a text, the first of them if several are as long, \
and an empty string for a text without words.
Test: assert longest_word("a bird in the hand") == "bird"
[PYTHON]
def longest_word(text):
    return max(text.split(), key=len, default="")
[/PYTHON]

Question: {question}
Test: {test}
[PYTHON]
"""


@dataclass(frozen=True)
class Prompts:
    """Templates: `questions` takes {count} and {seed}, `tests` {question}, `solution` {question} and {test}.

    A completion goes on where they end; sent as a message, the answer may open its tag again.
    """

    questions: str = QUESTIONS
    tests: str = TESTS
    solution: str = SOLUTION

    @property
    def sha256(self) -> str:
        return sha256_json([self.questions, self.tests, self.solution])


def load_prompts(path: Path) -> Prompts:
    """Templates from a TOML file; what it leaves out is the paper's. Raises ChakuError for a wrong key or field."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ChakuError(f"cannot read the prompts of {path}: {error}") from error
    allowed = {"questions": {"count", "seed"}, "tests": {"question"}, "solution": {"question", "test"}}
    for key, value in values.items():
        if key not in allowed or not isinstance(value, str):
            raise ChakuError(
                f"{path}: {key!r} is no template; there are {', '.join(field.name for field in fields(Prompts))}"
            )
        try:
            used = {name for _, name, _, _ in string.Formatter().parse(value) if name is not None}
        except ValueError as error:
            raise ChakuError(f"{path}: {key}: {error}; a brace that is meant is written twice") from None
        if unknown := used - allowed[key]:
            raise ChakuError(
                f"{path}: {key} has {{{sorted(unknown)[0]}}}; it may have {', '.join(sorted(allowed[key]))}; "
                "a brace that is meant is written twice"
            )
    return Prompts(**values)


def read_questions(text: str) -> list[str]:
    """The questions of an answer that begins after "1.". The last counts only where a line end shows it whole."""
    lines = f"1. {text.removeprefix('1.').lstrip()}".split("\n")
    numbered = [re.match(r"\s*\d+[.)]\s+(\S.*)", line) for line in lines]
    whole = numbered[:-1] if len(lines) > 1 else []
    return [" ".join(match[1].split()) for match in whole if match]


def between(text: str, tag: str) -> str:
    """What stands before [/TAG], after the last [TAG] before it; of fenced blocks, the first."""
    inside = text.split(f"[/{tag}]")[0]
    inside = inside.rsplit(f"[{tag}]", 1)[-1]
    blocks = code_blocks(inside)
    return f"{(blocks[0].code if blocks else inside).strip()}\n"
