"""Finds the functions that a prompt declares; the tests of compiled languages are compiled against these declarations.

The tests' file wraps each function with the prompt's declaration. A type's name in the tests therefore means the type
of the language or of the prompt's imports, even if the candidate defines another type of that name.
"""

import re
from dataclasses import dataclass

from chaku.errors import ChakuError
from chaku.sandbox.verdict import Job

# A method of Java or C#, recognised by its modifiers.
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
_IMPORTS = {
    "java": r"^import\b[^;]*;",
    "csharp": r"^using\b[^;=(]*;",
    "d": r"^import\b[^;]*;",
    "rust": r"^use\b[^;]*;",
    "scala": r"^import\b.*",
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
    """The functions that the prelude of a job declares. Raises ChakuError when the prelude declares none."""
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


def imports_of(job: Job) -> list[str]:
    """The imports in the prelude of a job."""
    return re.findall(_IMPORTS[job.language], without_comments(job.prelude), re.MULTILINE)


def first_named(keyword: str, text: str) -> str:
    """The name after the first `keyword` of a program; MultiPL-E's "Problem" without one."""
    found = re.search(rf"\b{keyword}\s+(\w+)", without_comments(text))
    return found[1] if found else "Problem"


def without_comments(text: str) -> str:
    """The text of a program, in a language with C's comments, without comments and with empty strings."""
    return _COMMENT_OR_TEXT.sub(lambda found: " " if found[0].startswith("/") else '""', text)


def _split(parameters: str) -> list[str]:
    """Split a parameter list at its commas, except at commas inside brackets."""
    parts, depth = [""], 0
    for character in parameters:
        depth += {"(": 1, "[": 1, "<": 1, "{": 1, ")": -1, "]": -1, ">": -1, "}": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part for part in parts if part.strip()]
