"""`chaku`, `chaku eval` and the other groups: commands of the tree, imported when they are called."""

from collections.abc import Mapping
from importlib import import_module

import click

from chaku import __version__
from chaku.cli.tree import TREE, Group

COMPLETION = "_CHAKU_COMPLETE"  # the variable in which a shell says what it wants to know
HELP_OPTIONS = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


class LazyGroup(click.Group):
    """A group whose commands are files of this room: click's own would need every command to be imported for its help.

    `path`: the names before it ("eval"); `sections`: its commands, by the heading that they stand under.
    """

    def __init__(self, path: tuple[str, ...], about: str, sections: Mapping[str, Mapping[str, str | Group]]):
        super().__init__(
            path[-1] if path else "chaku",
            help=about,
            context_settings=HELP_OPTIONS,
            no_args_is_help=False,
            subcommand_metavar="COMMAND",
        )
        self.path, self.sections = path, sections
        self.members = {name: member for section in sections.values() for name, member in section.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.members)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        member = self.members.get(cmd_name)
        if member is None:
            return None
        path = (*self.path, cmd_name)
        if isinstance(member, Group):
            return LazyGroup(path, sentence(member.about), {"commands": member.verbs})
        name = "_".join(path)
        return getattr(import_module(f"chaku.cli.{name}"), name)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            raise click.UsageError(f"name a command: {', '.join(self.members)}", ctx)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_commands(ctx, formatter)
        click.Command.format_options(self, ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for heading, section in self.sections.items():
            with formatter.section(heading.capitalize()):
                formatter.write_dl(
                    [(name, member.about if isinstance(member, Group) else member) for name, member in section.items()]
                )
        formatter.write_paragraph()
        formatter.write_text(f"`{ctx.command_path} COMMAND --help` shows a command's options and an example.")


def root() -> LazyGroup:
    """The command `chaku`."""
    group = LazyGroup((), "The whole Code Llama recipe as one program.", TREE)
    return click.version_option(__version__, prog_name="chaku", message="%(prog)s %(version)s")(group)


def sentence(text: str) -> str:
    """A line of the tree as a sentence."""
    return f"{text[0].upper()}{text[1:]}."
