"""A command of chaku: its help ends with an example, it has --quiet and --verbose, and its mistakes are one line."""

from collections.abc import Callable
from typing import Any, Literal

import click

from chaku.cli.groups import HELP_OPTIONS
from chaku.cli.shared.mistakes import unexpected
from chaku.cli.shared.several_values import spread
from chaku.console import set_quiet, set_verbose

Keeps = Literal["always", "with --out"]
# Arguments too many are left to `parse_args` here, whose message names the nearest known name.
READING = {"show_default": True, "allow_extra_args": True}


class Verb(click.Command):
    """A command whose options may stand anywhere, with several values where they take several."""

    def __init__(self, name: str | None, example: str, keeps: Keeps | None = None, **settings: Any):
        super().__init__(name, context_settings={**HELP_OPTIONS, **READING}, **settings)
        self.example, self.keeps = example, keeps
        self.params += [
            click.Option(["-q", "--quiet"], is_flag=True, help="Print results and errors only, no progress."),
            click.Option(
                ["-v", "--verbose"],
                is_flag=True,
                help="Say which checkpoint, decoder, device and dtype are used.",
            ),
        ]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if ctx.resilient_parsing:  # a shell completes a line that is not whole yet
            return super().parse_args(ctx, args)
        before_texts = args[: args.index("--")] if "--" in args else args
        if any(word in ctx.help_option_names for word in before_texts):
            return super().parse_args(ctx, ["--help"])
        line, took = spread(args, ctx)
        try:
            left_over = super().parse_args(ctx, line)
        except click.MissingParameter as mistake:
            if took and isinstance(mistake.param, click.Argument):
                name = mistake.param.human_readable_name
                said = f"{took[0]} took {took[1]}; write {name} before {took[0]}, or after --"
                raise click.MissingParameter(said, ctx, mistake.param) from None
            raise
        except click.BadOptionUsage as mistake:  # of click's parser, which does not know its context
            mistake.ctx = ctx
            raise
        if left_over:
            raise click.UsageError(unexpected(left_over, ctx), ctx)
        return left_over

    def invoke(self, ctx: click.Context) -> Any:
        quiet, verbose = ctx.params.pop("quiet"), ctx.params.pop("verbose")
        if quiet and verbose:
            raise click.UsageError("give --quiet or --verbose, not both", ctx)
        set_quiet(quiet)
        set_verbose(verbose)
        try:
            return super().invoke(ctx)
        except click.UsageError as mistake:  # of the command's function, which does not know its context
            mistake.ctx = mistake.ctx or ctx
            raise
        except KeyboardInterrupt as stopped:
            if self.keeps == "always" or (self.keeps == "with --out" and ctx.params["out"]):
                stopped.add_note("what is finished is kept")
            raise

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Example"):
            formatter.write(f"  {self.example}\n")


def verb(example: str, *, keeps: Keeps | None = None) -> Callable[[Callable[..., Any]], Verb]:
    """Make a function a command. Its docstring is the help; `example` is a line that works as it stands.

    `keeps`: when the same command goes on where it was stopped.
    """

    def decorate(function: Callable[..., Any]) -> Verb:
        return click.command(cls=Verb, example=example, keeps=keeps)(function)

    return decorate
