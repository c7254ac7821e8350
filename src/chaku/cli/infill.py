"""`chaku infill`: a model fills the hole in a file, or between two texts."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from chaku.cli.shared.completions import Writing, read_stdin, write, writing_options
from chaku.cli.shared.loading import Loading, loading_options, model_argument
from chaku.cli.shared.options import PATH
from chaku.cli.shared.several_values import Several
from chaku.cli.shared.verb import verb
from chaku.errors import ChakuError
from chaku.files import read_text

if TYPE_CHECKING:
    from chaku.inference.generator import RepositoryFile


@verb('chaku infill qwen2.5-coder-0.5b-instruct --prefix "def add(a, b): return " --suffix "  # the sum"')
@model_argument()
@click.argument("file", required=False, help="A file with one <FILL_ME>; '-' or nothing reads standard input.")
@click.option("--prefix", help="The text before the hole, in place of a file.")
@click.option("--suffix", help="The text after the hole, in place of a file.")
@click.option(
    "--mode",
    type=click.Choice(["psm", "spm"]),
    help="Show prefix or suffix first; without it, the prefix where the model can.",
)
@click.option("--whole", is_flag=True, help="Print prefix and suffix too.")
@click.option(
    "--context",
    cls=Several,
    type=PATH,
    metavar="FILE...",
    help="Other files of the repository, which the model reads first (Qwen2.5-Coder, StarCoder2). "
    "MODEL and the file with the hole stand before it, or after --.",
)
@click.option("--path", help="The path of the file with the hole, as --context tells it; without it, the file's name.")
@writing_options()
@loading_options()
def infill(
    model: str,
    file: str | None,
    prefix: str | None,
    suffix: str | None,
    mode: Literal["psm", "spm"] | None,
    whole: bool,
    context: tuple[Path, ...],
    path: str | None,
    writing: Writing,
    loading: Loading,
) -> None:
    """Fill the hole in a file, and print the text that fills it."""
    from chaku.inference.generator import InfillPrompt
    from chaku.inference.prompts import split_fill_me

    if prefix is not None or suffix is not None:
        if file is not None:
            raise ChakuError("give a file, or --prefix and --suffix: not both")
        before, after = prefix or "", suffix or ""
    else:
        before, after = split_fill_me(read_stdin() if file in (None, "-") else read_text(Path(file)))
    repository = _repository(path or (file if file not in (None, "-") else "file"), context) if context else None
    prompt = InfillPrompt(before, after, mode, repository)
    write(model, loading, prompt, writing, *((before, after) if whole else ()))


def _repository(path: str, context: tuple[Path, ...]) -> "RepositoryFile":
    from chaku.inference.generator import RepositoryFile

    return RepositoryFile(Path.cwd().name, path, tuple((str(other), read_text(other)) for other in context))
