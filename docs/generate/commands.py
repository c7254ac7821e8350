"""The page of the command line: every command, with its arguments, options and example."""

from collections.abc import Iterator

import click

from chaku.cli.groups import LazyGroup, root
from chaku.cli.shared.verb import Verb
from docs.generate.markdown import cell, code, table

INTRODUCTION = """# Command line

Every command of `chaku`, from the code that reads it. `chaku COMMAND --help` shows the same on a terminal.

- Options stand before or after arguments. An option with several values takes them one after another (`--k 1 10`); a
  text that begins with a hyphen stands after `--`.
- Every command has `--quiet` (results and errors only) and `--verbose` (which checkpoint, decoder and device are
  used). `--json`, where a command has it, prints the result for programs.
- `eval "$(chaku completion bash)"` completes commands, options and names in the shell.

| exit status | |
|---|---|
| 0 | done |
| 2 | an error that you can mend: one line on standard error |
| 130, 143 | stopped by Ctrl-C or SIGTERM; where the command says so, it goes on when it is given again |
| other | a bug in chaku: please report it |
"""


def page() -> str:
    """The page, in Markdown."""
    return "\n".join([INTRODUCTION, *(section(name, command) for name, command in verbs(root()))])


def verbs(group: LazyGroup) -> Iterator[tuple[str, Verb]]:
    """Every command that is no group, with its words: ("chaku eval run", ...)."""
    context = click.Context(group, info_name="chaku")
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, LazyGroup):
            yield from verbs(command)
        elif isinstance(command, Verb):
            yield " ".join(("chaku", *group.path, name)), command


def section(name: str, command: Verb) -> str:
    """A command's part of the page."""
    context = click.Context(command, info_name=name)
    usage = " ".join(command.collect_usage_pieces(context))
    parts = [f"## {name}\n\n{command.help}\n\n```sh\n{name} {usage}\n{command.example}\n```\n"]
    arguments = [param for param in command.params if isinstance(param, click.Argument)]
    options = [param for param in command.params if isinstance(param, click.Option) and not shared(param)]
    if arguments:
        named = [(code(param.human_readable_name), cell(param.help)) for param in arguments]
        parts.append(table(["argument", ""], named))
    if options:
        described = [option_row(param, context) for param in options]
        parts.append(table(["option", "default", ""], described))
    return "\n".join(parts)


def option_row(option: click.Option, context: click.Context) -> tuple[str, str, str]:
    """An option's name with the form of its value, its default, and its help."""
    form = "" if option.is_flag else f" {option.make_metavar(context)}"
    default = option.default if isinstance(option.default, int | float | str) and not option.is_flag else ""
    return code("/".join((*option.opts, *option.secondary_opts)) + form), code(default), cell(option.help)


def shared(option: click.Option) -> bool:
    """Whether every command has the option."""
    return bool({"--quiet", "--verbose"} & set(option.opts))
