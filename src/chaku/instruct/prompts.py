"""The prompts of self-instruct, for questions, unit tests and solutions, and the parsing of the replies.

The forms come from the appendix of the Code Llama paper. A prompt for questions asks for 50. A prompt for tests has one
worked example; asserts stand under numbered comments between [TESTS] tags. A prompt for a solution has one worked
example and shows one of the tests; code stands between [PYTHON] tags.
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

    A completion continues the end of a template. A reply to the template as a chat message may repeat the opening tag.
    """

    questions: str = QUESTIONS
    tests: str = TESTS
    solution: str = SOLUTION

    @property
    def sha256(self) -> str:
        return sha256_json([self.questions, self.tests, self.solution])


def load_prompts(path: Path) -> Prompts:
    """Read templates from a TOML file; the default is the paper's form. Raises ChakuError for a wrong key or field."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ChakuError(f"cannot read the prompts of {path}: {error}") from error
    allowed = {"questions": {"count", "seed"}, "tests": {"question"}, "solution": {"question", "test"}}
    for key, value in values.items():
        if key not in allowed or not isinstance(value, str):
            raise ChakuError(
                f"{path}: {key!r} is no template; set {', '.join(field.name for field in fields(Prompts))} to strings"
            )
        try:
            used = {name for _, name, _, _ in string.Formatter().parse(value) if name is not None}
        except ValueError as error:
            raise ChakuError(f"{path}: {key}: {error}; write a literal brace twice") from None
        if unknown := used - allowed[key]:
            raise ChakuError(
                f"{path}: {key} has {{{sorted(unknown)[0]}}}; its fields are {', '.join(sorted(allowed[key]))}; "
                "write a literal brace twice"
            )
    return Prompts(**values)


def read_questions(text: str) -> list[str]:
    """The questions of a reply to `Prompts.questions`, which begins after "1."; drops a last line without an end."""
    lines = f"1. {text.removeprefix('1.').lstrip()}".split("\n")
    numbered = [re.match(r"\s*\d+[.)]\s+(\S.*)", line) for line in lines]
    whole = numbered[:-1] if len(lines) > 1 else []
    return [" ".join(match[1].split()) for match in whole if match]


def between(text: str, tag: str) -> str:
    """The text before [/TAG], after the last [TAG] there; or the first fenced block of this text, if it has any."""
    inside = text.split(f"[/{tag}]")[0]
    inside = inside.rsplit(f"[{tag}]", 1)[-1]
    blocks = code_blocks(inside)
    return f"{(blocks[0].code if blocks else inside).strip()}\n"
