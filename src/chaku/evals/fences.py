"""Finds Markdown code blocks in a reply; accepts more than CommonMark, as models write looser Markdown."""

import re
from collections.abc import Callable
from dataclasses import dataclass

# A fence may stand after prose on its line ("the code: ```python"), and its info string may have attributes.
_OPENING = re.compile(r"^(?P<before>.*?)(?P<fence>`{3,}|~{3,})[ \t]*(?P<info>[^`\n]*)$")
_INLINE = re.compile(r"```([^`\n]+)```")
_ANSI = re.compile(r"\x1b(?:[@-Z\\-_]|\[[0-?]*[ -/]*[@-~])")  # terminal colours, which some servers leave in
MAX_PROSE = 200  # characters before a fence on its line


@dataclass(frozen=True)
class CodeBlock:
    """A code block. `language`: the first word of the info string, in lower case."""

    language: str
    code: str


def clean(text: str) -> str:
    """Normalise a reply: Unix line ends, no terminal colours, no byte order mark, no reasoning before the answer."""
    text = _ANSI.sub("", text).replace("\r\n", "\n").replace("\r", "\n").replace("\ufeff", "")
    answer = text.rpartition("</think>")[2]
    return answer if answer.strip() else text


def code_blocks(text: str, is_whole: Callable[[str], bool] | None = None) -> list[CodeBlock]:
    """The code blocks in the text's order, including a last block that was cut short.

    A closing fence is at least as long as the opening fence and indented at most three spaces more, so that a fence in
    a docstring of the code does not close the block. With `is_whole`, the block ends at the first closing fence that
    leaves whole code (or, if none does, at the first closing fence), so that a fence in a string does not end it
    either.
    """
    lines = clean(text).split("\n")
    blocks = []
    at = 0
    while at < len(lines):
        opening = _opening(lines[at])
        at += 1
        if opening is None:
            blocks += [CodeBlock("", f"{code}\n") for code in _INLINE.findall(lines[at - 1])]
            continue
        ends = [number for number in range(at, len(lines)) if _closes(lines[number], opening)]
        codes = [_without_indent("".join(f"{line}\n" for line in lines[at:end]), opening) for end in [*ends, None]]
        chosen = 0
        if is_whole is not None:
            chosen = next((number for number, code in enumerate(codes) if is_whole(code)), 0)
        info = opening["info"].split()
        language = re.sub(r"[^\w+#.-].*", "", info[0].strip("{}.")).lower() if info else ""
        blocks.append(CodeBlock(language, codes[chosen]))
        at = ends[chosen] + 1 if chosen < len(ends) else len(lines)
    return blocks


def _opening(line: str) -> re.Match[str] | None:
    found = _OPENING.match(line)
    if found is None or not found["before"].strip():
        return found
    is_prose = (
        len(found["before"]) <= MAX_PROSE
        and "```" not in found["before"]
        and re.fullmatch(r"[\w+#.-]*[ \t]*", found["info"])
    )
    return found if is_prose else None


def _closes(line: str, opening: re.Match[str]) -> bool:
    found = re.fullmatch(r"([ \t]*)(`{3,}|~{3,})[ \t]*", line)
    if found is None or found[2][0] != opening["fence"][0] or len(found[2]) < len(opening["fence"]):
        return False
    return len(found[1].expandtabs(4)) <= len(_indent(opening["before"]).expandtabs(4)) + 3


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _without_indent(code: str, opening: re.Match[str]) -> str:
    """Remove the indent of the opening fence from the code, as CommonMark does for a fence in a list."""
    indent = _indent(opening["before"]) if not opening["before"].strip() else ""
    return re.sub(rf"^{re.escape(indent)}", "", code, flags=re.MULTILINE) if indent else code
