"""Options that take several values (`--k 1 10`), and the words of a command line as click understands them.

click's options take a fixed number of values. `spread` therefore writes `--k 1 10` as `--k 1 --k 10` before click reads
the line. A value ends where the next option begins. An option that could swallow an argument (`--k 1 MODEL`) says which
words are values: integers for --k, known names for --benchmark.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click


class Several(click.Option):
    """An option that takes one value or more, and may be given several times.

    `takes` says whether a word after the first value is one more value; without it every word is. `names` gives the
    known names, for the message about a name that is nearly right.
    """

    def __init__(
        self,
        param_decls: Sequence[str],
        takes: Callable[[str], bool] | None = None,
        names: Callable[[], Iterable[str]] | None = None,
        **settings: Any,
    ):
        super().__init__(param_decls, multiple=True, **settings)
        self.takes, self.names = takes, names

    def goes_on(self, word: str) -> bool:
        """Whether a word after the first value is a value too."""
        if word.startswith("-") and word != "-":
            return False
        return self.takes is None or self.takes(word)


class OptionalInteger(click.Option):
    """An option whose value may be left out, where `bare` stands for it: an integer that follows is its value."""

    def __init__(self, param_decls: Sequence[str], bare: int, **settings: Any):
        super().__init__(param_decls, type=int, **settings)
        self.bare = bare


def is_integer(word: str) -> bool:
    """Whether a word is an integer, as --k takes them."""
    try:
        int(word)
    except ValueError:
        return False
    return True


class NoValue(click.UsageError):
    """An option stands without the value that it needs."""


def spread(words: Sequence[str], context: click.Context) -> tuple[list[str], tuple[str, str] | None]:
    """The words for click's parser, with the name of each option before each of its values.

    Returns also the last option that takes any word, and the last word that it took after its first value: the word may
    have been meant as an argument. Raises click's NoSuchOption for an unknown option: with the whole word, where click
    names its first letter alone.
    """
    options = {
        name: param for param in context.command.params if isinstance(param, click.Option) for name in param.opts
    }
    options |= {name: param for param in [context.command.get_help_option(context)] if param for name in param.opts}
    line: list[str] = []
    rest = deque(words)
    took: tuple[str, str] | None = None
    while rest:
        word = rest.popleft()
        name, equals, _ = word.partition("=")
        if word == "--":
            return [*line, word, *rest], took
        if word == "-" or not word.startswith("-"):
            line.append(word)
        elif (option := options.get(name)) is None:
            raise click.NoSuchOption(word, possibilities=options, ctx=context)
        elif equals or option.is_flag:
            line.append(word)
        elif isinstance(option, OptionalInteger):
            line += [name, rest.popleft() if rest and is_integer(rest[0]) else str(option.bare)]
        elif not rest or rest[0] == "--" or rest[0].partition("=")[0] in options:
            given = f"; a value that begins with a hyphen is written {name}={rest[0]}" if rest else ""
            raise NoValue(f"{name} needs a value{given}", context)
        else:
            line += [name, rest.popleft()]
            if isinstance(option, Several) and option.takes:
                _refuse_commas(name, line[-1], option.takes, context)
            while isinstance(option, Several) and rest and option.goes_on(rest[0]):
                value = rest.popleft()
                line += [name, value]
                took = (name, value) if option.takes is None else took
    return line, took


def _refuse_commas(name: str, value: str, takes: Callable[[str], bool], context: click.Context) -> None:
    """Raises click's UsageError for values in one word, as in `--k 1,10`."""
    values = [part.strip() for part in value.split(",")]
    if len(values) > 1 and all(map(takes, values)):
        raise click.UsageError(
            f"{name} {value}: write the values one after another, as in {name} {' '.join(values)}", context
        )
