"""Mistakes on the command line in one line: what is wrong, and what to type."""

import click

from chaku.cli.shared.several_values import NoValue, Several
from chaku.errors import did_you_mean


def in_one_line(mistake: click.UsageError) -> str:
    """The error without click's usage lines, with the nearest name, and the command whose help says more."""
    context = mistake.ctx
    told = _in_words(mistake, context)
    return f"{told} (`{context.command_path} --help` says more)" if context else told


def _in_words(mistake: click.UsageError, context: click.Context | None) -> str:
    if isinstance(mistake, click.NoSuchOption):
        return _no_such_option(mistake.option_name, context)
    if isinstance(mistake, NoValue):
        return mistake.message
    if isinstance(mistake, click.exceptions.NoSuchCommand):
        assert context is not None
        names = context.command.list_commands(context) if isinstance(context.command, click.Group) else []
        near = did_you_mean(mistake.command_name, names) or f"; there are {', '.join(names)}"
        return f"no such command {mistake.command_name}{near}"
    if isinstance(mistake, click.MissingParameter):
        return f"{_name(mistake.param)} is missing" + (f": {mistake.message}" if mistake.message else "")
    if isinstance(mistake, click.BadParameter):
        return f"{_name(mistake.param)}: {mistake.message.removesuffix('.')}"
    return mistake.message.removesuffix(".")


def _no_such_option(word: str, context: click.Context | None) -> str:
    command = context.command if context else None
    name = word.partition("=")[0]
    names = [name for param in command.params for name in param.opts] if command else []
    near = "" if " " in word else did_you_mean(name, [name for name in names if name.startswith("--")])
    if not near and context and isinstance(command, click.Group):
        near = f"; a command's options stand after its name, as in {context.command_path} COMMAND {word}"
    elif not near and context and any(isinstance(param, click.Argument) for param in context.command.params):
        near = (
            f"; a text that begins with a hyphen stands after --, as in {context.command_path} ... -- {_quoted(word)}"
        )
    return f"no such option {_quoted(word)}{near}"


def _name(param: click.Parameter | None) -> str:
    if isinstance(param, click.Argument):
        return param.human_readable_name
    return max(param.opts, key=len) if param else "the command"


def _quoted(word: str) -> str:
    """A word as it is typed in a shell; of a long text its beginning, so that the error stays one line."""
    from shlex import quote

    line = word.splitlines()[0][:60]
    return quote(line if line == word else f"{line}...")


def unexpected(words: list[str], context: click.Context) -> str:
    """The message about arguments too many. One of them may be a misspelt name: --benchmark takes known names only."""
    params = context.command.params
    arguments = [str(context.params[param.name or ""]) for param in params if isinstance(param, click.Argument)]
    for option in params:
        if isinstance(option, Several) and option.names:
            names = option.names()
            for word in (*arguments, *words):
                if near := did_you_mean(word, names):
                    return f"unexpected argument {words[0]}: {word} is no name that {option.opts[0]} takes{near}"
    return f"unexpected argument {words[0]}; a text with spaces stands in quotation marks"
