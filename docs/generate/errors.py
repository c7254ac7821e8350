"""The page of errors: the text of every `ChakuError` in the code, by room, read from its syntax tree."""

import ast
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).parent.parent.parent / "src" / "chaku"
KINDS = ("ChakuError", "Refused", "NoSandbox", "LostContact", "FinishedWork", "Refusal", "NotComparable")
ROOMS = {
    "": "Every command",
    "cli": "The command line",
    "recipe": "Recipes",
    "pipeline": "Runs",
    "corpus": "Corpora",
    "tokens": "Tokenizers and token stores",
    "model": "Models",
    "checkpoint": "Checkpoints",
    "training": "Training",
    "reinforcement": "Reinforcement learning",
    "inference": "Writing text",
    "sandbox": "The sandbox",
    "evals": "Benchmarks",
    "instruct": "Instruction data",
    "sql": "Databases",
    "serve": "The server",
    "report": "Reports",
    "synthetic": "Synthetic data",
}
INTRODUCTION = """# Errors

An error that you can mend is one line on standard error, with exit status 2; in Python it is a `chaku.ChakuError`.
The line says what is wrong, where, and what to do. Any other exception is a bug in chaku. Here is the text of all of
them, from the code; words in *italics* stand for your paths, names and numbers. Search this page for a part of the
message that you got."""


class Message(NamedTuple):
    """An error's text as HTML, and the file and line that raise it."""

    text: str
    file: str
    line: int


def page() -> str:
    """The page, in Markdown."""
    by_room: dict[str, list[Message]] = {room: [] for room in ROOMS}
    for message in messages(SOURCE):
        room = message.file.split("/")[0] if "/" in message.file else ""
        by_room.setdefault(room, []).append(message)
    parts = [INTRODUCTION]
    for room, found in by_room.items():
        if found:
            items = "".join(f"- {message.text} <small>{message.file}</small>\n" for message in found)
            parts.append(f"## {ROOMS.get(room, room)}\n\n{items}")
    return "\n".join(parts)


def messages(source: Path) -> Iterator[Message]:
    """Every error that is made with a text of its own, file by file."""
    for path in sorted(source.rglob("*.py")):
        file = path.relative_to(source).as_posix()
        seen = set()
        calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
        for call in sorted(calls, key=lambda call: call.lineno):
            if isinstance(call.func, ast.Name) and call.func.id in KINDS and call.args:
                text = shown(call.args[0])
                if len(re.sub("<i>.*?</i>", "", text)) > 12 and text not in seen:  # others repeat a text made elsewhere
                    seen.add(text)
                    yield Message(text, file, call.lineno)


def shown(node: ast.expr) -> str:
    """An expression of text as HTML: its words as they are, its values in italics."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.sub(r"\s*\n\s*", " ", re.sub(r"([*_`\[\]])", r"\\\1", escape(node.value, quote=False)))
    if isinstance(node, ast.JoinedStr):
        return "".join(map(shown, node.values))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return shown(node.left) + shown(node.right)
    if isinstance(node, ast.IfExp):
        either, other = shown(node.body), shown(node.orelse)
        return f"{either}⟨or: {other}⟩" if either and other else either or other
    return f"<i>{escape(name(node))}</i>"


def name(node: ast.expr) -> str:
    """A value in a word or two: the last name of its expression."""
    if isinstance(node, ast.FormattedValue):
        return name(node.value)
    if isinstance(node, ast.Name):
        return node.id.strip("_").replace("_", " ")
    if isinstance(node, ast.Attribute):
        return node.attr.strip("_").replace("_", " ")
    if isinstance(node, ast.Call):
        called = name(node.func)
        if called == "did you mean":
            return "; did you mean …?"
        if called in ("join", "sorted", "map") and node.args:
            return name(node.args[-1])
        return name(node.args[0]) if node.args and called in ("str", "repr", "len", "list") else called
    if isinstance(node, ast.Subscript):
        return name(node.value)
    return "…"
