"""The prompts of self-instruct, and the parsing of the replies.

The forms for questions, tests and solutions come from the appendix of the Code Llama paper. A prompt for questions asks
for 50. A prompt for tests has one worked example; asserts stand under numbered comments between [TESTS] tags. A prompt
for a solution has one worked example and shows one of the tests; code stands between [PYTHON] tags.
"""

import re
import string
import tomllib
from dataclasses import dataclass
from pathlib import Path

from chaku.errors import ChakuError
from chaku.evals.fences import code_blocks
from chaku.settings import setting

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
CORRECTION = """\
A Python function answers a question, but fails one of its tests. Write the function again, so that it passes this \
test and others that are not shown, between [PYTHON] and [/PYTHON].

Question: {question}
[PYTHON]
{program}
[/PYTHON]
Test: {test}
Error: {error}
[PYTHON]
"""
EVOLVE = """\
Rewrite a programming question. {demand} The new question stands alone: it says what the function takes and what it \
returns, and never speaks of another question. One standalone Python function can still answer it, with nothing but \
the standard library. Write the new question between [QUESTION] and [/QUESTION].

Old: {question}
[QUESTION]
"""
INSPIRE = """\
Take an idea from the lines of code below for a programming question. The question does not need the lines, and does \
not speak of them: it says what the function takes and what it returns. One standalone Python function can answer it, \
with nothing but the standard library. Write the question between [QUESTION] and [/QUESTION].

{snippet}
[QUESTION]
"""


@dataclass(frozen=True)
class Prompts:
    """Templates, with the fields that FIELDS lists.

    A completion continues the end of a template. A reply to the template as a chat message may repeat the opening tag.
    """

    questions: str = QUESTIONS
    tests: str = TESTS
    solution: str = SOLUTION
    correction: str = setting(CORRECTION, added_later=True)
    evolve: str = setting(EVOLVE, added_later=True)
    inspire: str = setting(INSPIRE, added_later=True)


LABEL = re.compile(r"^\W*(new|rewritten)?\s*(question|problem|task)?\W*?:\W*?\s+", re.IGNORECASE)
FIELDS = {
    "questions": {"count", "seed"},
    "tests": {"question"},
    "solution": {"question", "test"},
    "correction": {"question", "program", "test", "error"},
    "evolve": {"question", "demand"},
    "inspire": {"snippet"},
}


def load_prompts(path: Path) -> Prompts:
    """Read templates from a TOML file; the default is the paper's form. Raises ChakuError for a wrong key or field."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ChakuError(f"cannot read the prompts of {path}: {error}") from error
    for key, value in values.items():
        if key not in FIELDS or not isinstance(value, str):
            raise ChakuError(f"{path}: {key!r} is no template; set {', '.join(FIELDS)} to strings")
        try:
            used = {name for _, name, _, _ in string.Formatter().parse(value) if name is not None}
        except ValueError as error:
            raise ChakuError(f"{path}: {key}: {error}; write a literal brace twice") from None
        if unknown := used - FIELDS[key]:
            raise ChakuError(
                f"{path}: {key} has {{{sorted(unknown)[0]}}}; its fields are {', '.join(sorted(FIELDS[key]))}; "
                "write a literal brace twice"
            )
    return Prompts(**values)


def read_questions(text: str) -> list[str]:
    """The questions of a reply to `Prompts.questions`, which begins after "1."; drops a last line without an end."""
    lines = f"1. {text.removeprefix('1.').lstrip()}".split("\n")
    numbered = [re.match(r"\s*\d+[.)]\s+(\S.*)", line) for line in lines]
    whole = numbered[:-1] if len(lines) > 1 else []
    return [" ".join(match[1].split()) for match in whole if match]


def read_question(text: str) -> str:
    """The question of a reply to `evolve` or `inspire`, without a label that the model put before it ("New: ...")."""
    return LABEL.sub("", tagged(text, "QUESTION"))


def between(text: str, tag: str) -> str:
    """The program of a reply: `tagged`, or the first fenced block of this text, if it has any."""
    inside = tagged(text, tag)
    blocks = code_blocks(inside)
    return f"{(blocks[0].code if blocks else inside).strip()}\n"


def tagged(text: str, tag: str) -> str:
    """The text before [/TAG], after the last [TAG] there."""
    return text.split(f"[/{tag}]")[0].rsplit(f"[{tag}]", 1)[-1].strip()
