"""Command lines that are parsed and not run: every command of the tree, and every `chaku` line of the documents."""

import re
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click

from chaku.cli.groups import LazyGroup, root


def commands(group: LazyGroup | None = None) -> Iterator[tuple[str, click.Command]]:
    """Every command with its words, groups included: ("chaku eval run", ...)."""
    group = group or root()
    context = click.Context(group, info_name="chaku")
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        yield " ".join(("chaku", *group.path, name)), command
        if isinstance(command, LazyGroup):
            yield from commands(command)


def parse(words: list[str]) -> click.Context:
    """The context of the command that the words after `chaku` name. Raises click's UsageError for a mistake."""
    context = root().make_context("chaku", list(words))
    while isinstance(context.command, click.Group):
        name, command, rest = context.command.resolve_command(context, [*context._protected_args, *context.args])
        assert command is not None
        context = command.make_context(name, rest, parent=context)
    return context


def lines_of(document: Path) -> list[list[str]]:
    """The words after `chaku` of every command line in a Markdown file's code blocks, or in a recipe's comments."""
    text = document.read_text(encoding="utf-8")
    if document.suffix == ".md":
        fenced = re.findall(r"^( *)```(\w*)\n(.*?)^\1```", text, re.MULTILINE | re.DOTALL)
        blocks = [textwrap.dedent(block) for _, language, block in fenced if language in ("", "bash", "sh", "console")]
    else:
        blocks = ["\n".join(re.findall(r"^#   (.*)$", text, re.MULTILINE))]
    commands = [words for block in blocks for words in split_lines(block)]
    return [words[1:] for words in commands if words and Path(words[0]).name == "chaku"]


def split_lines(block: str) -> Iterator[list[str]]:
    """A block of shell, command by command. A text in quotes may have line breaks, and a backslash joins two lines."""
    pending = ""
    for line in block.replace("\\\n", " ").splitlines():
        pending += line
        try:
            words = shlex.split(pending, comments=True)
        except ValueError:  # a quotation mark is open
            pending += "\n"
            continue
        pending = ""
        ends = [index for index, word in enumerate(words) if word in ("|", ">", "&&", ";", "||")]
        yield words[: min(ends, default=len(words))]
