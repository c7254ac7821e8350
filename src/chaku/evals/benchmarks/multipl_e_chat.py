"""Takes MultiPL-E's programs from a chat model's reply, in any of its languages.

The tests continue at the end of a completion, sometimes inside the function. So the function is found in the reply by
its name, and the program is assembled from: the prompt's text before the function (imports, the class), the reply's
text before the function, the helpers in the reply that are used, and the function, left open if the tests close it.
"""

import re
from collections.abc import Iterable, Sequence

from chaku.evals.benchmark import Task, cut_at
from chaku.evals.fences import clean, code_blocks

_COMMENT = re.compile(r"\s*(//|/\*|\*|--|#(?!include|!))")
_NAME = re.compile(r"([A-Za-z_]\w*)\s*(?:\(|<-|\{)")
_NO_DEFINITION = re.compile(r"\s*(return|assert\w*|echo|print\w*|puts|await|new|else|if|while|for)\b")
_CLASS = re.compile(r"\s*(?:public |final |static |partial |abstract )*(?:class|object)\s+\w+")
_DROPPED = re.compile(r"\s*(package\s|namespace\s|<\?php|\?>|module\.exports|#!)")
_IMPORT = re.compile(r"\s*(import|using)\s[^(=]*;?\s*$")
_GO_IMPORTS = re.compile(r'^import\s*(?:\((?P<many>[^)]*)\)|(?P<one>(?:\w+\s+)?"[^"]+"))', re.MULTILINE)


def function_name(prompt: str) -> str:
    """The name of the function that a prompt asks for, from the last line that begins a definition."""
    for line in reversed(prompt.rstrip().split("\n")):
        if not _COMMENT.match(line) and not line.rstrip().endswith(";") and (found := _NAME.search(line)):
            return found[1]
    return ""


def program_of_reply(task: Task, reply: str) -> str:
    """The program up to the beginning of the tests. A reply without the function counts as the function's body."""
    prompt, tests = task.data["prompt"], task.data["tests"]
    name = function_name(prompt)
    text = clean(reply)
    codes = [block.code for block in code_blocks(text)]
    code = next(
        (candidate for candidate in [*codes, "\n".join(codes), text] if _definition(candidate.split("\n"), name) >= 0),
        None,
    )
    if code is None:
        return f"{prompt}\n{cut_at(codes[0] if codes else text, task.data['stops'])}"
    whole, is_go = code, prompt.startswith("package ")
    lines = (_GO_IMPORTS.sub("", code) if is_go else code).split("\n")
    start = _definition(lines, name)
    end = _end(lines, start)
    head = _head(prompt, name)
    function = re.sub(r"^(\s*)export (default )?", r"\1", "\n".join(lines[start : end + 1])).rstrip()
    if tests.lstrip().startswith("}") and "}" in function:
        function = function[: function.rindex("}")].rstrip()
    above, members = _before(lines[:start], head)
    helpers = _used(lines[end + 1 :], _indent(lines[start]), "\n".join([*above, *members, function]))
    if any(_CLASS.match(line) for line in head):
        class_line = max(number for number, line in enumerate(head) if _CLASS.match(line))
        head = [*head[:class_line], *above, *head[class_line:]]
        above = []
    program = "\n".join([*head, *above, *members, *helpers, function])
    if not is_go:
        return program
    package, _, rest = program.partition("\n")
    return "\n".join([package, *_go_imports(whole, program), rest])


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _definition(lines: Sequence[str], name: str) -> int:
    """The number of the line that begins the function's definition; -1 when there is none."""
    pattern = re.compile(rf"\s*(?P<before>[^=(\"'/#]*?)(?<![\w.$>]){re.escape(name)}\s*(?P<sign>\(|<-|=(?!=)|:|\{{)")
    for number, line in enumerate(lines):
        found = pattern.match(line)
        if not name or found is None or _COMMENT.match(line) or _NO_DEFINITION.match(line):
            continue
        if line.rstrip().endswith(";") and "=>" not in line and "{" not in line:  # a call, or a declaration
            continue
        if found["before"].strip() or "{" in line or "<-" in line or "()" in line:
            return number
    return -1


def _end(lines: Sequence[str], start: int) -> int:
    """The number of the function's last line: the closing line with the function's indent, or the last line of all."""
    first = lines[start]
    if "{" in first and first.count("{") == first.count("}"):
        return start
    closing = re.compile(rf"\s{{0,{_indent(first)}}}(\}}|end\b)")
    return next((number for number in range(start + 1, len(lines)) if closing.match(lines[number])), len(lines) - 1)


def _head(prompt: str, name: str) -> list[str]:
    """The prompt's lines before the function and its comment."""
    head = []
    for line in prompt.split("\n"):
        if _COMMENT.match(line) or re.search(rf"\b{re.escape(name)}\b", line):
            break
        head.append(line)
    return head


def _before(lines: Sequence[str], head: Sequence[str]) -> tuple[list[str], list[str]]:
    """(the lines before the reply's class, imports included; the lines inside the class, before the function).

    Without a class, all lines except imports are in the second list. Leaves out lines that the prompt already has.
    """
    told = {line.strip() for line in head} - {""}
    class_lines = [number for number, line in enumerate(lines) if _CLASS.match(line)]
    at = class_lines[-1] if class_lines and any(_CLASS.match(line) for line in head) else -1
    imports = [line for line in lines if _IMPORT.match(line)]
    above, members = (
        [line for line in part if line.strip() not in told and not _DROPPED.match(line)]
        for part in (
            [*imports, *(line for line in lines[: max(at, 0)] if not _IMPORT.match(line) and line.strip() != "{")],
            [line for line in lines[at + 1 :] if not _IMPORT.match(line) and line.strip() != "{"],
        )
    )
    return [re.sub(r"^public (?=class|interface|record|enum)", "", line) for line in above], members


def _used(lines: Sequence[str], indent: int, program: str) -> Iterable[str]:
    """The definitions after the function, with its indent, that the program uses."""
    chunks: list[list[str]] = []
    for line in lines:
        begins = line.strip() and _indent(line) <= indent and not re.match(r"\s*(\}|end\b|\{|\))", line)
        if begins:
            chunks.append([line])
        elif chunks:
            chunks[-1].append(line)
    kept: list[str] = []
    for chunk in reversed(chunks):
        found = _NAME.search(chunk[0])
        is_call = chunk[0].rstrip().endswith(";") and "{" not in chunk[0]
        if found and not is_call and not _COMMENT.match(chunk[0]) and _indent(chunk[0]) == indent:
            end = _end(chunk, 0) + 1
            if re.search(rf"\b{found[1]}\b", "\n".join([program, *kept])) and found[1].lower() != "main":
                kept = [*chunk[:end], *kept]
    return kept


def _go_imports(code: str, program: str) -> list[str]:
    """The reply's imports that the program uses and lacks: in Go, an unused import is an error."""
    found = (imports["many"] or imports["one"] for imports in _GO_IMPORTS.finditer(code))
    specs = [spec.strip() for several in found for spec in several.split("\n")]
    return [f"import {spec}" for spec in specs if '"' in spec and spec not in program and _go_uses(spec, program)]


def _go_uses(spec: str, code: str) -> bool:
    name = spec.split('"')[0].strip() or spec.strip('"').split("/")[-1]
    return re.search(rf"(?<![\w.]){re.escape(name)}\.", code) is not None
