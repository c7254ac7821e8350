"""`chaku completion`: a shell's script, with which it completes commands, options and names."""

import click

from chaku.cli.shared.verb import verb

SHELLS = ("bash", "zsh", "fish")


@verb('eval "$(chaku completion bash)"')
@click.argument("shell", type=click.Choice(SHELLS), help="The shell that is to read the script.")
def completion(shell: str) -> None:
    """Print the script that completes chaku's commands in a shell; put the example into the shell's start file."""
    from click.shell_completion import get_completion_class

    from chaku.cli.groups import COMPLETION, root

    script = get_completion_class(shell)
    assert script is not None
    print(script(root(), {}, "chaku", COMPLETION).source())
