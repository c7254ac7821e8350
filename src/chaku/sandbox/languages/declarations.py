"""The functions that a prompt declares, in compiled languages: their tests are compiled against the declaration alone.

The tests' own unit wraps each function under the declaration of the prompt. So a name of a type means there what it
means in the language and in the prompt's imports, whatever the candidate defines under that name.
"""

import re
from dataclasses import dataclass

from chaku.errors import ChakuError
from chaku.sandbox.verdict import Job

# A method of Java or C#, by its modifiers.
_METHOD = (
    r"^[ \t]*(?P<head>(?:public|private|protected|static|final)\b[^\n;{}()=]*[ \t](?P<name>\w+)[ \t]*"
    r"\((?P<parameters>[^(){}]*)\)[^\n;{}=]*)\{"
)
_HEADS = {
    "java": _METHOD,
    "csharp": _METHOD,
    "d": r"^(?P<head>[^\s;{}/*][^;{}\n]*?[ \t](?P<name>\w+)[ \t]*\((?P<parameters>[^;{}\n]*)\))[ \t]*$",
    "go": r"^(?P<head>func[ \t]+(?P<name>\w+)[ \t]*\((?P<parameters>(?:[^(){}\n]|\{\})*)\)[^\n]*?)[ \t]*\{[ \t]*$",
    "rust": r"^[ \t]*(?:pub[ \t]+)?(?P<head>fn[ \t]+(?P<name>\w+)(?:<[^()\n]*>)?[ \t]*\((?P<parameters>[^{}\n]*?)\)"
    r"(?:[ \t]*->[^\n{]*)?)\{[ \t]*$",
    "scala": r"^[ \t]*(?P<head>def[ \t]+(?P<name>\w+)[ \t]*\((?P<parameters>[^\n{}=]*)\)[ \t]*:[^\n{}=]*)="
    r"[ \t]*\{[ \t]*$",
}
_NAME_FIRST = {"go", "rust", "scala"}  # `x: int`; elsewhere `int x`
_COMMENT_OR_TEXT = re.compile(
    r"//[^\n]*|/\*.*?\*/|\"\"\".*?\"\"\"|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.[^'\n]*|[^'\\\n])'", re.DOTALL
)


@dataclass(frozen=True)
class Function:
    """`head`: the declaration up to its body. `arguments`: the names of its parameters, with commas between."""

    name: str
    head: str
    arguments: str


def declared(job: Job) -> list[Function]:
    """The functions that the prelude of a job declares. Raises ChakuError where there is none."""
    found = []
    for match in re.finditer(_HEADS[job.language], without_comments(job.prelude), re.MULTILINE):
        parameters = _split(match["parameters"])
        at = 0 if job.language in _NAME_FIRST else -1
        names = [
            re.findall(r"\w+", re.sub(r"^\s*mut\b", "", parameter.partition("=")[0]))[at] for parameter in parameters
        ]
        found.append(Function(match["name"], match["head"].strip(), ", ".join(names)))
    if not found:
        raise ChakuError(
            f"the tests of a {job.language} candidate need the declaration of its function: give the prompt, up to the "
            "bracket that opens the function, as the job's prelude"
        )
    return found


def without_comments(text: str) -> str:
    """A program in a language like C without its comments, and with nothing between its quotes."""
    return _COMMENT_OR_TEXT.sub(lambda found: " " if found[0].startswith("/") else '""', text)


def _split(parameters: str) -> list[str]:
    """The parameters between commas, of which those inside brackets are no such."""
    parts, depth = [""], 0
    for character in parameters:
        depth += {"(": 1, "[": 1, "<": 1, "{": 1, ")": -1, "]": -1, ">": -1, "}": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part for part in parts if part.strip()]
