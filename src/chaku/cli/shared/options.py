"""Options and arguments that several commands have, and how a group of options becomes one typed value."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from chaku.errors import ChakuError

Function = TypeVar("Function", bound=Callable[..., Any])
Decorator = Callable[[Function], Function]

# A path as it is typed. Whether it is there, and can be read, is said by the code that opens it.
PATH = click.Path(path_type=Path, readable=False)


def gathered(name: str, kind: type, *options: Callable[[Any], Any]) -> Decorator:
    """Give a command some options, and hand their values over as one `kind`, a dataclass, in its parameter `name`.

    A field of `kind` without an option keeps its default.
    """
    fields = [field.name for field in dataclasses.fields(kind)]

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def call(**values: Any) -> Any:
            values[name] = kind(**{field: values.pop(field) for field in fields if field in values})
            return function(**values)

        for option in reversed(options):
            call = option(call)
        return call  # type: ignore[return-value]

    return decorate


def json_option(help: str = "Print the result as JSON.") -> Decorator:
    """--json, in the parameter `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help=help)


def seed_option(help: str = "The number that random draws follow from.", default: int = 0) -> Decorator:
    """--seed."""
    return click.option("--seed", type=int, default=default, help=help)


def no_sandbox_option(help: str = "Run programs with your own rights; results record it.") -> Decorator:
    """--unsafe-no-sandbox."""
    return click.option("--unsafe-no-sandbox", is_flag=True, help=help)


def at_least_one(context: click.Context, param: click.Parameter, value: int | None) -> int | None:
    """A callback: raises ChakuError for a number below 1."""
    if value is not None and value < 1 and not context.resilient_parsing:
        raise ChakuError(f"{param.opts[0]} is {value}; it must be at least 1")
    return value


def positive(context: click.Context, param: click.Parameter, value: float) -> float:
    """A callback: raises click's BadParameter for a number that is not above 0. click's own ranges let NaN pass."""
    if not 0 < value < 1e6:
        raise click.BadParameter(f"{value} is not above 0, or far too large")
    return value


def warn_if_alike(num_samples: int, temperature: float) -> None:
    """Warn about several samples at temperature 0, which all have the same text."""
    from chaku.console import warn

    if num_samples > 1 and temperature == 0:
        warn(f"at --temperature 0 the {num_samples} samples of a prompt are the same text; give --temperature 0.8")


def ray_option() -> Decorator:
    """--ray: the command's workers are those of a Ray cluster. The command's function does not see it."""

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def call(*, ray: str | None, **values: Any) -> Any:
            from chaku.cluster import joined

            with joined(ray):
                return function(**values)

        about = "Work on a Ray cluster: HOST:PORT; auto for this machine's; local to start one here."
        return click.option("--ray", metavar="ADDRESS", help=about)(call)  # type: ignore[return-value]

    return decorate
